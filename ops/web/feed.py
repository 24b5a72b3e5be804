"""The jobs that move, read once for all who watch them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from typing import Any

import asyncpg

from ops import jobs
from ops.job_documents import job_document
from ops.standing import standings
from schemas.settings import Settings

LOOK_SECONDS = 0.5
"""Between two looks at the ledger while somebody watches (expert assumption)."""
MOST_JOBS = 50
"""Jobs that are told of (expert assumption)."""

Documents = dict[str, dict[str, Any]]


class JobFeed:
    """The jobs that are open or have just ended, read at most every half of LOOK_SECONDS."""

    def __init__(
        self, settings: Settings, database: Callable[[], AbstractAsyncContextManager[asyncpg.Connection]]
    ) -> None:
        self._stalled_after = settings.stalled_after_minutes
        self._database = database
        self._lock = asyncio.Lock()
        self._read_at = float("-inf")
        self._known: Documents = {}

    async def now(self) -> Documents:
        """Their documents with the counts of their risks, by job_id.

        Raises:
            Unavailable: The database does not answer.
        """
        clock = asyncio.get_running_loop().time
        async with self._lock:
            if clock() - self._read_at > LOOK_SECONDS / 2:
                self._known = await self._read()
                self._read_at = clock()
            return self._known

    async def _read(self) -> Documents:
        async with self._database() as connection:
            found = await jobs.moving(connection, MOST_JOBS)
            standing = await standings(connection, found, self._stalled_after)
            return {
                job.job_id: job_document(job, standing.get(job.job_id))
                | {"risk_counts": [asdict(each) for each in await jobs.risk_counts(connection, job.job_id)]}
                for job in found
            }
