"""A connection that outlives its database server: the suite asks again until it is answered."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from schemas.database import close, connect
from schemas.faults import is_passing

PAUSE = 0.1


class Ledger:
    """Reads and writes of the suite itself; each waits while the server is away."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._connection: asyncpg.Connection | None = None
        self._lock = asyncio.Lock()

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """Rows of a statement that may be repeated."""
        async with self._lock:
            while True:
                try:
                    if self._connection is None:
                        self._connection = await connect(self.dsn, application="faults")
                    return await self._connection.fetch(query, *arguments)
                except Exception as error:
                    await self._drop()
                    if not is_passing(error):
                        raise
                await asyncio.sleep(PAUSE)

    async def value(self, query: str, *arguments: Any) -> Any:
        """The first column of the first row; None where there is none."""
        rows = await self.fetch(query, *arguments)
        return rows[0][0] if rows else None

    async def close(self) -> None:
        """Let go of the server."""
        async with self._lock:
            await self._drop()

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await close(connection)
