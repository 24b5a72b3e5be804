"""Outcomes and counters of jobs, each counted once however often its result comes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import asyncpg
import orjson

from consumers.outcomes import Chunk, Outcome
from schemas.codec import Record, encode
from schemas.messages import JobEvent, RiskProgress
from schemas.storable import plain
from schemas.topics import JOB_EVENTS

SOURCE = "sink"
OPEN = ("pending", "running")

_CHUNKS = """
    SELECT c.chunk_id, c.job_id, j.job_seq, c.chunk, c.cells, j.kinds, j.risks
    FROM batch_job_chunks c JOIN batch_job_logs j USING (job_id)
    WHERE c.chunk_id = ANY ($1::text[])
"""
_RECORD = """
    INSERT INTO batch_job_outcomes (job_id, chunk, kind, failed_cells, error, counts)
    SELECT job_id, chunk, kind, failed_cells::integer[], error, counts::jsonb
    FROM unnest($1::text[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::text[])
        AS o (job_id, chunk, kind, failed_cells, error, counts)
    ORDER BY job_id, chunk, kind
    ON CONFLICT DO NOTHING RETURNING job_id, chunk, kind
"""
# Rows are locked in one order before they change, so that two sinks never wait for each other; NO KEY,
# because the foreign keys of the rows inserted before hold a key lock on them already.
_COUNT_CHUNKS = """
    WITH told AS (
        SELECT job_id, chunk, count(*) AS kinds
        FROM unnest($1::text[], $2::integer[]) AS t (job_id, chunk) GROUP BY job_id, chunk
    ), locked AS (
        SELECT c.job_id, c.chunk FROM batch_job_chunks c JOIN told USING (job_id, chunk)
        ORDER BY c.job_id, c.chunk FOR NO KEY UPDATE OF c
    )
    UPDATE batch_job_chunks c SET kinds_left = c.kinds_left - told.kinds
    FROM told JOIN locked USING (job_id, chunk)
    WHERE (c.job_id, c.chunk) = (told.job_id, told.chunk)
    RETURNING c.job_id, c.chunk, c.kinds_left
"""
_COUNT_RISKS = """
    INSERT INTO batch_job_risks AS stored (job_id, risk_type, reported, without_number, failed)
    SELECT job_id, risk_type, sum(reported), sum(without_number), sum(failed)
    FROM unnest($1::text[], $2::text[], $3::integer[], $4::integer[], $5::integer[])
        AS r (job_id, risk_type, reported, without_number, failed)
    GROUP BY job_id, risk_type ORDER BY job_id, risk_type
    ON CONFLICT (job_id, risk_type) DO UPDATE
    SET reported = stored.reported + excluded.reported,
        without_number = stored.without_number + excluded.without_number,
        failed = stored.failed + excluded.failed
"""
# A statement of its own, so that it sees the outcome of a chunk's other kind that another sink has
# just committed. A cell has failed when any kind failed it.
_COUNT_JOBS = """
    WITH told AS (
        SELECT * FROM unnest($1::text[], $2::text[]) AS t (job_id, error)
    ), finished AS (
        SELECT c.job_id, sum(c.cells) AS cells, count(*) AS chunks,
               sum((SELECT count(DISTINCT cell) FROM batch_job_outcomes o, unnest(o.failed_cells) AS cell
                    WHERE (o.job_id, o.chunk) = (c.job_id, c.chunk))) AS failed
        FROM batch_job_chunks c
        JOIN unnest($3::text[], $4::integer[]) AS f (job_id, chunk) USING (job_id, chunk)
        GROUP BY c.job_id
    ), locked AS (
        SELECT j.job_id FROM batch_job_logs j JOIN told USING (job_id)
        ORDER BY j.job_id FOR NO KEY UPDATE OF j
    ), added AS (
        SELECT told.job_id, told.error, coalesce(f.cells, 0) AS cells, coalesce(f.failed, 0) AS failed,
               coalesce(f.chunks, 0) AS chunks
        FROM told JOIN locked USING (job_id) LEFT JOIN finished f USING (job_id)
    )
    UPDATE batch_job_logs j
    SET processed_grids = j.processed_grids + a.cells,
        failed_grids = j.failed_grids + a.failed,
        chunks_done = j.chunks_done + a.chunks,
        error_message = coalesce(j.error_message, a.error),
        success_rate = 100.0 * (j.processed_grids + a.cells - j.failed_grids - a.failed) / j.total_grids,
        status = CASE
            WHEN j.status <> ALL ($5::text[]) OR j.chunks_done + a.chunks < j.chunks_total THEN j.status
            WHEN j.failed_grids + a.failed = 0 THEN 'completed'
            WHEN j.failed_grids + a.failed = j.total_grids THEN 'failed'
            ELSE 'completed_with_failures' END,
        completed_at = CASE
            WHEN j.status <> ALL ($5::text[]) OR j.chunks_done + a.chunks < j.chunks_total THEN j.completed_at
            ELSE clock_timestamp() END
    FROM added a
    WHERE j.job_id = a.job_id
    RETURNING j.job_id, j.job_type, j.status, j.total_grids, j.processed_grids, j.failed_grids,
              j.error_message, j.traceparent,
              a.chunks > 0 AND j.chunks_done = j.chunks_total AND j.status <> 'cancelled' AS ended
"""
_RISKS = """
    SELECT job_id, risk_type, reported, without_number, failed
    FROM batch_job_risks WHERE job_id = ANY ($1::text[])
"""


async def chunks(connection: asyncpg.Connection, chunk_ids: Iterable[str]) -> dict[str, Chunk]:
    """Those of the chunks that the ledger knows."""
    rows = await connection.fetch(_CHUNKS, list(chunk_ids))
    return {row["chunk_id"]: Chunk(**row) for row in rows}


async def record(connection: asyncpg.Connection, outcomes: Sequence[Outcome]) -> list[Record]:
    """Write outcomes and add what is new to the counters; the last thing a transaction does.

    Returns:
        Job events for the outbox: progress, or the end of a job.
    """
    given: dict[tuple[str, int, str], Outcome] = {}
    for outcome in outcomes:
        given.setdefault(outcome.key, outcome)
    new = [given[key] for key in await _insert(connection, list(given.values()))]
    if not new:
        return []
    finished = await count_chunks(connection, [(outcome.job_id, outcome.chunk) for outcome in new])
    await _count_risks(connection, new)
    errors: dict[str, str | None] = {}
    for outcome in sorted(new, key=lambda each: each.key):
        errors[outcome.job_id] = errors.get(outcome.job_id) or outcome.error
    texts = [error and plain(error) for error in errors.values()]
    done = [job_id for job_id, _ in finished], [chunk for _, chunk in finished]
    jobs = await connection.fetch(_COUNT_JOBS, list(errors), texts, *done, OPEN)
    return await events(connection, [job for job in jobs if job["ended"] or job["status"] in OPEN])


async def count_chunks(
    connection: asyncpg.Connection, keys: Sequence[tuple[str, int]]
) -> list[tuple[str, int]]:
    """Take new outcomes off what their chunks still wait for.

    Args:
        connection: Inside the transaction that has written the outcomes.
        keys: Job and chunk of each new outcome; a chunk with two new kinds is there twice.

    Returns:
        Job and chunk of those that wait for nothing more.
    """
    rows = await connection.fetch(_COUNT_CHUNKS, [job_id for job_id, _ in keys], [chunk for _, chunk in keys])
    return [(row["job_id"], row["chunk"]) for row in rows if row["kinds_left"] == 0]


async def _insert(connection: asyncpg.Connection, outcomes: Sequence[Outcome]) -> list[tuple[str, int, str]]:
    rows = await connection.fetch(
        _RECORD,
        [outcome.job_id for outcome in outcomes],
        [outcome.chunk for outcome in outcomes],
        [outcome.kind for outcome in outcomes],
        ["{" + ",".join(map(str, outcome.failed_cells)) + "}" for outcome in outcomes],
        [outcome.error and plain(outcome.error) for outcome in outcomes],
        [_counts(outcome) for outcome in outcomes],
    )
    return [(row["job_id"], row["chunk"], row["kind"]) for row in rows]


def _counts(outcome: Outcome) -> str | None:
    """What `consumers.reopening` takes back; only failures ever are."""
    if not outcome.failed_cells:
        return None
    counts = {each.risk_type: (each.reported, each.without_number, each.failed) for each in outcome.counts}
    return orjson.dumps(counts).decode()


async def _count_risks(connection: asyncpg.Connection, outcomes: Sequence[Outcome]) -> None:
    counts = [(outcome.job_id, count) for outcome in outcomes for count in outcome.counts]
    await connection.execute(
        _COUNT_RISKS,
        [job_id for job_id, _ in counts],
        [count.risk_type for _, count in counts],
        [count.reported for _, count in counts],
        [count.without_number for _, count in counts],
        [count.failed for _, count in counts],
    )


async def events(connection: asyncpg.Connection, jobs: Sequence[asyncpg.Record]) -> list[Record]:
    """What is said of jobs as they are now: progress, or their end.

    Args:
        connection: Inside the transaction that has changed them.
        jobs: Rows with the columns that JobEvent tells, status and traceparent.
    """
    risks: dict[str, dict[str, RiskProgress]] = defaultdict(dict)
    for row in await connection.fetch(_RISKS, [job["job_id"] for job in jobs]):
        risks[row["job_id"]][row["risk_type"]] = RiskProgress(
            reported=row["reported"], without_number=row["without_number"], failed=row["failed"]
        )
    return [_event(job, risks[job["job_id"]]) for job in jobs]


def _event(job: asyncpg.Record, risks: dict[str, RiskProgress]) -> Record:
    event = JobEvent(
        job_id=job["job_id"],
        job_type=job["job_type"],
        state="progress" if job["status"] in OPEN else job["status"],
        total_grids=job["total_grids"],
        processed_grids=job["processed_grids"],
        failed_grids=job["failed_grids"],
        risks=risks,
        message=job["error_message"],
    )
    return encode(JOB_EVENTS, event, source=SOURCE, traceparent=job["traceparent"])
