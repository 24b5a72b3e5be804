"""Publishes records and waits for the broker's acknowledgement."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata

from schemas.broker import MAX_REQUEST_BYTES, client_options, until_broker_answers
from schemas.codec import Record
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
        return await (await self._enqueue(record, partition))

    async def send_all(
        self, records: Iterable[tuple[Record, int | None]]
    ) -> list[RecordMetadata | BaseException]:
        """Publish records, those of a partition in the given order; one outcome per record."""
        waiting: list[asyncio.Future[RecordMetadata]] = []
        for record, partition in records:
            try:
                waiting.append(await self._enqueue(record, partition))
            except Exception as error:  # noqa: BLE001 - handed back as this record's outcome
                failed: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
                failed.set_exception(error)
                waiting.append(failed)
        return await asyncio.gather(*waiting, return_exceptions=True)

    async def partitions(self, topic: str) -> list[int]:
        """Partitions of a topic, ascending."""
        return sorted(await self._started().partitions_for(topic))

    async def _enqueue(self, record: Record, partition: int | None) -> asyncio.Future[RecordMetadata]:
        delivery: asyncio.Future[RecordMetadata] = await self._started().send(
            record.topic,
            record.value,
            key=record.key or None,
            partition=partition,
            headers=record.headers,
        )
        return delivery

    def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise RuntimeError("call start() first")
        return self._producer
