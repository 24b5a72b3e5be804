"""What the ledger in PostgreSQL says of a chunk before it is worked on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import asyncpg
import structlog
from tenacity import RetryCallState, retry, retry_if_exception, stop_after_delay, wait_random_exponential

from schemas.faults import is_passing
from schemas.messages import Kind, Window
from schemas.topics import GRID_CHUNKS, TENANT_CHUNKS, Topic
from streams.metrics import PartOrigin
from streams.results import Origin

T = TypeVar("T")
log = structlog.get_logger(__name__)

PATIENCE = 120.0
"""How long the database may be away before the worker gives up [s] (expert assumption)."""

LONGEST_PAUSE = 5.0
"""Longest wait between two tries [s] (expert assumption)."""

OPEN_STATES = ("pending", "running")

_TAKE_UP = """
UPDATE batch_job_chunks AS chunk
SET starts = chunk.starts
    + (chunk.kinds_left > 0 AND job.status = ANY ($3::text[]) AND job.job_seq = $4)::integer
FROM batch_job_logs AS job
WHERE chunk.chunk_id = $1 AND chunk.topic = $2 AND job.job_id = chunk.job_id
RETURNING job.status, job.job_seq, chunk.kinds_left, chunk.starts, job.job_seq = $4 AS present
"""

_FIND_CELLS = """
SELECT job.job_id, job.job_seq, job.kinds, job.scenario, job.window_start, job.window_end,
       chunk.chunk_id, chunk.chunk, chunk.latitudes, chunk.longitudes
FROM batch_job_chunks AS chunk JOIN batch_job_logs AS job USING (job_id)
WHERE chunk.chunk_id = $1 AND chunk.topic = $2 AND chunk.kinds_left > 0
"""

_FIND_PART = """
SELECT job.job_id, job.job_seq, chunk.chunk_id, chunk.chunk,
       chunk.org_id, tenant.report_date, chunk.part, tenant.parts
FROM batch_job_chunks AS chunk
JOIN batch_job_logs AS job USING (job_id)
JOIN batch_job_tenants AS tenant USING (job_id, org_id)
WHERE chunk.chunk_id = $1 AND chunk.topic = $2 AND chunk.kinds_left > 0
"""


@dataclass(frozen=True, slots=True)
class Start:
    """State of a chunk's job, and how often the chunk has been taken up, this time included."""

    status: str
    job_seq: int
    kinds_left: int
    starts: int
    present: bool
    """Whether the message is of the job's present run; one of an earlier run is sent again for this one."""

    @property
    def wanted(self) -> bool:
        """Whether the chunk still has to be computed for this message."""
        return self.kinds_left > 0 and self.status in OPEN_STATES and self.present


def _tell(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.warning(
        "the database does not answer; trying again", error=type(error).__name__, tries=state.attempt_number
    )


@retry(
    retry=retry_if_exception(is_passing),
    stop=stop_after_delay(PATIENCE),
    wait=wait_random_exponential(multiplier=0.1, max=LONGEST_PAUSE),
    before_sleep=_tell,
    reraise=True,
)
async def patiently(pool: asyncpg.Pool, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
    """Run `work` on a connection of the pool, again while errors pass, up to PATIENCE.

    Raises:
        Exception: The last error, when it does not pass.
    """
    async with pool.acquire() as connection:
        return await work(connection)


async def _row(
    pool: asyncpg.Pool, query: str, chunk_id: str, topic: Topic, *others: object
) -> asyncpg.Record | None:
    """The query's row for a chunk; None for an id that PostgreSQL's text cannot hold, so no chunk has it."""
    if "\x00" in chunk_id:
        return None
    return await patiently(pool, lambda connection: connection.fetchrow(query, chunk_id, topic.name, *others))


async def take_up(pool: asyncpg.Pool, topic: Topic, chunk_id: str, job_seq: int) -> Start | None:
    """Note that a chunk of the topic is taken up, if it is wanted; None where the ledger does not know it.

    Args:
        pool: Of the ledger.
        topic: That the message came from.
        chunk_id: What it asks for.
        job_seq: Run of the job that it was sent for.
    """
    row = await _row(pool, _TAKE_UP, chunk_id, topic, OPEN_STATES, job_seq)
    return None if row is None else Start(**row)


async def find_cells(pool: asyncpg.Pool, chunk_id: str) -> tuple[Origin, list[Kind]] | None:
    """A chunk of cells that is not done, by its id alone, and its job's kinds; None where there is none."""
    row = await _row(pool, _FIND_CELLS, chunk_id, GRID_CHUNKS)
    if row is None:
        return None
    origin = Origin(
        job_id=row["job_id"],
        job_seq=row["job_seq"],
        chunk_id=row["chunk_id"],
        chunk=row["chunk"],
        scenario=row["scenario"],
        window=Window(start=row["window_start"], end=row["window_end"]),
        cells=list(zip(row["latitudes"], row["longitudes"], strict=True)),
    )
    return origin, row["kinds"]


async def find_part(pool: asyncpg.Pool, chunk_id: str) -> PartOrigin | None:
    """A part of a tenant that is not done, by its chunk's id alone; None where there is none."""
    row = await _row(pool, _FIND_PART, chunk_id, TENANT_CHUNKS)
    return None if row is None else PartOrigin(**row)
