"""What the one consumer loop is given to do with its records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import asyncpg

from schemas.topics import Topic


class Handler(Protocol):
    """What a consumer does with its records; handlers inherit from it."""

    name: str
    group: str
    topics: tuple[Topic, ...]

    async def opened(self, connection: asyncpg.Connection) -> None:
        """Prepare a new connection."""

    def work_out(self, records: Sequence[Any]) -> None:
        """Do what needs no database for records that are stored next; in a thread, and never raises.

        Nothing by default: it pays only where decoding takes a good part of storing.
        """
        del records

    async def store(self, connection: asyncpg.Connection, records: Sequence[Any]) -> None:
        """Write what the records say, inside the caller's transaction.

        Raises:
            InvalidMessage, RefusedTrigger: One of the records will never succeed.
        """

    async def reject(self, connection: asyncpg.Connection, record: Any, error: Exception) -> None:
        """Write that a record will never succeed, its dead letter included; the same transaction."""
