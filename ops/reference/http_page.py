"""docs/reference/http.md: every path of the web server's HTTP API, from its OpenAPI document."""

from __future__ import annotations

import asyncio
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ops.reference.json_schema import described, type_of
from ops.reference.markdown import code, page, sentence, table
from schemas.settings import Settings

SERVER = "ops.web"
ABOUT = """The server of the web page answers these to any program. A running server describes itself at
`/api/openapi.json`."""
UNSAID = "Successful Response"
"""What FastAPI says of an answer that nobody has described."""
METHODS = ("get", "post", "put", "patch", "delete")


def text() -> str | None:
    """The page; nothing in a version without the web server."""
    if find_spec(SERVER) is None or find_spec(f"{SERVER}.app") is None:
        return None
    app, office, access = (import_module(f"{SERVER}.{name}") for name in ("app", "office", "access"))
    # An office that nobody enters: the description needs no database and lets nobody in.
    closed = office.Office(Settings(_env_file=None), access.Access({}), asyncio.Event())
    return of_openapi(app.create_app(closed).openapi())


def of_openapi(document: dict[str, Any]) -> str:
    """The page of an OpenAPI document.

    Args:
        document: OpenAPI 3, as FastAPI's `openapi()` gives it.
    """
    operations = [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    ]
    about = "\n\n".join(filter(None, (ABOUT, document.get("info", {}).get("description", "").strip())))
    models = [
        f"### {name}\n\n{described(schema)}"
        for name, schema in document.get("components", {}).get("schemas", {}).items()
    ]
    bodies = ["## Bodies", *models] if models else []
    return page("HTTP API", about, *(_operation(*operation) for operation in operations), *bodies)


def _operation(name: str, operation: dict[str, Any]) -> str:
    parts = [f"## {name}", sentence(operation.get("description") or operation.get("summary", ""))]
    if operation.get("parameters"):
        head = ("parameter", "in", "type", "required", "default", "what")
        parts.append(table(head, [_parameter(one) for one in operation["parameters"]]))
    if "requestBody" in operation:
        parts.append(f"Body: {_bodies(operation['requestBody'])}.")
    answers = [
        [code(status), _bodies(answer), answer.get("description", "").replace(UNSAID, "")]
        for status, answer in operation.get("responses", {}).items()
    ]
    parts.append(table(("answer", "body", "what"), answers))
    return "\n\n".join(filter(None, parts))


def _parameter(parameter: dict[str, Any]) -> list[str]:
    schema = parameter.get("schema", {})
    default = schema.get("default")
    return [
        code(parameter["name"]),
        parameter["in"],
        type_of(schema),
        "yes" if parameter.get("required") else "",
        "" if default is None else code(str(default)),
        parameter.get("description", ""),
    ]


def _bodies(holder: dict[str, Any]) -> str:
    found = []
    for kind, body in holder.get("content", {}).items():
        schema = body.get("schema") or {}
        found.append(f"{code(kind)} {type_of(schema)}" if schema else code(kind))
    return ", ".join(found)
