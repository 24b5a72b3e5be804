"""Triggers to jobs: accepts and plans in one transaction, or refuses with a reason."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson
import structlog
from pydantic import TypeAdapter, ValidationError

from consumers.handler import Handler
from consumers.letters import dead_letter, put
from consumers.plan import Plan, plan
from consumers.weekly import WeeklyPlan, plan_weekly
from schemas.codec import decode, encode, header, json_object
from schemas.errors import RefusedTrigger
from schemas.messages import Identifier, JobEvent, JobType, Trigger
from schemas.settings import Settings
from schemas.storable import UNKNOWN_TYPE, plain, plain_field
from schemas.topics import ACCEPTOR_GROUP, JOB_EVENTS, TRIGGERS, Topic
from schemas.tracing import traced, tracing

__all__ = ["PLANNERS", "Acceptor", "Plan", "WeeklyPlan", "plan", "plan_weekly", "request_hash"]

SOURCE = "acceptor"
PLANNERS: dict[JobType, Callable[[asyncpg.Connection, Trigger, Settings], Awaitable[Plan | WeeklyPlan]]] = {
    "probability": plan,
    "hazard": plan,
    "climate": plan,
    "weekly": plan_weekly,
}
"""Who checks the triggers of each job type and says what they will do."""
_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)

log = structlog.get_logger(__name__)

_KNOWN = "SELECT request_hash FROM batch_job_logs WHERE job_id = $1"
_ANSWERED = "UPDATE outbox SET answered_at = now() WHERE job_id = $1 AND answered_at IS NULL"
_ACCEPT = """
    INSERT INTO batch_job_logs (
        job_id, job_seq, job_type, status, requested_by, trigger, request_hash, traceparent, kinds, risks,
        scenario, window_start, window_end, baseline_start, baseline_end, uncertainty, report_date,
        total_grids, processed_grids, failed_grids)
    VALUES ($1, nextval('riskflow.job_seq'), $2, 'pending', $3, $4::jsonb, $5, $6, $7, $8,
            $9, $10, $11, $12, $13, $14, $15, 0, 0, 0)
    ON CONFLICT (job_id) DO NOTHING RETURNING job_seq
"""
_REFUSE = """
    INSERT INTO batch_job_logs (
        job_id, job_type, status, completed_at, requested_by, trigger, request_hash, error_message,
        total_grids, processed_grids, failed_grids)
    VALUES ($1, $2, 'failed', now(), $3, $4::jsonb, $5, $6, 0, 0, 0)
    ON CONFLICT (job_id) DO NOTHING RETURNING id
"""


class Acceptor(Handler):
    """Handler of the triggers' topic."""

    name = SOURCE
    group = ACCEPTOR_GROUP
    topics: tuple[Topic, ...] = (TRIGGERS,)

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def opened(self, connection: asyncpg.Connection) -> None:
        """Nothing to prepare."""

    async def store(self, connection: asyncpg.Connection, records: Sequence[Any]) -> None:
        """Accept each trigger; one that is known already changes nothing.

        Raises:
            InvalidMessage: Not a Trigger.
            RefusedTrigger: It asks for what cannot be done, or its id belongs to another request.
        """
        for record in records:
            await self._accept(connection, record)

    async def _accept(self, connection: asyncpg.Connection, record: Any) -> None:
        trigger = decode(Trigger, record.value)
        job_id, digest = trigger.job_id or place_of(record), request_hash(trigger)
        # Whoever sends none starts a trace here, so that all that comes of the trigger has the same.
        traceparent = traced(header(record.headers, "traceparent"))
        with tracing(job_id, traceparent):
            if not await _is_known(connection, job_id, digest):
                planned = await PLANNERS[trigger.job_type](connection, trigger, self._settings)
                await self._write(connection, record, trigger, planned, traceparent)
            await connection.execute(_ANSWERED, job_id)

    async def _write(
        self,
        connection: asyncpg.Connection,
        record: Any,
        trigger: Trigger,
        planned: Plan | WeeklyPlan,
        traceparent: str,
    ) -> None:
        job_id, digest = trigger.job_id or place_of(record), request_hash(trigger)
        columns = planned.columns
        window, baseline = columns.window, columns.baseline
        seq = await connection.fetchval(
            _ACCEPT,
            job_id,
            trigger.job_type,
            trigger.requested_by,
            record.value.decode(),
            digest,
            traceparent,
            columns.kinds,
            columns.risks,
            columns.scenario,
            window and window.start,
            window and window.end,
            baseline and baseline.start,
            baseline and baseline.end,
            columns.uncertainty,
            columns.report_date,
        )
        if seq is None:
            # Another acceptor, thought dead, was faster; say so if it was for another request.
            await _is_known(connection, job_id, digest)
            return
        total = await planned.freeze(connection, job_id, self._settings)
        event = JobEvent(job_id=job_id, job_type=trigger.job_type, state="accepted", total_grids=total)
        await put(connection, [encode(JOB_EVENTS, event, source=SOURCE, traceparent=traceparent)])
        log.info("job accepted", job_id=job_id, job_seq=seq, job_type=trigger.job_type, total=total)

    async def reject(self, connection: asyncpg.Connection, record: Any, error: Exception) -> None:
        """Write a failed job and a dead letter with the reason; a repeat of the record writes nothing."""
        told = told_by(record)
        if await connection.fetchval(_KNOWN, told.job_id) != told.digest:
            await _refuse(connection, record, error, told)
        await connection.execute(_ANSWERED, told.job_id)


