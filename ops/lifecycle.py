"""Cancelling a job and resuming it, each in one transaction of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from consumers import gate, reopening
from consumers.ledger import OPEN, events
from consumers.letters import put
from consumers.reopening import Place
from ops import weekly_jobs
from ops.renewal import tell_again
from schemas.errors import NotFound, RiskflowError

WEEKLY = "weekly"
TRIES = 3
"""Times that a change is tried which PostgreSQL ends because of a deadlock (expert assumption)."""

_FIND = """
    SELECT job_id, job_type, job_seq, status, error_message, chunks_total, total_grids, report_date,
           cancelled_by, completed_at
    FROM batch_job_logs WHERE job_id = $1
"""
_TOLD = """
    job_id, job_type, status, total_grids, processed_grids, failed_grids, error_message, traceparent,
    chunks_total, chunks_done
"""
_CANCEL = f"""
    UPDATE batch_job_logs SET status = 'cancelled', cancelled_by = $2, completed_at = clock_timestamp()
    WHERE job_id = $1 AND status = ANY ($3::text[]) AND job_seq > 0 RETURNING {_TOLD}
"""  # noqa: S608 - a constant
# What came after a cancellation may have been the last; then nothing will end the job but this.
_RESUME = f"""
    UPDATE batch_job_logs
    SET job_seq = nextval('riskflow.job_seq'), resumed_by = $2, resumed_at = clock_timestamp(),
        resumes = resumes + 1,
        status = CASE WHEN CASE WHEN job_type = 'weekly' THEN processed_grids < total_grids
                                ELSE chunks_done < chunks_total END THEN 'running'
            WHEN failed_grids = 0 THEN 'completed'
            WHEN failed_grids = total_grids THEN 'failed'
            ELSE 'completed_with_failures' END,
        completed_at = CASE WHEN CASE WHEN job_type = 'weekly' THEN processed_grids < total_grids
                                      ELSE chunks_done < chunks_total END THEN NULL
            ELSE clock_timestamp() END
    WHERE job_id = $1 RETURNING {_TOLD}
"""  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A job that was cancelled just now, with what it had reported by then."""

    job_id: str
    job_type: str
    processed: int
    total: int
    chunks_done: int
    chunks_total: int

    @property
    def sentence(self) -> str:
        """How far it had come, and how it goes on."""
        unit = "tenants" if self.job_type == WEEKLY else "cells"
        return (
            f"{self.job_id} is cancelled: {self.processed} of {self.total} {unit} were done, their rows "
            f"stay. What workers hold is still stored. To go on: riskflow jobs resume {self.job_id}"
        )


@dataclass(frozen=True, slots=True)
class Resumed:
    """A job that was resumed; `reopened` outcomes are computed again, all where `from_start`."""

    job_id: str
    job_type: str
    status: str
    reopened: int
    from_start: bool
    chunks_left: int
    """Chunks or parts to be computed, none of tenants that have ended."""

    @property
    def sentence(self) -> str:
        """What is left to do."""
        if self.status != "running":
            return f"{self.job_id} is {self.status.replace('_', ' ')}: everything was there already"
        unit = "parts" if self.job_type == WEEKLY else "chunks"
        left = f"{self.chunks_left} {unit} are computed"
        if not self.chunks_left:
            left = "every part is computed, reports are made and sent"
        elif self.from_start:
            left += ", all of it anew: it failed under a version that kept no counts of failed chunks"
        elif self.reopened and self.job_type != WEEKLY:
            left += f", failed results taken back: {self.reopened}"
        return f"{self.job_id} runs again: {left}. See: riskflow jobs show {self.job_id}"


# Whoever sends reports locks the deliveries of several tenants in an order of its own.
_again = retry(
    retry=retry_if_exception_type(asyncpg.DeadlockDetectedError),
    stop=stop_after_attempt(TRIES),
    reraise=True,
)


@_again
async def cancel(connection: asyncpg.Connection, job_id: str, by: str) -> Cancelled:
    """End a job: nothing more of it is sent; what still comes of it is stored and counted.

    Args:
        connection: Outside a transaction; this is one.
        job_id: Of a job that has not ended.
        by: Who cancels it.

    Raises:
        RiskflowError: There is no such job, or it has ended; says how.
        asyncpg.DeadlockDetectedError: TRIES times in a row; nothing was changed.
    """
    async with connection.transaction():
        await gate.shut(connection, job_id)
        job = await _find(connection, job_id)
        if job["status"] not in OPEN or not job["job_seq"]:
            raise RiskflowError(f"job {job_id} {_how_it_ended(job)}; nothing was cancelled")
        if job["job_type"] == WEEKLY:
            await weekly_jobs.stop_deliveries(connection, job_id, by)
        row = await connection.fetchrow(_CANCEL, job_id, by, OPEN)
        if row is None:
            # Its last tenant may end without the gate, by a delivery.
            job = await _find(connection, job_id)
            raise RiskflowError(f"job {job_id} {_how_it_ended(job)}; nothing was cancelled")
        await put(connection, await events(connection, [row]))
    counts = (row["processed_grids"], row["total_grids"], row["chunks_done"], row["chunks_total"])
    return Cancelled(job_id, row["job_type"], *counts)


