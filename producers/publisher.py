"""Publishes records and waits for the broker's acknowledgement."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from aiokafka.structs import RecordMetadata

from schemas.broker import MAX_REQUEST_BYTES, client_options, until_broker_answers
from schemas.codec import Record
from schemas.metrics import MESSAGES_WRITTEN
from schemas.settings import Settings


class Publisher:
    """One producer: acks=all, one record a batch, the library's own timeouts.

    One record a batch, because the embedded broker counts a batch as one offset; the default
    timeout, because sends then wait through a broker's restart.
    """

    def __init__(self, settings: Settings, name: str = "publisher") -> None:
        self._settings = settings
        self._name = name
        self._producer: AIOKafkaProducer | None = None

    async def start(self, stop: asyncio.Event | None = None) -> None:
        """Connect, waiting up to settings.start_timeout.

        Raises:
            Unavailable: The broker did not answer in time.
        """
        self._producer = await until_broker_answers(self._settings, self._connect, stop)

    async def _connect(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **client_options(self._settings, self._name),
            acks="all",
            enable_idempotence=False,
            max_batch_size=1,
            max_request_size=MAX_REQUEST_BYTES,
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer

    async def stop(self) -> None:
        """Send what is queued and disconnect; harmless when not started."""
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()

    async def send(self, record: Record, partition: int | None = None) -> RecordMetadata:
        """Publish one record.

        Returns:
            Topic, partition, offset and timestamp (ms) as acknowledged.

        Raises:
            KafkaError: Not acknowledged; it may still have been stored.
        """
        sent = await (await self._enqueue(record, partition))
        MESSAGES_WRITTEN.labels(record.topic).inc()
        return sent

    async def send_all(
        self, records: Iterable[tuple[Record, int | None]]
    ) -> list[RecordMetadata | BaseException]:
        """Publish records, those of a partition in the given order; one outcome per record.

        A topic that the broker does not show is not waited for, so that it holds up no other.
        """
        given = list(records)
        absent = await self._absent({record.topic for record, _ in given})
        waiting: list[asyncio.Future[RecordMetadata]] = []
        for record, partition in given:
            if record.topic in absent:
                waiting.append(_failed(absent[record.topic]))
                continue
            try:
                waiting.append(await self._enqueue(record, partition))
            except Exception as error:  # noqa: BLE001 - handed back as this record's outcome
                waiting.append(_failed(error))
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        for (record, _), outcome in zip(given, outcomes, strict=True):
            if not isinstance(outcome, BaseException):
                MESSAGES_WRITTEN.labels(record.topic).inc()
        return outcomes

    async def _absent(self, topics: set[str]) -> dict[str, KafkaError]:
        """Why records of these topics cannot be sent now; empty where the broker has them all."""
        client = self._started().client
        seen = client.cluster.partitions_for_topic
        unseen = [topic for topic in topics if seen(topic) is None]
        if not unseen:
            return {}
        for topic in unseen:
            await client.add_topic(topic)
        # Once more: an update that was under way already did not ask for them.
        answers = await client.force_metadata_update()
        return {topic: _why(client, topic, answers) for topic in unseen if seen(topic) is None}

    async def partitions(self, topic: str) -> list[int]:
        """Partitions of a topic, ascending."""
        return sorted(await self._started().partitions_for(topic))

    async def _enqueue(self, record: Record, partition: int | None) -> asyncio.Future[RecordMetadata]:
        delivery: asyncio.Future[RecordMetadata] = await self._started().send(
            record.topic,
            record.value,
            key=record.key,
            partition=partition,
            headers=record.headers,
        )
        return delivery

    def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise RuntimeError("call start() first")
        return self._producer


def _failed(error: BaseException) -> asyncio.Future[RecordMetadata]:
    outcome: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
    outcome.set_exception(error)
    return outcome


def _why(client: AIOKafkaClient, topic: str, answers: bool) -> KafkaError:  # noqa: FBT001 - what the client returned
    if not answers:
        return KafkaConnectionError("no broker answers")
    if topic in client.cluster.unauthorized_topics:
        return TopicAuthorizationFailedError(topic)
    return UnknownTopicOrPartitionError(topic)
