"""Pages of a list: where the next begins travels in an opaque cursor."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Generic, TypeVar

import orjson
from fastapi import Query
from pydantic import BaseModel

from schemas.errors import InvalidMessage

T = TypeVar("T")
MOST = 1000
"""Entries of a page at most."""

Limit = Annotated[int, Query(ge=1, le=MOST, description="Entries of a page.")]
Cursor = Annotated[str | None, Query(description="`next` of the page before.")]


class Page(BaseModel, Generic[T]):
    """Some entries of a list; `next` leads to the following ones and is null at the end."""

    items: list[T]
    next: str | None = None


def cursor_of(*values: object) -> str:
    """Where the next page begins, as text for an address."""
    return base64.urlsafe_b64encode(orjson.dumps(values)).decode().rstrip("=")


def values_of(cursor: str, kinds: tuple[type, ...]) -> list[object]:
    """What `cursor_of` was given.

    Raises:
        InvalidMessage: It was not made here, or not for this list.
    """
    try:
        values = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, orjson.JSONDecodeError):
        values = None
    if not isinstance(values, list) or tuple(map(type, values)) != kinds:
        raise InvalidMessage("cursor: is not one of this list; begin without it")
    return values
