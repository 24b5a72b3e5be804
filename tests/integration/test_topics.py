"""The topics of the table on a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from ops.stack.kafka import KafkaBroker
from ops.stack.servers import EmbeddedBroker
from producers.topics import create_topics
from schemas.errors import RiskflowError, Unavailable
from schemas.settings import Settings
from schemas.topics import ALL_TOPICS, GRID_CHUNKS, HAZARDS, REPORTS, TRIGGERS


@pytest.fixture
async def bare_broker(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    server = EmbeddedBroker(tmp_path / "broker.log")
    await server.start()
    try:
        await server.wait_ready()
        yield server
    finally:
        await server.stop()


def at(address: str) -> Settings:
    return Settings(_env_file=None, kafka_bootstrap_servers=address)


async def make(address: str, *topics: NewTopic) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        await admin.create_topics(list(topics))
    finally:
        await admin.close()


async def test_all_topics_are_created_once_with_their_partitions(bare_broker: EmbeddedBroker) -> None:
    created = await create_topics(at(bare_broker.address))
    assert sorted(created) == sorted(topic.name for topic in ALL_TOPICS)
    assert await create_topics(at(bare_broker.address)) == []

    admin = AIOKafkaAdminClient(bootstrap_servers=bare_broker.address)
    await admin.start()
    try:
        described = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}
    finally:
        await admin.close()
    assert described == {topic.name: topic.partitions for topic in ALL_TOPICS}


async def test_what_is_missing_is_added_to_what_exists(bare_broker: EmbeddedBroker) -> None:
    await make(bare_broker.address, NewTopic(TRIGGERS.name, 1, 1, topic_configs=TRIGGERS.config))
    created = await create_topics(at(bare_broker.address))
    assert len(created) == len(ALL_TOPICS) - 1
    assert TRIGGERS.name not in created


async def test_on_kafka_a_created_topic_is_shown_at_once_with_its_leaders(kafka: KafkaBroker) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
    await admin.start()
    try:
        await admin.delete_topics([REPORTS.name])
        async with asyncio.timeout(20):
            while REPORTS.name in await admin.list_topics():
                continue
        assert await create_topics(at(kafka.address)) == [REPORTS.name]
        described = await admin.describe_topics([topic.name for topic in ALL_TOPICS])
    finally:
        await admin.close()
    leaders = {topic["topic"]: [each["leader"] for each in topic["partitions"]] for topic in described}
    assert leaders == {topic.name: [1] * topic.partitions for topic in ALL_TOPICS}
    assert await create_topics(at(kafka.address)) == []


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
        await create_topics(at(bare_broker.address))
    sentence = str(fault.value)
    assert "risk.grid-chunks.v1 has 2 partitions; it needs 8" in sentence
    assert "risk.hazards.v1 takes 1000 bytes a message; it needs 2097152" in sentence
    assert "risk.hazards.v1 is compacted; it needs cleanup.policy=delete" in sentence


async def test_an_absent_broker_is_unavailable(bare_broker: EmbeddedBroker) -> None:
    address = bare_broker.address
    await bare_broker.stop()
    with pytest.raises(Unavailable, match=f"broker {address} does not answer"):
        await create_topics(at(address))
