"""The topics of the table on a real broker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from ops.stack.servers import EmbeddedBroker
from producers.topics import create_topics
from schemas.errors import RiskflowError, Unavailable
from schemas.topics import ALL_TOPICS, GRID_CHUNKS, HAZARDS, TRIGGERS


@pytest.fixture
async def bare_broker(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    server = EmbeddedBroker(tmp_path / "broker.log")
    await server.start()
    try:
        await server.wait_ready()
        yield server
    finally:
        await server.stop()


async def make(address: str, *topics: NewTopic) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        await admin.create_topics(list(topics))
    finally:
        await admin.close()


async def test_all_topics_are_created_once_with_their_partitions(bare_broker: EmbeddedBroker) -> None:
    created = await create_topics(bare_broker.address, 1)
    assert sorted(created) == sorted(topic.name for topic in ALL_TOPICS)
    assert await create_topics(bare_broker.address, 1) == []

    admin = AIOKafkaAdminClient(bootstrap_servers=bare_broker.address)
    await admin.start()
    try:
        described = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}
    finally:
        await admin.close()
    assert described == {topic.name: topic.partitions for topic in ALL_TOPICS}


async def test_what_is_missing_is_added_to_what_exists(bare_broker: EmbeddedBroker) -> None:
    await make(bare_broker.address, NewTopic(TRIGGERS.name, 1, 1, topic_configs=TRIGGERS.config))
    created = await create_topics(bare_broker.address, 1)
    assert len(created) == len(ALL_TOPICS) - 1
    assert TRIGGERS.name not in created


async def test_existing_topics_that_would_lose_messages_are_named(bare_broker: EmbeddedBroker) -> None:
    await make(
        bare_broker.address,
        NewTopic(GRID_CHUNKS.name, 2, 1, topic_configs=GRID_CHUNKS.config),
        NewTopic(
            HAZARDS.name,
            8,
            1,
            topic_configs={"cleanup.policy": "compact", "max.message.bytes": "1000", "retention.ms": "-1"},
        ),
    )
    with pytest.raises(RiskflowError) as fault:
        await create_topics(bare_broker.address, 1)
    sentence = str(fault.value)
    assert "risk.grid-chunks.v1 has 2 partitions; it needs 8" in sentence
    assert "risk.hazards.v1 takes 1000 bytes a message; it needs 2097152" in sentence
    assert "risk.hazards.v1 is compacted; it needs cleanup.policy=delete" in sentence


async def test_an_absent_broker_is_unavailable(bare_broker: EmbeddedBroker) -> None:
    address = bare_broker.address
    await bare_broker.stop()
    with pytest.raises(Unavailable, match=f"broker {address} does not answer"):
        await create_topics(address, 1)
