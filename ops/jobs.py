"""The job log as people read it: one job, the latest jobs, and waiting for one to end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

import asyncpg

from schemas.messages import KINDS_OF

ENDED = frozenset({"completed", "completed_with_failures", "failed", "cancelled"})
WEEKLY = "weekly"
POLL_SECONDS = 0.2
MOST_FAILURES = 20
"""Reasons of one job that are told (expert assumption)."""

_COLUMNS = """
    job_id, job_type, job_seq, status, scenario, window_start, window_end, kinds, risks, requested_by,
    started_at, completed_at, total_grids, processed_grids, failed_grids, success_rate, chunks_total,
    chunks_done, error_message, report_date, cancelled_by, resumed_by, resumed_at
"""
_PAGE = f"""
    SELECT id, {_COLUMNS} FROM batch_job_logs
    WHERE ($2::bigint IS NULL OR id < $2) AND ($3::text IS NULL OR status = $3)
      AND ($4::text IS NULL OR job_type = $4) AND ($5 OR job_type <> 'weekly')
    ORDER BY id DESC LIMIT $1
"""  # noqa: S608 - a constant
_FAILURES = """
    SELECT kind, error, count(*) AS chunks, coalesce(sum(cardinality(failed_cells)), 0)::bigint AS cells
    FROM batch_job_outcomes WHERE job_id = $1 AND (error IS NOT NULL OR failed_cells <> '{}')
    GROUP BY kind, error ORDER BY chunks DESC, kind, error LIMIT $2
"""
_TENANTS = """
    SELECT t.org_id, t.state, t.students, t.parts, t.parts - t.parts_left AS parts_done, t.error,
           ARRAY (SELECT d.channel || ' ' || d.state FROM report_deliveries d
                  WHERE (d.org_id, d.report_date) = (t.org_id, t.report_date)
                  ORDER BY d.channel) AS deliveries
    FROM batch_job_tenants t WHERE t.job_id = $1 ORDER BY t.org_id
"""


@dataclass(frozen=True, slots=True)
class RiskCounts:
    """Cells of one risk that have reported, summed over the job's kinds."""

    risk_type: str
    reported: int
    without_number: int
    failed: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why parts of a job failed, once per kind and reason."""

    kind: str
    error: str | None
    chunks: int
    cells: int
    """Cells that failed; of a weekly job students, and 0 where a part failed as a whole."""


@dataclass(frozen=True, slots=True)
class TenantState:
    """How far one tenant of a weekly job is."""

    org_id: str
    state: str
    students: int
    parts: int
    parts_done: int
    error: str | None
    deliveries: list[str]
    """Channel and state of each delivery of the tenant's report of this date, whichever job made it."""


@dataclass(frozen=True, slots=True)
class Job:
    """One row of batch_job_logs."""

    job_id: str
    job_type: str
    job_seq: int
    status: str
    scenario: str | None
    window_start: int | None
    window_end: int | None
    kinds: list[str]
    risks: list[str]
    requested_by: str | None
    started_at: datetime | None
    completed_at: datetime | None
    total_grids: int | None
    processed_grids: int | None
    failed_grids: int | None
    success_rate: float | None
    chunks_total: int
    chunks_done: int
    error_message: str | None
    report_date: date | None
    cancelled_by: str | None
    resumed_by: str | None
    resumed_at: datetime | None

    @property
    def is_weekly(self) -> bool:
        """Whether its counters count tenants; those of the other jobs count cells."""
        return self.job_type == WEEKLY

    @property
    def ended(self) -> bool:
        """Whether nothing more will change, unless somebody resumes it."""
        return self.status in ENDED

    @property
    def is_refused(self) -> bool:
        """Whether its trigger was refused: such a job has no place in the order and nothing to do."""
        return self.status == "failed" and not self.job_seq and not self.total_grids

    @property
    def percent(self) -> int | None:
        """Cells or tenants that have reported, of all; 100 only when none is missing."""
        return 100 * (self.processed_grids or 0) // self.total_grids if self.total_grids else None

    @property
    def reports_per_risk(self) -> int:
        """Cells that each risk reports when the job is whole: cells times kinds."""
        return (self.total_grids or 0) * len(self.kinds or KINDS_OF.get(self.job_type, ()))

    @property
    def window(self) -> str:
        """The years as the command line writes them."""
        return f"{self.window_start}-{self.window_end}" if self.window_start is not None else ""

    @property
    def seconds(self) -> float | None:
        """Wall time from acceptance to the end."""
        if self.started_at is None or self.completed_at is None:
            return None
        return (self.completed_at - self.started_at).total_seconds()


