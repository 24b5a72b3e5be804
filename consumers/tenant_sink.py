"""Metrics of students to rows: rows, outcomes, summaries and events of a batch in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import asyncpg
import structlog

from consumers import gate, ledger, tenant_ledger, tenant_rows
from consumers.handler import Handler
from consumers.letters import dead_letter, put
from consumers.tenant_ledger import TenantEnd
from consumers.tenant_rows import TenantKey
from consumers.weekly import KIND
from schemas.codec import Record, decode, header, json_object
from schemas.errors import InvalidMessage
from schemas.storable import plain
from schemas.tenant_messages import TenantMetrics
from schemas.topics import TENANT_METRICS, TENANT_SINK_GROUP, Topic

SOURCE = "tenant-sink"
CHUNK_HEADER = "chunk-id"
"""Header that tells the part where the value cannot be read; the key is the tenant."""

log = structlog.get_logger(__name__)

_PARTS = """
    SELECT c.chunk_id, c.job_id, j.job_seq, c.chunk, c.org_id, t.report_date, c.part, t.parts,
           c.first_student, c.before_student
    FROM batch_job_chunks c JOIN batch_job_logs j USING (job_id)
    JOIN batch_job_tenants t USING (job_id, org_id)
    WHERE c.chunk_id = ANY ($1::text[])
"""
_RECORD = """
    INSERT INTO batch_job_outcomes (job_id, chunk, kind, error)
    SELECT job_id, chunk, $4, error
    FROM unnest($1::text[], $2::integer[], $3::text[]) AS o (job_id, chunk, error)
    ORDER BY job_id, chunk
    ON CONFLICT DO NOTHING RETURNING job_id, chunk
"""
# Rows are locked in one order before they change: tenants, chunks, jobs.
_COUNT_PARTS = """
    WITH told AS (
        SELECT job_id, org_id, count(*) AS parts
        FROM unnest($1::text[], $2::text[]) AS t (job_id, org_id) GROUP BY job_id, org_id
    ), locked AS (
        SELECT t.job_id, t.org_id FROM batch_job_tenants t JOIN told USING (job_id, org_id)
        ORDER BY t.job_id, t.org_id FOR NO KEY UPDATE OF t
    )
    UPDATE batch_job_tenants t SET parts_left = t.parts_left - told.parts, changed_at = clock_timestamp()
    FROM told JOIN locked USING (job_id, org_id)
    WHERE (t.job_id, t.org_id) = (told.job_id, told.org_id)
    RETURNING t.job_id, t.org_id, t.parts_left, t.ended_at IS NOT NULL AS ended
"""
_STORED = """
    UPDATE batch_job_tenants t SET state = 'stored', changed_at = clock_timestamp()
    FROM unnest($1::text[], $2::text[]) AS w (job_id, org_id)
    WHERE (t.job_id, t.org_id) = (w.job_id, w.org_id)
"""
_COUNT_CHUNKS_OF_JOBS = """
    WITH told AS (
        SELECT job_id, count(*) AS chunks FROM unnest($1::text[]) AS t (job_id) GROUP BY job_id
    ), locked AS (
        SELECT j.job_id FROM batch_job_logs j JOIN told USING (job_id)
        ORDER BY j.job_id FOR NO KEY UPDATE OF j
    )
    UPDATE batch_job_logs j SET chunks_done = j.chunks_done + told.chunks
    FROM told JOIN locked USING (job_id) WHERE j.job_id = told.job_id
"""
_JOBS = """
    SELECT job_id, job_type, total_grids, processed_grids, failed_grids, traceparent
    FROM batch_job_logs WHERE job_id = ANY ($1::text[])
