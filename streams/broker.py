"""The broker before Faust speaks to it: is it there, and has it the topics."""

from __future__ import annotations

import asyncio

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import UnknownTopicOrPartitionError

from schemas.broker import client_options, until_broker_answers
from schemas.settings import Settings
from schemas.topics import GRID_CHUNKS, HAZARDS, PROBABILITIES, TENANT_CHUNKS, TENANT_METRICS, dead_letters

WORK = (GRID_CHUNKS, TENANT_CHUNKS)
RESULTS = (PROBABILITIES, HAZARDS, TENANT_METRICS)

NEEDED = frozenset(topic.name for topic in (*WORK, *map(dead_letters, WORK), *RESULTS))
"""Topics that the agents read and write."""


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