@dataclass(frozen=True, slots=True)
class Told:
    """What can be read from a record that may be no trigger."""

    job_id: str
    digest: str
    job_type: str
    requested_by: str | None
    stored: str
    """JSON for the column trigger: the object as it came, or its text as a JSON string."""


def told_by(record: Any) -> Told:
    """Read as much of a record as there is; the id is in the value, a header or the key, else the place."""
    value = record.value or b""
    document = json_object(value)
    # jsonb holds no NUL, not even an escaped one.
    is_storable = bool(document) and b"\\u0000" not in value
    text = plain(value.decode(errors="replace"))
    try:
        trigger = Trigger.model_validate(document)
    except ValidationError:
        job_id, digest = _loose_id(record, document), hashlib.sha256(value).hexdigest()
    else:
        job_id, digest = trigger.job_id or place_of(record), request_hash(trigger)
    return Told(
        job_id=job_id,
        digest=digest,
        job_type=plain(str(document.get("job_type") or UNKNOWN_TYPE)),
        requested_by=plain_field(document, "requested_by"),
        stored=value.decode() if is_storable else orjson.dumps(text).decode(),
    )


async def _refuse(connection: asyncpg.Connection, record: Any, error: Exception, told: Told) -> None:
    reason = plain(str(error))
    row = (told.job_id, told.job_type, told.requested_by, told.stored, told.digest, reason)
    letters = [dead_letter(record, error)]
    if await connection.fetchval(_REFUSE, *row) is not None:
        event = JobEvent(job_id=told.job_id, job_type=told.job_type, state="refused", message=reason)
        traceparent = header(record.headers, "traceparent")
        letters.append(encode(JOB_EVENTS, event, source=SOURCE, traceparent=traceparent))
    await put(connection, letters)
    log.warning("trigger refused", job_id=told.job_id, reason=reason)


def request_hash(trigger: Trigger) -> str:
    """Digest of what is asked for; who asks and under which id is left out, and the order of risks."""
    asked = trigger.model_dump(mode="json", exclude={"job_id", "requested_by"}, exclude_defaults=True)
    for field in ("risks", "tenants"):
        if field in asked:
            asked[field] = sorted(set(asked[field]))
    return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()


def place_of(record: Any) -> str:
    """Id of a job whose trigger names none; the time tells apart the logs of an in-memory broker."""
    return f"{record.topic}-{record.partition}-{record.offset}-{record.timestamp}"


async def _is_known(connection: asyncpg.Connection, job_id: str, digest: str) -> bool:
    row = await connection.fetchrow(_KNOWN, job_id)
    if row is None:
        return False
    if row["request_hash"] != digest:
        raise RefusedTrigger(
            f"job_id {job_id} belongs to another request; choose another id, or leave it out"
        )
    log.info("trigger is known", job_id=job_id)
    return True


def _loose_id(record: Any, document: dict[str, Any]) -> str:
    key = (record.key or b"").decode(errors="replace")
    for told in (document.get("job_id"), header(record.headers, "job-id"), key):
        try:
            return _IDENTIFIER.validate_python(told, strict=True)
        except ValidationError:
            continue
    return place_of(record)
