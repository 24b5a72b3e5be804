"""Takes failed outcomes back, and from every counter exactly what they had added."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

FAILED_ENDS = ("completed_with_failures", "failed")

# The ledger's order: chunks, risks, jobs.
_LOCK_CHUNKS = """
    SELECT chunk FROM batch_job_chunks WHERE job_id = $1 AND ($2::integer IS NULL OR chunk = $2)
    ORDER BY chunk FOR NO KEY UPDATE
"""
_LOCK_RISKS = "SELECT FROM batch_job_risks WHERE job_id = $1 ORDER BY risk_type FOR NO KEY UPDATE"
_LOCK_JOB = "SELECT FROM batch_job_logs WHERE job_id = $1 FOR NO KEY UPDATE"
_UNCOUNTED = """
    SELECT count(*) FROM batch_job_outcomes
    WHERE job_id = $1 AND failed_cells <> '{}' AND counts IS NULL
      AND ($2::integer IS NULL OR chunk = $2) AND ($3::text IS NULL OR kind = $3)
"""
# Every part sees the outcomes as they were before; what a finished chunk had added to the job is told
# by all its outcomes, also by those that stay.
_REOPEN = """
    WITH taken AS (
        DELETE FROM batch_job_outcomes
        WHERE job_id = $1 AND failed_cells <> '{}'
          AND ($2::integer IS NULL OR chunk = $2) AND ($3::text IS NULL OR kind = $3)
        RETURNING chunk, kind, counts
    ), told AS (
        SELECT chunk, count(*) AS kinds FROM taken GROUP BY chunk
    ), finished AS (
        SELECT coalesce(sum(c.cells), 0) AS cells, count(*) AS chunks,
               coalesce(sum((SELECT count(DISTINCT cell)
                             FROM batch_job_outcomes o, unnest(o.failed_cells) AS cell
                             WHERE (o.job_id, o.chunk) = (c.job_id, c.chunk))), 0) AS failed
        FROM batch_job_chunks c JOIN told USING (chunk)
        WHERE c.job_id = $1 AND c.kinds_left = 0
    ), reopened AS (
        UPDATE batch_job_chunks c SET kinds_left = c.kinds_left + told.kinds, losses = 0, starts = 0
        FROM told WHERE (c.job_id, c.chunk) = ($1, told.chunk)
    ), counted AS (
        SELECT risk.key AS risk_type, sum((risk.value ->> 0)::integer) AS reported,
               sum((risk.value ->> 1)::integer) AS without_number, sum((risk.value ->> 2)::integer) AS failed
        FROM taken, jsonb_each(taken.counts) AS risk GROUP BY risk.key
    ), risks AS (
        UPDATE batch_job_risks r
        SET reported = r.reported - counted.reported, failed = r.failed - counted.failed,
            without_number = r.without_number - counted.without_number
        FROM counted WHERE (r.job_id, r.risk_type) = ($1, counted.risk_type)
    )
    UPDATE batch_job_logs j
    SET processed_grids = j.processed_grids - f.cells,
        failed_grids = j.failed_grids - f.failed,
        chunks_done = j.chunks_done - f.chunks,
        success_rate = 100.0 * (j.processed_grids - f.cells - j.failed_grids + f.failed) / j.total_grids,
        error_message = (
            SELECT o.error FROM batch_job_outcomes o
            WHERE o.job_id = $1 AND o.error IS NOT NULL
              AND NOT EXISTS (SELECT FROM taken WHERE (taken.chunk, taken.kind) = (o.chunk, o.kind))
            ORDER BY o.recorded_at, o.chunk, o.kind LIMIT 1),
        status = CASE WHEN j.status = ANY ($4::text[]) THEN 'running' ELSE j.status END,
        completed_at = CASE WHEN j.status = ANY ($4::text[]) THEN NULL ELSE j.completed_at END
    FROM finished f
    WHERE j.job_id = $1 AND EXISTS (SELECT FROM taken)
    RETURNING (SELECT count(*) FROM taken) AS outcomes
"""
_FORGET_ALL = "DELETE FROM batch_job_outcomes WHERE job_id = $1"
_START_CHUNKS = """
    UPDATE batch_job_chunks c SET kinds_left = cardinality(j.kinds), losses = 0, starts = 0
    FROM batch_job_logs j WHERE j.job_id = c.job_id AND c.job_id = $1
"""
_START_RISKS = "UPDATE batch_job_risks SET reported = 0, without_number = 0, failed = 0 WHERE job_id = $1"
_START_JOB = """
    UPDATE batch_job_logs
    SET processed_grids = 0, failed_grids = 0, chunks_done = 0, success_rate = NULL, error_message = NULL,
        status = 'running', completed_at = NULL
    WHERE job_id = $1
"""
_UNSEND = """
    UPDATE batch_job_chunks SET sent_at = NULL, partition = NULL, "offset" = NULL, losses = 0, starts = 0
    WHERE job_id = $1 AND kinds_left > 0 AND ($2::integer IS NULL OR chunk = $2)
"""
# What wakes the dispatcher; a chunk that was sent before is no new row, so no trigger does.
_WAKE = "SELECT pg_notify('riskflow_chunks', '')"


@dataclass(frozen=True, slots=True)
class Place:
    """Outcomes of a job: all, those of a chunk, or the one of its kind."""

    job_id: str
    chunk: int | None = None
    kind: str | None = None


async def lock(connection: asyncpg.Connection, job_id: str, chunk: int | None = None) -> None:
    """Lock chunks, counters and job in the ledger's order; call it behind the job's shut gate."""
    await connection.execute(_LOCK_CHUNKS, job_id, chunk)
    await connection.execute(_LOCK_RISKS, job_id)
    await connection.execute(_LOCK_JOB, job_id)


async def uncounted(connection: asyncpg.Connection, place: Place) -> int:
    """Failed outcomes that an older version recorded without counts, so that they cannot be taken back."""
    count: int = await connection.fetchval(_UNCOUNTED, place.job_id, place.chunk, place.kind)
    return count


async def reopen(connection: asyncpg.Connection, place: Place) -> int:
    """Take failed outcomes back; a job that they ended runs again.

    Call it after `lock`, where `uncounted` is 0. What is to be computed anew has to be unsent as well.

    Returns:
        How many outcomes were taken back.
    """
    outcomes = await connection.fetchval(_REOPEN, place.job_id, place.chunk, place.kind, FAILED_ENDS)
    return outcomes or 0


async def start_over(connection: asyncpg.Connection, job_id: str) -> None:
    """Take every outcome of a climate job back, good ones too; call it after `lock`."""
    for statement in (_FORGET_ALL, _START_CHUNKS, _START_RISKS, _START_JOB):
        await connection.execute(statement, job_id)


async def unsend(connection: asyncpg.Connection, job_id: str, chunk: int | None = None) -> None:
    """Have the dispatcher send what has not reported, as if it had never been sent."""
    await connection.execute(_UNSEND, job_id, chunk)
    await connection.execute(_WAKE)
