"""What other parts left in the outbox, published in order of writing and marked when acknowledged."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
import orjson
import structlog
from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    UnknownError,
    UnknownTopicOrPartitionError,
)
from aiokafka.structs import RecordMetadata

from producers.publisher import Publisher
from schemas.codec import TRUE_NAMES, Record, encode, json_object
from schemas.messages import JobEvent
from schemas.storable import UNKNOWN_TYPE, plain, plain_field, storable
from schemas.topics import BY_NAME, JOB_EVENTS

SOURCE = "bridge"
BATCH = 100
"""Outbox rows that are locked and published at a time (expert assumption)."""
FIRST_PAUSE = 5.0
"""Seconds until a row that the broker refuses is tried again; doubled each time (expert assumption)."""
LONGEST_PAUSE = 600.0  # seconds (expert assumption)

log = structlog.get_logger(__name__)

_TAKE = """
    SELECT id, topic, key, value, header_names, header_values, job_id FROM outbox
    WHERE published_at IS NULL AND id <> ALL ($2::bigint[])
    ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
"""
_MARK = """
    UPDATE outbox o SET published_at = clock_timestamp(), partition = s.partition, "offset" = s.position
    FROM unnest($1::bigint[], $2::integer[], $3::bigint[]) AS s (id, partition, position)
    WHERE o.id = s.id
"""
_PUT = """
    INSERT INTO outbox (topic, key, value, header_names, header_values, job_id)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (job_id) WHERE job_id IS NOT NULL DO NOTHING
    RETURNING id
"""
_REFUSE = """
    INSERT INTO batch_job_logs (
        job_id, job_type, status, completed_at, requested_by, trigger, request_hash, error_message,
        total_grids, processed_grids, failed_grids)
    VALUES ($1, $2, 'failed', now(), $3, to_jsonb($4::text), $5, $6, 0, 0, 0)
    ON CONFLICT (job_id) DO NOTHING RETURNING id
"""
_ANSWER = "UPDATE outbox SET published_at = now(), answered_at = now() WHERE id = $1"


@dataclass(frozen=True, slots=True)
class _Refusal:
    """When a row that the broker did not take is tried again, and how long it waited before [s]."""

    due: float
    pause: float


class Outbox:
    """Publishes rows for one bridge; several bridges share the rows by their locks.

    A row that the broker refuses (too large, unknown topic, no right) or that makes no record waits aside,
    longer each time, so that those behind it go on. It stays in the table until it is taken; a
    trigger that is too large for its topic ends as a failed job instead, because somebody waits for it.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._refused: dict[int, _Refusal] = {}
        self._has_more = False

    @property
    def has_more(self) -> bool:
        """Whether the last batch was full, so that more may wait behind it, and the broker answers."""
        return self._has_more

    async def publish(self, connection: asyncpg.Connection) -> int:
        """Publish the oldest rows that no other bridge holds; returns how many were acknowledged.

        Raises:
            PostgresError, OSError: Nothing is marked; what was sent is sent again.
        """
        async with connection.transaction():
            rows = await connection.fetch(_TAKE, BATCH, self._waiting())
            outcomes = await self._send(rows)
            done = [
                (row["id"], sent.partition, sent.offset)
                for row, sent in zip(rows, outcomes, strict=True)
                if not isinstance(sent, BaseException)
            ]
            if done:
                await connection.execute(_MARK, *zip(*done, strict=True))
            for row, sent in zip(rows, outcomes, strict=True):
                if _is_hopeless(row, sent):
                    await _refuse(connection, row)
        passing = self._put_aside(rows, outcomes)
        self._has_more = len(rows) == BATCH and not passing
        if passing:
            log.warning("not published; kept in the outbox", rows=len(passing), error=repr(passing[0]))
        return len(done)

    async def _send(self, rows: Sequence[asyncpg.Record]) -> list[RecordMetadata | BaseException]:
        made = [_record_or_fault(row) for row in rows]
        sent = await self._publisher.send_all([(each, None) for each in made if isinstance(each, Record)])
        outcomes = iter(sent)
        return [next(outcomes) if isinstance(each, Record) else each for each in made]

    def _waiting(self) -> list[int]:
        present = time.monotonic()
        return [number for number, refusal in self._refused.items() if refusal.due > present]

    def _put_aside(
        self, rows: Sequence[asyncpg.Record], outcomes: Sequence[RecordMetadata | BaseException]
    ) -> list[BaseException]:
        """Note what cannot be published; returns the faults of the others, which will pass."""
        passing: list[BaseException] = []
        for row, sent in zip(rows, outcomes, strict=True):
            known = self._refused.pop(row["id"], None)
            if not isinstance(sent, BaseException) or _is_hopeless(row, sent):
                continue
            if _passes(sent):
                passing.append(sent)
            else:
                self._refused[row["id"]] = _refused(row, sent, known)
        return passing