@_again
async def resume(connection: asyncpg.Connection, job_id: str, by: str) -> Resumed:
    """Compute what a cancelled job lacks, or the failed chunks of one that has ended.

    The job takes a new place in the order: rows that are computed now replace those of jobs accepted
    since; what was done before and has been replaced meanwhile stays replaced.

    Args:
        connection: Outside a transaction; this is one.
        job_id: Of a job that was cancelled, or ended with failures.
        by: Who resumes it.

    Raises:
        RiskflowError: There is no such job, or nothing of it can be resumed; says why.
        asyncpg.DeadlockDetectedError: TRIES times in a row; nothing was changed.
    """
    async with connection.transaction():
        await gate.shut(connection, job_id)
        job = await _find(connection, job_id)
        if reason := await _why_not(connection, job):
            raise RiskflowError(reason)
        if job["job_type"] == WEEKLY:
            # Deliveries before tenants and jobs, as those lock them who take in a report or end one.
            await weekly_jobs.release_deliveries(connection, job_id)
            reopened, from_start = await weekly_jobs.reopen_parts(connection, job_id), False
        else:
            reopened, from_start = await _reopen(connection, job_id)
        row = await connection.fetchrow(_RESUME, job_id, by)
        left = row["chunks_total"] - row["chunks_done"]
        if job["job_type"] == WEEKLY:
            left = await weekly_jobs.parts_left(connection, job_id)
            await tell_again(connection, job_id)
        await put(connection, await events(connection, [row]))
    return Resumed(job_id, row["job_type"], row["status"], reopened, from_start, left)


async def _reopen(connection: asyncpg.Connection, job_id: str) -> tuple[int, bool]:
    """Open the failed outcomes again, or all where an older version kept no counts; says which."""
    await reopening.lock(connection, job_id)
    from_start = bool(await reopening.uncounted(connection, Place(job_id)))
    reopened = 0
    if from_start:
        await reopening.start_over(connection, job_id)
    else:
        reopened = await reopening.reopen(connection, Place(job_id))
    await reopening.unsend(connection, job_id)
    return reopened, from_start


async def _find(connection: asyncpg.Connection, job_id: str) -> asyncpg.Record:
    row = await connection.fetchrow(_FIND, job_id)
    if row is None:
        raise NotFound(f"there is no job {job_id}; riskflow jobs lists the latest")
    return row


def _how_it_ended(job: asyncpg.Record) -> str:
    if _is_refused(job):
        return "was refused and never ran"
    if not job["job_seq"]:
        return "is of the system before riskflow"
    if job["status"] == "cancelled":
        return f"is cancelled already, by {job['cancelled_by']} at {job['completed_at']:%Y-%m-%d %H:%M:%S}Z"
    return f"has ended: {job['status'].replace('_', ' ')}"


async def _why_not(connection: asyncpg.Connection, job: asyncpg.Record) -> str | None:
    """Why a job cannot be resumed, None where it can."""
    job_id, status = job["job_id"], job["status"]
    if _is_refused(job):
        return (
            f"job {job_id} was refused, so there is nothing to resume: {job['error_message']}; mend the "
            "cause and trigger it again, or replay its letter: riskflow dlq list --topic risk.triggers.v1"
        )
    if not job["job_seq"]:
        return f"job {job_id} is of the system before riskflow; trigger a new one"
    if status in OPEN:
        return f"job {job_id} is {status}: it goes on by itself; see: riskflow jobs show {job_id}"
    if status == "completed":
        return f"job {job_id} is completed: nothing of it is missing"
    if status != "cancelled" and job["job_type"] == WEEKLY:
        command = weekly_jobs.trigger_again(job["report_date"], await _failed_tenants(connection, job_id))
        return f"the tenants of job {job_id} have ended, and that is final; report them anew: {command}"
    return None


async def _failed_tenants(connection: asyncpg.Connection, job_id: str) -> Sequence[str]:
    rows = await connection.fetch(
        "SELECT org_id FROM batch_job_tenants WHERE job_id = $1 AND state = 'failed' ORDER BY org_id", job_id
    )
    return [row["org_id"] for row in rows]


def _is_refused(job: asyncpg.Record) -> bool:
    return job["status"] == "failed" and not job["job_seq"] and not job["chunks_total"]