"""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a tenant's students as the ledger holds it."""

    chunk_id: str
    job_id: str
    job_seq: int
    chunk: int
    org_id: str
    report_date: date
    part: int
    parts: int
    first_student: str | None
    before_student: str | None

    @property
    def tenant(self) -> TenantKey:
        """Job and tenant that it belongs to."""
        return self.job_id, self.org_id


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a part: its metrics, or the reason of the failure."""

    part: Part
    metrics: TenantMetrics | None
    error: str | None


class TenantSink(Handler):
    """Handler of the metrics of tenants."""

    name = SOURCE
    group = TENANT_SINK_GROUP
    topics: tuple[Topic, ...] = (TENANT_METRICS,)

    async def opened(self, connection: asyncpg.Connection) -> None:
        """Make the temporary table of the session."""
        await tenant_rows.create_temporary(connection)

    async def store(self, connection: asyncpg.Connection, records: Sequence[Any]) -> None:
        """Write the students' rows and the parts' outcomes; a tenant whose parts are all there is completed.

        Raises:
            InvalidMessage: A record is no TenantMetrics, or does not fit its part.
        """
        if len(records) == 1:
            # It may be one of several in this transaction, isolated from a poisoned batch.
            await tenant_rows.clear(connection)
        results = [decode(TenantMetrics, record.value) for record in records]
        await gate.enter(connection, {result.job_id for result in results})
        parts = await _parts(connection, {result.chunk_id for result in results})
        outcomes = []
        for result in results:
            part = parts.get(result.chunk_id)
            if part is None or not _is_present(result, part):
                log.warning(
                    "metrics of an unknown job or an older run; left out",
                    job_id=result.job_id,
                    chunk_id=result.chunk_id,
                    job_seq=result.job_seq,
                )
                continue
            _check_fits(part, result)
            outcomes.append(Outcome(part, result, result.failure))
        await _record(connection, outcomes)

    async def reject(self, connection: asyncpg.Connection, record: Any, error: Exception) -> None:
        """Write a dead letter; where the record tells its part, that part has failed."""
        chunk_id, job_seq = _told_by(record)
        await gate.enter(connection, [chunk_id.rpartition(":")[0]])
        await put(connection, [dead_letter(record, error)])
        part = (await _parts(connection, {chunk_id})).get(chunk_id)
        if part is not None and job_seq in (None, part.job_seq):
            await _record(connection, [Outcome(part, None, str(error))])


async def _parts(connection: asyncpg.Connection, chunk_ids: set[str]) -> dict[str, Part]:
    rows = await connection.fetch(_PARTS, [chunk_id.replace("\x00", "") for chunk_id in chunk_ids])
    return {row["chunk_id"]: Part(**row) for row in rows}


def _is_present(result: TenantMetrics, part: Part) -> bool:
    return (result.job_id, result.chunk, result.job_seq) == (part.job_id, part.chunk, part.job_seq)


def _check_fits(part: Part, result: TenantMetrics) -> None:
    for field in ("org_id", "report_date", "part", "parts"):
        asked, given = getattr(part, field), getattr(result, field)
        if given != asked:
            raise InvalidMessage(f"{part.chunk_id} asks for {field} {asked}; its metrics have {given}")
    ids = result.students.student_id if result.students is not None else []
    first, before = part.first_student, part.before_student
    for place, student_id in enumerate(ids):
        # Python compares text by code point, as the ledger's collation "C" does.
        if (first is not None and student_id < first) or (before is not None and student_id >= before):
            raise InvalidMessage(f"{part.chunk_id}: student_id {place} of its metrics is not of its range")
    if len(set(ids)) != len(ids):
        raise InvalidMessage(f"{part.chunk_id}: its metrics have {len(ids) - len(set(ids))} students twice")


def _told_by(record: Any) -> tuple[str, Any]:
    """Part and run that a record names which could not be stored; "" and None where it names none."""
    told = json_object(record.value)
    chunk_id = told.get("chunk_id")
    if not isinstance(chunk_id, str):
        chunk_id = header(record.headers, CHUNK_HEADER) or ""
    return chunk_id.replace("\x00", ""), told.get("job_seq")


async def _record(connection: asyncpg.Connection, outcomes: Sequence[Outcome]) -> None:
    given: dict[str, Outcome] = {}
    for outcome in outcomes:
        given.setdefault(outcome.part.chunk_id, outcome)
    await tenant_rows.lock(connection, [(o.part.org_id, o.part.report_date) for o in given.values()])
    new = await _insert(connection, list(given.values()))
    if not new:
        return
    tenants = await connection.fetch(
        _COUNT_PARTS, [outcome.part.job_id for outcome in new], [outcome.part.org_id for outcome in new]
    )
    failed = {outcome.part.tenant for outcome in new if outcome.error is not None}
    failed |= {(row["job_id"], row["org_id"]) for row in tenants if row["ended"]}
    # A tenant that has failed keeps the rows of its last report.
    kept = [outcome.metrics for outcome in new if outcome.metrics and outcome.part.tenant not in failed]
    await tenant_rows.write(connection, kept)
    whole = [(row["job_id"], row["org_id"]) for row in tenants if row["parts_left"] == 0]
    stored = sorted(set(whole) - failed)
    await _complete(connection, stored)
    await _count(connection, new)
    await tenant_ledger.end_tenants(
        connection, [_end(outcome) for outcome in new if outcome.error is not None]
    )
    await put(connection, await _stored_events(connection, stored))


async def _insert(connection: asyncpg.Connection, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Write outcomes, and return those that the ledger did not know, in order of job and part."""
    rows = await connection.fetch(
        _RECORD,
        [outcome.part.job_id for outcome in outcomes],
        [outcome.part.chunk for outcome in outcomes],
        [outcome.error and plain(outcome.error) for outcome in outcomes],
        KIND,
    )
    new = {(row["job_id"], row["chunk"]) for row in rows}
    found = [outcome for outcome in outcomes if (outcome.part.job_id, outcome.part.chunk) in new]
    return sorted(found, key=lambda outcome: (outcome.part.job_id, outcome.part.chunk))


async def _complete(connection: asyncpg.Connection, tenants: Sequence[TenantKey]) -> None:
    if tenants:
        await tenant_rows.complete(connection, tenants)
        await connection.execute(_STORED, [key[0] for key in tenants], [key[1] for key in tenants])


async def _count(connection: asyncpg.Connection, new: Sequence[Outcome]) -> None:
    done = await ledger.count_chunks(
        connection, [(outcome.part.job_id, outcome.part.chunk) for outcome in new]
    )
    await connection.execute(_COUNT_CHUNKS_OF_JOBS, [job_id for job_id, _ in done])


def _end(outcome: Outcome) -> TenantEnd:
    return TenantEnd(outcome.part.job_id, outcome.part.org_id, "failed", outcome.error)


async def _stored_events(connection: asyncpg.Connection, stored: Sequence[TenantKey]) -> list[Record]:
    rows = await connection.fetch(_JOBS, sorted({job_id for job_id, _ in stored}))
    jobs = {row["job_id"]: row for row in rows}
    return [tenant_ledger.stored_event(jobs[job_id], org_id, SOURCE) for job_id, org_id in stored]
