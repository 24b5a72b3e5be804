"""What the broker knows of offsets: where logs begin and end, and how far groups have committed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import UnknownTopicOrPartitionError

from schemas.broker import client_options, until_broker_answers
from schemas.settings import Settings

Offsets = dict[TopicPartition, int]


class OffsetReader:
    """Reads offsets; belongs to no group and consumes nothing."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._admin: AIOKafkaAdminClient | None = None
        self._consumer: AIOKafkaConsumer | None = None

    async def start(self, stop: asyncio.Event | None = None) -> None:
        """Connect, waiting up to settings.start_timeout.

        Raises:
            Unavailable: The broker did not answer in time.
        """
        self._admin = await until_broker_answers(self._settings, self._connect_admin, stop)
        self._consumer = await until_broker_answers(self._settings, self._connect_consumer, stop)

    async def stop(self) -> None:
        """Disconnect; harmless when not started."""
        if self._consumer is not None:
            await self._consumer.stop()
        if self._admin is not None:
            await self._admin.close()

    async def partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        """Every partition of the topics, as the broker has them now.

        Raises:
            UnknownTopicOrPartitionError: A topic is not there.
        """
        found: list[TopicPartition] = []
        for topic in await self._client().describe_topics(list(topics)):
            if not topic["partitions"]:
                raise UnknownTopicOrPartitionError(f"the broker shows no partitions of {topic['topic']}")
            found += [TopicPartition(topic["topic"], each["partition"]) for each in topic["partitions"]]
        return found

    async def ends(self, partitions: Iterable[TopicPartition]) -> Offsets:
        """Offset that the next record of each partition will get."""
        return dict(await self._log().end_offsets(list(partitions)))

    async def passed(self, group: str, partitions: Iterable[TopicPartition]) -> Offsets:
        """Offset before which the group has nothing left to read, per partition.

        That is its committed offset, or the log's beginning where that lies further on.
        """
        # Named one by one: the embedded broker hangs up when asked for all partitions of a group.
        named = list(partitions)
        committed = await self._client().list_consumer_group_offsets(group, partitions=named)
        begins: Mapping[TopicPartition, int] = await self._log().beginning_offsets(named)
        return {
            place: max(committed[place].offset if place in committed else -1, begins[place])
            for place in named
        }

    async def _connect_admin(self) -> AIOKafkaAdminClient:
        admin = AIOKafkaAdminClient(**client_options(self._settings, self._name))
        try:
            await admin.start()
        except BaseException:
            await admin.close()
            raise
        return admin

    async def _connect_consumer(self) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(**client_options(self._settings, self._name))
        try:
            await consumer.start()
        except BaseException:
            await consumer.stop()
            raise
        return consumer

    def _client(self) -> AIOKafkaAdminClient:
        if self._admin is None:
            raise RuntimeError("call start() first")
        return self._admin

    def _log(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise RuntimeError("call start() first")
        return self._consumer