async def find(connection: asyncpg.Connection, job_id: str) -> Job | None:
    """The job with this id, None where nobody has accepted or refused it yet."""
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM batch_job_logs WHERE job_id = $1", job_id)  # noqa: S608 - a constant
    return Job(**row) if row is not None else None


async def latest(connection: asyncpg.Connection, limit: int) -> list[Job]:
    """The latest jobs, newest first."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM batch_job_logs ORDER BY started_at DESC NULLS LAST, id DESC LIMIT $1",  # noqa: S608
        limit,
    )
    return [Job(**row) for row in rows]


async def page(  # noqa: PLR0913 - the filters of the list
    connection: asyncpg.Connection,
    limit: int,
    *,
    before: int | None = None,
    status: str | None = None,
    job_type: str | None = None,
    weekly: bool = True,
) -> list[tuple[int, Job]]:
    """Jobs in the order of their rows, newest first, each with its row's id.

    Args:
        connection: To the ledger.
        limit: At most so many.
        before: Only rows with a smaller id.
        status: Only in this state.
        job_type: Only of this type.
        weekly: Weekly jobs too.
    """
    rows = await connection.fetch(_PAGE, limit, before, status, job_type, weekly)
    return [(row["id"], Job(**{name: value for name, value in row.items() if name != "id"})) for row in rows]


async def moving(connection: asyncpg.Connection, limit: int) -> list[Job]:
    """Jobs that run or wait, and those that ended within the last minute, newest first."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS} FROM batch_job_logs
        WHERE status IN ('pending', 'running') OR completed_at > clock_timestamp() - interval '1 minute'
        ORDER BY id DESC LIMIT $1
        """,  # noqa: S608 - a constant
        limit,
    )
    return [Job(**row) for row in rows]


async def risk_counts(connection: asyncpg.Connection, job_id: str) -> list[RiskCounts]:
    """Counters per risk of a job, in the order of the table of risks."""
    rows = await connection.fetch(
        """
        SELECT risk_type, reported, without_number, failed
        FROM batch_job_risks LEFT JOIN riskflow.risk_types USING (risk_type)
        WHERE job_id = $1 ORDER BY position, risk_type
        """,
        job_id,
    )
    return [RiskCounts(**row) for row in rows]


async def failures(connection: asyncpg.Connection, job_id: str, limit: int = MOST_FAILURES) -> list[Failure]:
    """Reasons for which parts of a job failed, those of the most chunks first."""
    return [Failure(**row) for row in await connection.fetch(_FAILURES, job_id, limit)]


async def tenant_states(connection: asyncpg.Connection, job_id: str) -> list[TenantState]:
    """Tenants of a weekly job, by org_id; none of another job."""
    return [TenantState(**row) for row in await connection.fetch(_TENANTS, job_id)]


async def wait(
    connection: asyncpg.Connection,
    job_id: str,
    *,
    limit: float | None,
    seen: Callable[[Job], None] = lambda _job: None,
) -> Job | None:
    """Read the job row until the job has ended.

    Args:
        connection: Used by nobody else meanwhile.
        job_id: Of the trigger that was sent.
        limit: Longest wait [s], None for ever.
        seen: Told of the job at each look.

    Returns:
        The job as last read, ended or not; None where its row never came.
    """
    deadline = None if limit is None else time.monotonic() + limit
    while True:
        job = await find(connection, job_id)
        if job is not None:
            seen(job)
        if (job is not None and job.ended) or (deadline is not None and time.monotonic() > deadline):
            return job
        await asyncio.sleep(POLL_SECONDS)
