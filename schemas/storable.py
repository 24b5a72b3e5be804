"""What others wrote, as PostgreSQL takes it: texts without NUL and of bounded length, names of headers."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from schemas.codec import MAX_REASON, TRUE_NAMES

UNKNOWN_TYPE = "unknown"
"""job_type of a refused message that names none."""
_NUL = "\N{SYMBOL FOR NULL}"


def plain(text: str) -> str:
    """Text that PostgreSQL takes: of bounded length and without the character NUL."""
    return text.replace("\x00", _NUL)[:MAX_REASON]


def plain_field(document: Mapping[str, object], name: str) -> str | None:
    """A field of an object that may hold anything; None where it is absent or no text."""
    told = document.get(name)
    return plain(told) if isinstance(told, str) else None


def storable(headers: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Headers whose names PostgreSQL takes; the bridge finds those that had a NUL in one header more.

    A record that has a header of that one's name gets it too, so that the last is always our own.
    """
    names = [name for name, _ in headers]
    if not any("\x00" in name or name == TRUE_NAMES for name in names):
        return headers
    kept = [(name.replace("\x00", _NUL), value) for name, value in headers]
    return [*kept, (TRUE_NAMES, orjson.dumps(names))]
