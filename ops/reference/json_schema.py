"""JSON Schemas in words, as pydantic writes them; a model is linked to its heading on the same page."""

from __future__ import annotations

from typing import Any

from ops.reference.markdown import code, sentence, table


def described(schema: dict[str, Any]) -> str:
    """What a model is, and a table of its fields; of a choice what may be chosen."""
    if "properties" not in schema:
        return "\n\n".join(filter(None, (sentence(schema.get("description", "")), f"{type_of(schema)}.")))
    required = set(schema.get("required", ()))
    rows = [
        [
            code(name),
            type_of(field),
            "yes" if name in required else "",
            sentence(field.get("description", "")),
        ]
        for name, field in schema["properties"].items()
    ]
    fields = table(("field", "type", "required", "what"), rows)
    return "\n\n".join(filter(None, (sentence(schema.get("description", "")), fields)))


def type_of(schema: dict[str, Any]) -> str:
    """A type in a few words."""
    match schema:
        case {"$ref": reference}:
            name = reference.rpartition("/")[2]
            return f"[{name}](#{name.lower()})"
        case {"anyOf": several}:
            return " or ".join(type_of(one) for one in several)
        case {"enum": choices} | {"const": choices}:
            return ", ".join(code(str(one)) for one in (choices if isinstance(choices, list) else [choices]))
        case {"type": "array"}:
            return f"list of {type_of(schema.get('items', {}))}"
        case {"type": "object", "additionalProperties": dict(of)} if of:
            return f"object of {type_of(of)}"
        case _:
            return str(schema.get("format") or schema.get("type", "any"))