async def put(connection: asyncpg.Connection, record: Record, job_id: str | None = None) -> bool:
    """Leave a record in the outbox; `job_id` is that of a trigger, which is there once.

    Returns:
        False where the outbox has this job_id already; then nothing is written.
    """
    headers = storable(record.headers)
    names, values = [name for name, _ in headers], [value for _, value in headers]
    row = (record.topic, record.key, record.value, names, values, job_id)
    return await connection.fetchval(_PUT, *row) is not None


async def _refuse(connection: asyncpg.Connection, row: asyncpg.Record) -> None:
    """End a trigger that is too large as the acceptor ends one that cannot be done."""
    value, job_id = row["value"] or b"", row["job_id"]
    trigger = json_object(value)
    topic = BY_NAME.get(row["topic"])
    allowed = f"; it takes {topic.max_message_bytes}" if topic else ""
    reason = f"the trigger has {len(value)} bytes, more than {row['topic']} takes{allowed}"
    text = plain(value.decode(errors="replace"))
    digest = hashlib.sha256(value).hexdigest()
    job_type, asker = plain_field(trigger, "job_type") or UNKNOWN_TYPE, plain_field(trigger, "requested_by")
    written = (job_id, job_type, asker, text, digest, reason)
    if await connection.fetchval(_REFUSE, *written) is not None:
        event = JobEvent(job_id=job_id, job_type=job_type, state="refused", message=reason)
        await put(connection, encode(JOB_EVENTS, event, source=SOURCE))
    await connection.execute(_ANSWER, row["id"])
    log.error("trigger refused", job_id=job_id, reason=reason)


def _refused(row: asyncpg.Record, error: BaseException, known: _Refusal | None) -> _Refusal:
    pause = FIRST_PAUSE if known is None else min(2 * known.pause, LONGEST_PAUSE)
    log.error(
        "a row of the outbox cannot be published; it stays there and is tried again",
        id=row["id"],
        topic=row["topic"],
        bytes=len(row["value"] or b""),
        error=repr(error),
        seconds=pause,
    )
    return _Refusal(time.monotonic() + pause, pause)


def _is_hopeless(row: asyncpg.Record, outcome: object) -> bool:
    return row["job_id"] is not None and isinstance(outcome, MessageSizeTooLargeError)


def _passes(error: BaseException) -> bool:
    """Whether the fault is the broker's state and not the row's; aiokafka says so of most errors."""
    if isinstance(error, UnknownTopicOrPartitionError):
        return False
    return isinstance(error, (KafkaTimeoutError, UnknownError, OSError)) or (
        isinstance(error, KafkaError) and error.retriable
    )


def _record_or_fault(row: asyncpg.Record) -> Record | BaseException:
    try:
        return _record(row)
    except (TypeError, ValueError) as error:
        return error


def _record(row: asyncpg.Record) -> Record:
    headers = list(zip(row["header_names"], row["header_values"], strict=True))
    if headers and headers[-1][0] == TRUE_NAMES:
        *kept, (_, names) = headers
        headers = list(zip(_texts(names), [value for _, value in kept], strict=True))
    return Record(row["topic"], row["key"], row["value"], headers)


def _texts(told: bytes) -> list[str]:
    names = orjson.loads(told)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"header {TRUE_NAMES}: expected a JSON list of names")
    return names
