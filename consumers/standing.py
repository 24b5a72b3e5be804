"""What a reader tells of itself: what it waits for, and whether its broker is there."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.pulse import Loop
from schemas.settings import Settings

PROBE_SECONDS = 5.0
"""Silence of the broker after which it is asked whether it is there (expert assumption)."""
ANSWER_SECONDS = 3.0
"""How long it may take to answer that (expert assumption)."""


class Standing:
    """A reader's place between database, broker and group, told to its loop."""

    def __init__(self, settings: Settings, loop: Loop) -> None:
        self._database = f"database {settings.database_label}"
        self._broker = f"broker {settings.kafka_bootstrap_servers}"
        self._loop = loop
        self._partitions: int | None = None
        self._heard_at = 0.0

    def turned(self) -> None:
        """A turn has been made."""
        self._loop.beat()

    def connecting(self) -> None:
        """The database is being asked for a connection."""
        self._loop.waiting(self._database)

    def subscribing(self) -> None:
        """The broker is being asked for the topics."""
        self._loop.waiting(self._broker)

    def revoked(self) -> None:
        """The group is about to share its partitions out anew."""
        self._partitions = None
        self._tell()

    def assigned(self, partitions: int) -> None:
        """It has, perhaps none to this reader, where it has more members than partitions."""
        self._partitions = partitions
        self._tell()

    def stored(self) -> None:
        """A batch is in the database."""
        self._tell()

    def failed(self, error: Exception) -> None:
        """A batch is not, and will be tried again."""
        self._loop.waiting(f"a batch to be stored: {type(error).__name__}")

    async def ask(self, consumer: AIOKafkaConsumer, topic: str, *, found: bool) -> None:
        """Notice an absent broker: the client says nothing of it, and only finds no records.

        Args:
            consumer: Started.
            topic: One that is there.
            found: Whether the last read has found something.
        """
        clock = asyncio.get_running_loop().time
        if found:
            self._heard_at = clock()
        if clock() < self._heard_at + PROBE_SECONDS:
            return
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await consumer.end_offsets([TopicPartition(topic, 0)])
        except (KafkaError, TimeoutError):
            self._loop.waiting(self._broker)
        else:
            self._heard_at = clock()
            self._tell()

    def _tell(self) -> None:
        if self._partitions is None:
            self._loop.waiting("its partitions")
        else:
            self._loop.ready(None if self._partitions else "standing by: others have all partitions")
