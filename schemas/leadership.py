"""One leader among several processes, chosen by a lock of its session in PostgreSQL."""

from __future__ import annotations

import asyncio

import asyncpg

from schemas.pauses import pause
from schemas.pulse import Loop

TRY_SECONDS = 1.0
"""How often those that do not lead try to (expert assumption)."""
IDLE_LIMIT = "30s"
"""How long a leader may leave its session idle before another takes its place (expert assumption)."""
PATIENT_IDLE_LIMIT = "120s"
"""The same for one that waits for a broker in between, as it does for 40 s a try (expert assumption)."""

# A stopped process keeps its TCP connection, and so its session and the lock: PostgreSQL 14 or later
# ends a session that says nothing. Set before the lock is taken, so that there is no gap between.
_TRY = "SELECT set_config('idle_session_timeout', $2, false), pg_try_advisory_lock(hashtext($1))"


async def try_to_lead(connection: asyncpg.Connection, lock: str, idle_limit: str = IDLE_LIMIT) -> bool:
    """Whether this session leads under the name `lock` from now on; a leader must not ask again.

    Leading or not, the session must run a statement more often than `idle_limit`, else PostgreSQL ends it
    (57P05, which passes).
    """
    return bool(await connection.fetchval(_TRY, lock, idle_limit, column=1))


async def leads(
    connection: asyncpg.Connection,
    lock: str,
    stop: asyncio.Event,
    idle_limit: str = IDLE_LIMIT,
    loop: Loop | None = None,
) -> bool:
    """Wait until this session leads under the name `lock`; False where `stop` came first.

    The session leads until it ends, whatever the reason; an idle one ends as in `try_to_lead`. `loop`
    learns that it stands by meanwhile.
    """
    while not stop.is_set():
        if await try_to_lead(connection, lock, idle_limit):
            return True
        if loop is not None:
            loop.ready("standing by: another leads")
        await pause(stop, TRY_SECONDS)
    return False
