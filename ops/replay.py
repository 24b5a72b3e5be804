"""Doing something about a dead letter: what its failure has ended is opened again, in one transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from consumers import gate, reopening
from consumers.acceptor import told_by
from consumers.ledger import events
from consumers.letters import put
from consumers.reopening import Place
from consumers.sink import KIND_OF
from consumers.tenant_sink import CHUNK_HEADER
from ops.letters import Letter, Mark
from ops.weekly_jobs import trigger_again
from producers import outbox
from schemas.codec import Record, decode, header, json_object
from schemas.errors import InvalidMessage, RiskflowError
from schemas.messages import Trigger
from schemas.tenant_messages import ReportReady
from schemas.topics import (
    GRID_CHUNKS,
    HAZARDS,
    JOB_EVENTS,
    PROBABILITIES,
    REPORTS,
    TENANT_CHUNKS,
    TENANT_METRICS,
    TRIGGERS,
)

_MARK = """
    INSERT INTO dead_letter_marks AS stored (topic, partition, "offset", written_at, action, marked_by)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (topic, partition, "offset", written_at) DO UPDATE
    SET action = excluded.action, marked_by = excluded.marked_by, marked_at = now(), times = stored.times + 1
    WHERE $7 RETURNING times
"""
_MARKED = """
    SELECT action, marked_by AS by, marked_at AS at FROM dead_letter_marks
    WHERE (topic, partition, "offset", written_at) = ($1, $2, $3, $4)
"""
_CHUNK = """
    SELECT c.job_id, c.chunk, c.chunk_id, c.kinds_left, j.status, j.job_seq, j.kinds,
           t.org_id, t.report_date, t.ended_at IS NOT NULL AS ended
    FROM batch_job_chunks c JOIN batch_job_logs j USING (job_id)
    LEFT JOIN batch_job_tenants t USING (job_id, org_id)
    WHERE c.chunk_id = $1
"""
_OUTCOME = """
    SELECT failed_cells <> '{}' AS failed FROM batch_job_outcomes WHERE (job_id, chunk, kind) = ($1, $2, $3)
"""
_JOB = """
    SELECT job_id, job_type, status, total_grids, processed_grids, failed_grids, error_message, traceparent
    FROM batch_job_logs WHERE job_id = $1
"""
_TENANT = """
    SELECT t.job_id, t.org_id, t.report_date, t.ended_at IS NOT NULL AS ended, j.status
    FROM batch_job_tenants t JOIN batch_job_logs j USING (job_id)
    WHERE (t.job_id, t.org_id, t.report_date) = ($1, $2, $3)
"""
_REFUSED = """
    SELECT status = 'failed' AND job_seq = 0 AND chunks_total = 0 AS refused, request_hash
    FROM batch_job_logs WHERE job_id = $1 FOR UPDATE
"""
_FORGET = "DELETE FROM batch_job_logs WHERE job_id = $1 AND job_seq = 0"
_ASK_AGAIN = """
    WITH again AS (
        UPDATE outbox SET published_at = NULL, partition = NULL, "offset" = NULL, answered_at = NULL
        WHERE job_id = $1 AND value = $2 RETURNING id)
    SELECT pg_notify('riskflow_outbox', '') FROM again
