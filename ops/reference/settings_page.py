"""docs/reference/settings.md: every field of Settings with what it allows, never a value that is secret."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from ops.reference.markdown import code, page, table
from schemas.settings import Settings

GROUPS = {
    "database_url": "PostgreSQL",
    "kafka_bootstrap_servers": "Kafka",
    "scenario": "Climate jobs",
    "schedule_timezone": "Schedules",
    "tenants_file": "Weekly report",
    "smtp_host": "Mail and delivery",
    "parallel_workers": "Processes and health",
    "web_host": "Web page",
    "start_timeout": "Start and logs",
}
"""The first field of each group, in the order of Settings; a field belongs to the group before it."""
ABOUT = """Environment variables, or lines of a file `.env` in the working folder. Which process reads what,
how the sources go together and what the values mean in practice: [operations](../operations.md#settings).
An empty default means that the setting is not set. Values of the kind *secret* are never logged or shown."""
NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false", SecretStr: "secret"}


def text() -> str:
    """The page."""
    groups: dict[str, list[list[str]]] = {}
    rows: list[list[str]] = []
    for name, field in Settings.model_fields.items():
        if name in GROUPS:
            rows = groups.setdefault(GROUPS[name], [])
        rows.append([code(name.upper()), allowed(field), default(field), field.description or ""])
    head = ("variable", "allowed", "default", "meaning")
    return page("Settings", ABOUT, *(f"## {title}\n\n{table(head, rows)}" for title, rows in groups.items()))


def default(field: FieldInfo) -> str:
    """The value that holds where the variable is not set, as one writes it into the environment."""
    if field.default is None:
        return ""
    return code(str(field.default).lower() if isinstance(field.default, bool) else str(field.default))


def allowed(field: FieldInfo) -> str:
    """Kind of the value and its bounds, in words."""
    kind, limits = _parted(field.annotation)
    limits = [*limits, *field.metadata]
    if get_origin(kind) is Literal:
        return ", ".join(code(choice) for choice in get_args(kind))
    name = NAMES.get(kind, "path")
    bounds = " and ".join(filter(None, (_bound(limit) for limit in limits)))
    return f"{name}, {bounds}" if bounds else name


def _parted(annotation: Any) -> tuple[Any, list[Any]]:
    """The type itself, without None and Annotated, and what Annotated said of it."""
    if get_origin(annotation) in {Union, UnionType}:
        (annotation,) = (part for part in get_args(annotation) if part is not NoneType)
    if get_origin(annotation) is Annotated:
        kind, *said = get_args(annotation)
        return kind, [
            part for one in said for part in (one.metadata if isinstance(one, FieldInfo) else [one])
        ]
    return annotation, []


def _bound(limit: Any) -> str:
    words = {"ge": "at least", "gt": "above", "le": "at most"}
    for attribute, word in words.items():
        if hasattr(limit, attribute):
            return f"{word} {getattr(limit, attribute):g}"
    if isinstance(limit, annotated_types.MinLen):
        return "not empty" if limit.min_length == 1 else f"at least {limit.min_length} characters"
    pattern = getattr(limit, "pattern", None)
    return f"of the form `{pattern}`" if pattern else ""
