"""The broker before Faust speaks to it: is it there, and has it the topics."""

from __future__ import annotations

import asyncio

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import UnknownTopicOrPartitionError

from schemas.broker import client_options, until_broker_answers
from schemas.settings import Settings
from schemas.topics import GRID_CHUNKS, RESULT_TOPICS, dead_letters

NEEDED = frozenset(
    {GRID_CHUNKS.name, dead_letters(GRID_CHUNKS).name, *(topic.name for topic in RESULT_TOPICS.values())}
)
"""Topics that the climate agent reads and writes."""


async def wait_for_topics(settings: Settings, stop: asyncio.Event | None = None) -> None:
    """Return when the broker answers and has the topics.

    Raises:
        Unavailable: Not within START_TIMEOUT; says which of the two, and what to do.
    """

    async def look() -> None:
        admin = AIOKafkaAdminClient(**client_options(settings, "worker"))
        try:
            await admin.start()
            missing = NEEDED - set(await admin.list_topics())
        finally:
            await admin.close()
        if missing:
            names = ", ".join(sorted(missing))
            raise UnknownTopicOrPartitionError(f"no topic {names}; create the topics with `riskflow topics`")

    await until_broker_answers(settings, look, stop)