"""


@dataclass(frozen=True, slots=True)
class Replayed:
    """A letter that was replayed, and what follows from it."""

    letter: Letter
    sentence: str


async def replay(connection: asyncpg.Connection, letter: Letter, by: str, *, again: bool = False) -> Replayed:
    """Undo what the letter's failure has ended and have its record dealt with anew.

    Args:
        connection: Outside a transaction; this is one.
        letter: As read from its topic.
        by: Who wants it.
        again: Also where it was replayed or dropped before.

    Raises:
        RiskflowError: It cannot be replayed; says why and what to do instead. Nothing was changed.
    """
    async with connection.transaction():
        await _mark(connection, letter, "replayed", by, again=again)
        sentence = await _WAYS[letter.topic](connection, letter)
    return Replayed(letter, sentence)


async def drop(connection: asyncpg.Connection, letter: Letter, by: str) -> None:
    """Note that nothing is to be done about a letter; it stays in its topic until that forgets it.

    Raises:
        RiskflowError: It was replayed or dropped before.
    """
    async with connection.transaction():
        await _mark(connection, letter, "dropped", by, again=False)


async def _mark(connection: asyncpg.Connection, letter: Letter, action: str, by: str, *, again: bool) -> None:
    if await connection.fetchval(_MARK, *letter.place, action, by, again) is None:
        mark = Mark(**await connection.fetchrow(_MARKED, *letter.place))
        repeat = "; --again does it once more" if action == "replayed" else ""
        raise RiskflowError(f"was {mark.action} by {mark.by} at {mark.at:%Y-%m-%d %H:%M:%S}Z already{repeat}")


async def _replay_chunk(connection: asyncpg.Connection, letter: Letter) -> str:
    chunk = await _chunk(connection, _chunk_id(letter))
    place = Place(chunk["job_id"], chunk["chunk"])
    await _reopen(connection, place)
    if not await reopening.reopen(connection, place):
        what = "is still to be computed" if chunk["kinds_left"] else "has been computed since"
        raise RiskflowError(f"chunk {chunk['chunk_id']} has not failed: it {what}; drop the letter")
    await reopening.unsend(connection, *(place.job_id, place.chunk))
    await _tell(connection, place.job_id)
    return f"chunk {chunk['chunk_id']} is computed again"


async def _replay_result(connection: asyncpg.Connection, letter: Letter) -> str:
    chunk = await _chunk(connection, (letter.key or b"").decode(errors="replace"))
    kind = KIND_OF[letter.topic]
    _check_run(chunk, letter)
    if kind not in chunk["kinds"]:
        raise RiskflowError(f"job {chunk['job_id']} asks for no {kind}; drop the letter")
    place = Place(chunk["job_id"], chunk["chunk"], kind)
    await _reopen(connection, place)
    failed = await connection.fetchval(_OUTCOME, place.job_id, place.chunk, kind)
    if failed is False:
        raise RiskflowError(f"the {kind} of chunk {chunk['chunk_id']} has come since; drop the letter")
    if failed:
        await reopening.reopen(connection, place)
        await _tell(connection, place.job_id)
    return await _put_back(connection, letter)


async def _replay_part(connection: asyncpg.Connection, letter: Letter) -> str:
    chunk = await _chunk(connection, _chunk_id(letter) or header(letter.headers, CHUNK_HEADER))
    _check_tenant(chunk)
    if letter.topic == TENANT_CHUNKS.name or not chunk["kinds_left"]:
        what = "is still to be computed" if chunk["kinds_left"] else "has been computed since"
        raise RiskflowError(f"part {chunk['chunk_id']} has not failed: it {what}; drop the letter")
    _check_run(chunk, letter)
    return await _put_back(connection, letter)


async def _replay_trigger(connection: asyncpg.Connection, letter: Letter) -> str:
    told = told_by(letter.as_read())
    row = await connection.fetchrow(_REFUSED, told.job_id)
    if row is not None:
        if not row["refused"]:
            raise RiskflowError(
                f"job_id {told.job_id} belongs to a job that was accepted; trigger with another id"
            )
        if row["request_hash"] != told.digest:
            raise RiskflowError(
                f"job_id {told.job_id} was asked for with another request since; use another id"
            )
        await connection.execute(_FORGET, told.job_id)
    if not await connection.fetch(_ASK_AGAIN, told.job_id, letter.value):
        own = _own_id(letter)
        if own is None or not await outbox.put(connection, _record(letter), own):
            await put(connection, [_record(letter)])
    return "asked for again" + (f" as job {told.job_id}" if _own_id(letter) else "")


async def _replay_report(connection: asyncpg.Connection, letter: Letter) -> str:
    try:
        report = decode(ReportReady, letter.value)
    except InvalidMessage:
        return await _put_back(connection, letter)
    await gate.shut(connection, report.job_id)
    row = await connection.fetchrow(_TENANT, report.job_id, report.org_id, report.report_date)
    if row is not None:
        _check_open(row["status"], report.job_id)
        _check_tenant(row)
    return await _put_back(connection, letter)


async def _put_back(connection: asyncpg.Connection, letter: Letter) -> str:
    await put(connection, [_record(letter)])
    return f"put back on {letter.topic}"


_WAYS: dict[str, Callable[[asyncpg.Connection, Letter], Awaitable[str]]] = {
    TRIGGERS.name: _replay_trigger,
    GRID_CHUNKS.name: _replay_chunk,
    PROBABILITIES.name: _replay_result,
    HAZARDS.name: _replay_result,
    TENANT_CHUNKS.name: _replay_part,
    TENANT_METRICS.name: _replay_part,
    JOB_EVENTS.name: _put_back,
    REPORTS.name: _replay_report,
}


async def _chunk(connection: asyncpg.Connection, chunk_id: str | None) -> asyncpg.Record:
    """The chunk that a letter tells of, behind its job's shut gate."""
    named = (chunk_id or "").replace("\x00", "")
    row = await connection.fetchrow(_CHUNK, named)
    if row is not None:
        await gate.shut(connection, row["job_id"])
        row = await connection.fetchrow(_CHUNK, named)
    if row is None:
        of = f"chunk {named}, which is" if named else "a chunk that is"
        raise RiskflowError(f"tells of {of} not in the database; drop the letter")
    _check_open(row["status"], row["job_id"])
    return row


async def _reopen(connection: asyncpg.Connection, place: Place) -> None:
    await reopening.lock(connection, place.job_id, place.chunk)
    if await reopening.uncounted(connection, place):
        raise RiskflowError(
            f"its failure was recorded by an older version, without what it takes to undo it alone; "
            f"the whole job is computed anew by: riskflow jobs resume {place.job_id}"
        )


async def _tell(connection: asyncpg.Connection, job_id: str) -> None:
    await put(connection, await events(connection, await connection.fetch(_JOB, job_id)))


def _check_open(status: str, job_id: str) -> None:
    if status == "cancelled":
        raise RiskflowError(
            f"job {job_id} is cancelled; what it lacks is computed by: riskflow jobs resume {job_id}"
        )


def _check_run(chunk: asyncpg.Record, letter: Letter) -> None:
    if json_object(letter.value).get("job_seq", chunk["job_seq"]) != chunk["job_seq"]:
        raise RiskflowError(
            f"job {chunk['job_id']} was resumed since, and computes this chunk anew; drop the letter"
        )


def _check_tenant(told: Mapping[str, Any]) -> None:
    if told["ended"]:
        command = trigger_again(told["report_date"], [told["org_id"]])
        raise RiskflowError(
            f"tenant {told['org_id']} of job {told['job_id']} has ended; report it anew: {command}"
        )


def _chunk_id(letter: Letter) -> str | None:
    """As the agents find it: by the key, or by the value of a tenant's part, whose key is the tenant."""
    if letter.topic == GRID_CHUNKS.name and letter.key:
        return letter.key.decode(errors="replace")
    named = json_object(letter.value).get("chunk_id")
    return named if isinstance(named, str) else None


def _own_id(letter: Letter) -> str | None:
    try:
        return decode(Trigger, letter.value).job_id
    except InvalidMessage:
        return None


def _record(letter: Letter) -> Record:
    return Record(letter.topic, letter.key, letter.value, letter.headers)
