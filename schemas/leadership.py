"""One leader among several processes, chosen by a lock of its session in PostgreSQL."""

from __future__ import annotations

import asyncio

import asyncpg

from schemas.pauses import pause

TRY_SECONDS = 1.0
"""How often those that do not lead try to (expert assumption)."""


async def leads(connection: asyncpg.Connection, lock: str, stop: asyncio.Event) -> bool:
    """Wait until this session leads under the name `lock`; False where `stop` came first.

    The session leads until it ends, whatever the reason.
    """
    while not stop.is_set():
        if await connection.fetchval("SELECT pg_try_advisory_lock(hashtext($1))", lock):
            return True
        await pause(stop, TRY_SECONDS)
    return False
