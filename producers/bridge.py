"""The bridge from PostgreSQL to the topics: drains the outbox and hears bare notifications."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import asyncpg
import structlog
from aiokafka.errors import KafkaError

from producers.notifications import trigger_of
from producers.offsets import OffsetReader
from producers.publisher import Publisher
from producers.unanswered import publish_lost_again
from schemas.codec import Record
from schemas.database import SESSION, session
from schemas.faults import is_passing
from schemas.leadership import PATIENT_IDLE_LIMIT, try_to_lead
from schemas.pauses import pause
from schemas.settings import Settings

OUTBOX_CHANNEL = "riskflow_outbox"
NOTIFY_LOCK = "riskflow.notify"
BATCH = 100
"""Outbox rows that are locked and published at a time (expert assumption)."""
POLL_SECONDS = 2.0
"""How often the outbox is looked at without being woken (expert assumption)."""
LOST_SECONDS = 5.0
"""How often unanswered triggers are compared with the acceptor's offsets (expert assumption)."""
PURGE_SECONDS = 3600.0
KEPT = "14 days"
"""How long published events and dead letters stay in the outbox: as long as the topic keeps events."""
# A publish that waits through a broker's restart must outlast the producer's 40 s with its rows locked.
PATIENT = SESSION | {"idle_in_transaction_session_timeout": "120s"}

log = structlog.get_logger(__name__)

_TAKE = """
    SELECT id, topic, key, value, header_names, header_values FROM outbox
    WHERE published_at IS NULL ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
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
_PURGE = f"DELETE FROM outbox WHERE job_id IS NULL AND published_at < now() - interval '{KEPT}'"  # noqa: S608 - a constant


class Bridge:
    """Publishes what other parts and other systems wrote into PostgreSQL.

    Any number may run: outbox rows are shared by their locks, and only the bridge that holds an
    advisory lock turns bare notifications into outbox rows.
    """

    def __init__(self, settings: Settings, publisher: Publisher, offsets: OffsetReader) -> None:
        self._settings = settings
        self._publisher = publisher
        self._offsets = offsets
        self._wake = asyncio.Event()
        self._heard: deque[str] = deque()
        self._hears = False

    @property
    def hears(self) -> bool:
        """Whether this bridge is the one that takes bare notifications."""
        return self._hears

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`; an absent database or broker is waited for."""
        dsn = self._settings.dsn
        while not stop.is_set():
            try:
                async with (
                    session(dsn, application="bridge listener") as listener,
                    session(dsn, application="bridge", settings=PATIENT) as writer,
                ):
                    await self._serve(listener, writer, stop)
            except Exception as error:
                if not (is_passing(error) or isinstance(error, KafkaError)):
                    raise
                log.warning("bridge starts again", error=f"{type(error).__name__}: {error}")
                await pause(stop, POLL_SECONDS)
            finally:
                self._hears = False

    async def _serve(
        self, listener: asyncpg.Connection, writer: asyncpg.Connection, stop: asyncio.Event
    ) -> None:
        await listener.add_listener(OUTBOX_CHANNEL, lambda *_: self._wake.set())
        await listener.add_listener(self._settings.notify_channel, self._hear)
        listener.add_termination_listener(lambda *_: self._wake.set())
        clock = asyncio.get_running_loop().time
        lost_due = purge_due = clock()
        while not stop.is_set():
            self._wake.clear()
            await self._take_lead(listener)
            await self._keep_heard(writer)
            while await self._publish_batch(writer) == BATCH:
                await self._take_lead(listener)
            if clock() >= lost_due:
                if await publish_lost_again(writer, self._offsets):
                    self._wake.set()
                lost_due = clock() + LOST_SECONDS
            if clock() >= purge_due:
                await writer.execute(_PURGE)
                purge_due = clock() + PURGE_SECONDS
            await pause(stop, POLL_SECONDS, self._wake)

    async def _take_lead(self, listener: asyncpg.Connection) -> None:
        # Asked of the listening session each time, so that its loss is noticed within one poll and it is
        # never idle for long. The lock is held once: a second call of the same session would stack another.
        if self._hears:
            await listener.execute("SELECT")
        else:
            self._hears = await try_to_lead(listener, NOTIFY_LOCK, PATIENT_IDLE_LIMIT)

    def _hear(self, _connection: Any, _pid: int, channel: str, payload: object) -> None:
        if self._hears:
            log.info("heard a notification", channel=channel)
            self._heard.append(str(payload))
            self._wake.set()

    async def _keep_heard(self, writer: asyncpg.Connection) -> None:
        while self._heard:
            job_id, record = trigger_of(self._heard[0])
            names, values = zip(*record.headers, strict=True)
            row = (record.topic, record.key, record.value, names, values)
            if await writer.fetchval(_PUT, *row, job_id) is None:
                # Another trigger has this id; whether it asks for the same is for the acceptor to say.
                await writer.execute(_PUT, *row, None)
            self._heard.popleft()

    async def _publish_batch(self, writer: asyncpg.Connection) -> int:
        """Publish the oldest rows that no other bridge holds; returns how many were acknowledged."""
        async with writer.transaction():
            rows = await writer.fetch(_TAKE, BATCH)
            outcomes = await self._publisher.send_all((_record(row), None) for row in rows)
            done = [
                (row["id"], sent.partition, sent.offset)
                for row, sent in zip(rows, outcomes, strict=True)
                if not isinstance(sent, BaseException)
            ]
            if done:
                await writer.execute(_MARK, *zip(*done, strict=True))
        for row, sent in zip(rows, outcomes, strict=True):
            if isinstance(sent, BaseException):
                log.error(
                    "not published; kept in the outbox", id=row["id"], topic=row["topic"], error=repr(sent)
                )
        return len(done)


def _record(row: asyncpg.Record) -> Record:
    headers = list(zip(row["header_names"], row["header_values"], strict=True))
    return Record(row["topic"], row["key"], row["value"] or b"", headers)
