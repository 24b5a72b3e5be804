"""The one consumer loop: read a batch, store it in one transaction, then commit the offsets.

Offsets live in Kafka and follow PostgreSQL's commit, so everything may come again and nothing is
missed; handlers make repeats harmless.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from consumers.handler import Handler
from consumers.standing import Standing
from schemas.broker import client_options, until_broker_answers
from schemas.database import close
from schemas.errors import InvalidMessage, RefusedTrigger, Unavailable
from schemas.fault_points import fault_point
from schemas.faults import is_data_fault, is_passing
from schemas.metrics import DEAD_LETTERS, ERRORS, MESSAGES_READ, STORE_SECONDS, count, counted_with_commit
from schemas.pulse import Loop, Pulse
from schemas.settings import Settings
from schemas.start import open_database
from schemas.stop import closed
from schemas.tracing import tracing_headers, tracing_records

SESSION_MS = 6_000
HEARTBEAT_MS = 1_500
FETCH_WAIT_MS = 100
"""How long the broker holds a fetch that finds nothing (KAFKA.md: the embedded one answers late)."""
POLL_MS = 250
"""How long a read waits for the first record; bounds how fast a stop is seen (expert assumption)."""
LINGER_SECONDS = 0.05
"""How long a batch waits for more once it has a record (DESIGN, section 6)."""
BATCH_RECORDS = 64
BATCH_BYTES = 8 << 20
"""Value bytes of one transaction; bounds the memory of decoded results (expert assumption)."""
COMMIT_SECONDS = 10.0
"""How long a commit may take before the loop goes on without it (expert assumption)."""
MAX_TRIES = 3
"""Tries of a batch that fails for a reason nobody expects, before the process ends (expert assumption)."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0  # seconds between tries (expert assumption)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """Records in the order in which they are stored, and the sharing-out of partitions they belong to."""

    records: Sequence[Any]
    generation: int


class Reader:
    """Feeds one handler from its topics, one batch read ahead of the one that is being stored."""

    def __init__(self, settings: Settings, handler: Handler, loop: Loop | None = None) -> None:
        self._settings = settings
        self._handler = handler
        self._standing = Standing(settings, loop or Pulse().loop(handler.name))
        self._consumer: AIOKafkaConsumer | None = None
        self._connection: asyncpg.Connection | None = None
        self._stored: dict[TopicPartition, int] = {}
        self._generation = 0
        self._ahead: asyncio.Task[Found] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop`.

        Raises:
            Unavailable: Broker or database did not answer within settings.start_timeout at start.
            Exception: A batch failed MAX_TRIES times for a reason that no retry mends.
        """
        try:
            self._connection = await self._open(stop)
            self._consumer = await until_broker_answers(self._settings, self._subscribe, stop)
            while not stop.is_set():
                await self._turn(stop)
                self._standing.turned()
        finally:
            await closed(self._drop_consumer())
            await self._drop_connection()

    async def _turn(self, stop: asyncio.Event) -> None:
        try:
            found = await (self._ahead or self._read())
        except KafkaError as error:
            log.warning("consumer starts again", group=self._handler.group, error=repr(error))
            ERRORS.labels(self._handler.name).inc()
            await self._drop_consumer()
            self._consumer = await until_broker_answers(self._settings, self._subscribe, stop)
            return
        self._ahead = asyncio.create_task(self._read()) if found.records else None
        await self._keep_connection(stop)
        await self._standing.ask(self._started(), self._handler.topics[0].name, found=bool(found.records))
        for batch in batches(found.records):
            if not await self._settle(batch, stop):
                return
            fault_point(f"{self._handler.name}.after_commit")
            # After a rebalance the consumer reads on from what is committed; an offset of before it
            # would set back what another member has committed since. The rows are stored all the same:
            # what was read later must not be committed before them.
            if found.generation == self._generation:
                for record in batch:
                    self._stored[TopicPartition(record.topic, record.partition)] = record.offset + 1
                await self._commit()
        if self._stored:
            await self._commit()

    async def _read(self) -> Found:
        records = await self._fetch()
        # At once, before anything else may run: a rebalance from here on is a later generation.
        found = Found(records, self._generation)
        if records:
            await asyncio.to_thread(self._handler.work_out, records)
        return found

    async def _fetch(self) -> list[Any]:
        consumer = self._started()
        found = await consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH_RECORDS)
        records = [record for part in found.values() for record in part]
        if not 0 < len(records) < BATCH_RECORDS:
            return records
        generation = self._generation
        await asyncio.sleep(LINGER_SECONDS)
        more = await consumer.getmany(timeout_ms=0, max_records=BATCH_RECORDS - len(records))
        if generation != self._generation:
            # Partitions have moved meanwhile; whoever has them now reads the first ones again.
            records = []
        return records + [record for part in more.values() for record in part]

    async def _commit(self) -> None:
        if not self._stored:
            return
        offsets = dict(self._stored)
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                await self._started().commit(offsets)
        except (KafkaError, TimeoutError) as error:
            # What is stored is stored; the next turn commits it, or another member reads it again.
            log.warning("offsets not committed yet", group=self._handler.group, error=repr(error))
            held = self._started().assignment()
            self._stored = {place: at for place, at in self._stored.items() if place in held}
            return
        for place, at in offsets.items():
            if self._stored.get(place) == at:
                del self._stored[place]

    async def _settle(self, records: Sequence[Any], stop: asyncio.Event) -> bool:
        """Store a batch, trying again as long as the fault passes; False where `stop` came first."""
        unexpected, pause = 0, FIRST_PAUSE
        while True:
            try:
                connection = self._connection = self._connection or await self._open(stop)
                with STORE_SECONDS.labels(self._handler.name).time(), tracing_records(records):
                    await self._store(connection, records)
            except Exception as error:
                await self._drop_connection()
                ERRORS.labels(self._handler.name).inc()
                unexpected += not (is_passing(error) or isinstance(error, Unavailable))
                if unexpected >= MAX_TRIES:
                    raise
                with tracing_records(records):
                    log.warning(
                        "batch not stored; trying again", handler=self._handler.name, error=repr(error)
                    )
                self._standing.failed(error)
            else:
                self._standing.stored()
                return True
            if stop.is_set():
                return False
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _store(self, connection: asyncpg.Connection, records: Sequence[Any]) -> None:
        try:
            with counted_with_commit():
                _count_read(records)
                async with connection.transaction(isolation="read_committed"):
                    await self._handler.store(connection, records)
                    fault_point(f"{self._handler.name}.before_commit")
        except Exception as error:
            if not is_records_fault(error):
                raise
            with counted_with_commit():
                _count_read(records)
                async with connection.transaction(isolation="read_committed"):
                    await self._isolate(connection, records)

    async def _isolate(self, connection: asyncpg.Connection, records: Sequence[Any]) -> None:
        """Store record by record; what cannot be stored is rejected, the rest is kept."""
        for record in records:
            with tracing_headers(record.headers):
                await self._store_one(connection, record)

    async def _store_one(self, connection: asyncpg.Connection, record: Any) -> None:
        try:
            with counted_with_commit():
                async with connection.transaction():
                    await self._handler.store(connection, [record])
        except Exception as error:
            if not is_records_fault(error):
                raise
            log.warning(
                "record rejected",
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                reason=str(error),
            )
            await self._handler.reject(connection, record, error)
            count(DEAD_LETTERS, record.topic)

    async def _keep_connection(self, stop: asyncio.Event) -> None:
        """Notice a database that has gone before there is something to store, and wait for it."""
        if self._connection is not None and not self._connection.is_closed():
            return
        await self._drop_connection()
        try:
            self._connection = await self._open(stop)
        except Exception as error:
            if not (is_passing(error) or isinstance(error, Unavailable)):
                raise
        else:
            self._standing.stored()

    async def _open(self, stop: asyncio.Event) -> asyncpg.Connection:
        self._standing.connecting()
        connection = await open_database(self._settings, self._handler.name, stop)
        try:
            await self._handler.opened(connection)
        except BaseException:
            await close(connection)
            raise
        return connection

    async def _subscribe(self) -> AIOKafkaConsumer:
        self._standing.subscribing()
        names = [topic.name for topic in self._handler.topics]
        consumer = AIOKafkaConsumer(
            **client_options(self._settings, self._handler.name),
            group_id=self._handler.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            max_partition_fetch_bytes=max(topic.max_message_bytes for topic in self._handler.topics),
        )
        try:
            await consumer.start()
            _check_topics(names, await consumer.topics())
            consumer.subscribe(names, listener=_Revocation(self))
        except BaseException:
            await consumer.stop()
            raise
        return consumer

    def revoked(self) -> None:
        """Partitions are about to move: offsets noted so far belong to the past."""
        self._generation += 1
        self._stored.clear()
        self._standing.revoked()

    def assigned(self, partitions: int) -> None:
        """The group has shared its partitions out; this member has so many."""
        self._standing.assigned(partitions)

    async def _drop_consumer(self) -> None:
        consumer, self._consumer = self._consumer, None
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)
        self.revoked()
        if consumer is not None:
            await consumer.stop()

    async def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await close(connection)

    def _started(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise RuntimeError("the consumer has not been started")
        return self._consumer


class _Revocation(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        del revoked
        self._reader.revoked()

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        log.info("partitions assigned", partitions=len(assigned))
        self._reader.assigned(len(assigned))


def _check_topics(names: Sequence[str], existing: set[str]) -> None:
    missing = ", ".join(sorted(set(names) - existing))
    if missing:
        raise UnknownTopicOrPartitionError(f"no topic {missing}; create the topics with `riskflow topics`")


def _count_read(records: Sequence[Any]) -> None:
    for record in records:
        count(MESSAGES_READ, record.topic)


def is_records_fault(error: Exception) -> bool:
    """Whether a record, and not its surroundings, is to blame."""
    return isinstance(error, (InvalidMessage, RefusedTrigger)) or is_data_fault(error)


def batches(records: Sequence[Any]) -> Iterator[list[Any]]:
    """Cut records into runs of at most BATCH_BYTES of values, each at least one record long."""
    batch: list[Any] = []
    size = 0
    for record in records:
        length = len(record.value or b"")
        if batch and size + length > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += length
    if batch:
        yield batch
