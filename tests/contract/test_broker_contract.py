"""What riskflow leans on in a broker; every broker that it runs on must pass."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import CommitFailedError, IllegalStateError, TopicAlreadyExistsError

from ops.stack.broker import Broker
from ops.stack.servers import EmbeddedBroker
from producers.offsets import OffsetReader
from producers.publisher import Publisher
from producers.topics import _until_seen
from schemas.codec import Record
from schemas.settings import Settings

LIMIT_SECONDS = 20
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
async def embedded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedBroker]:
    """An embedded broker apart from the session's: its topics go with each restart."""
    server = EmbeddedBroker(tmp_path_factory.mktemp("embedded") / "broker.log")
    try:
        await server.start()
        await server.wait_ready()
        yield server
    finally:
        await server.stop()


@pytest.fixture(scope="module", params=["embedded", "kafka"])
def running(request: pytest.FixtureRequest) -> Broker:
    """Each broker in turn."""
    return request.getfixturevalue(request.param)


async def crash(server: Broker) -> None:
    """End it as a crash would and start it again."""
    server.kill()
    await server.wait_exit()
    await server.start()
    await server.wait_ready()


@pytest.fixture
def settings(running: Broker) -> Settings:
    return Settings(_env_file=None, kafka_bootstrap_servers=running.address, start_timeout=LIMIT_SECONDS)


@pytest.fixture
async def admin(running: Broker) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=running.address)
    await client.start()
    yield client
    await client.close()


@pytest.fixture
async def topic(admin: AIOKafkaAdminClient) -> str:
    """A fresh topic of four partitions that takes 4 MiB a message."""
    return await make_topic(admin)


async def make_topic(admin: AIOKafkaAdminClient) -> str:
    name = f"contract.{next(NUMBERS)}.v1"
    config = {"retention.ms": "-1", "max.message.bytes": str(4 << 20), "cleanup.policy": "delete"}
    await admin.create_topics([NewTopic(name, 4, 1, topic_configs=config)])
    await _until_seen(admin, {name})
    return name


@pytest.fixture
async def publisher(settings: Settings) -> AsyncIterator[Publisher]:
    async with Publisher(settings) as publisher:
        yield publisher


@pytest.fixture
async def offsets(settings: Settings) -> AsyncIterator[OffsetReader]:
    reader = OffsetReader(settings, "contract")
    await reader.start()
    yield reader
    await reader.stop()


@asynccontextmanager
async def member(settings: Settings, topic: str, group: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=1_000,
        heartbeat_interval_ms=300,
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=4 << 20,
    )
    await consumer.start()
    consumer.subscribe([topic])
    try:
        yield consumer
    finally:
        await consumer.stop()


async def read(consumer: AIOKafkaConsumer, count: int) -> list[tuple[int, int, bytes]]:
    """Partition, offset and value of `count` records."""
    found: list[tuple[int, int, bytes]] = []
    async with asyncio.timeout(LIMIT_SECONDS):
        while len(found) < count:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [(record.partition, record.offset, record.value) for record in records]
    return found


async def assigned(consumer: AIOKafkaConsumer, count: int) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while len(consumer.assignment()) != count:
            await consumer.getmany(timeout_ms=50)


def numbered(topic: str, count: int) -> list[tuple[Record, int | None]]:
    return [(Record(topic, b"key", str(number).encode(), []), number % 4) for number in range(count)]


async def test_topics_keep_their_partitions_and_configs(admin: AIOKafkaAdminClient, topic: str) -> None:
    [described] = await admin.describe_topics([topic])
    assert sorted(partition["partition"] for partition in described["partitions"]) == [0, 1, 2, 3]
    [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    entries = {entry[0]: entry[1] for entry in answer.resources[0][4]}
    assert (entries["retention.ms"], entries["max.message.bytes"]) == ("-1", str(4 << 20))
    again = await admin.create_topics([NewTopic(topic, 4, 1)])
    assert again.topic_errors[0][1] == TopicAlreadyExistsError.errno


async def test_a_record_goes_to_the_partition_named_and_counts_as_one_offset(
    publisher: Publisher, offsets: OffsetReader, topic: str
) -> None:
    sent = await publisher.send_all(numbered(topic, 40))
    assert [(each.partition, each.offset) for each in sent] == [(n % 4, n // 4) for n in range(40)]
    places = await offsets.partitions([topic])
    assert await offsets.ends(places) == {TopicPartition(topic, each): 10 for each in range(4)}


async def test_key_headers_and_bytes_arrive_unchanged(
    settings: Settings, publisher: Publisher, topic: str
) -> None:
    headers = [("job-id", "작업".encode()), ("twice", b"1"), ("twice", b"\xff\x00")]
    await publisher.send(Record(topic, "열쇠".encode(), b"\x00\xff", headers))
    async with member(settings, topic, f"{topic}-group") as consumer:
        async with asyncio.timeout(LIMIT_SECONDS):
            record = await consumer.getone()
    assert (record.key, record.value) == ("열쇠".encode(), b"\x00\xff")
    assert list(record.headers) == headers


async def test_the_largest_message_is_taken_and_read(
    settings: Settings, publisher: Publisher, topic: str
) -> None:
    value = bytes(4 * (1 << 20) - 1024)
    await publisher.send(Record(topic, b"key", value, []))
    async with member(settings, topic, f"{topic}-group") as consumer:
        [(_, _, read_value)] = await read(consumer, 1)
    assert read_value == value


async def test_a_group_goes_on_from_what_it_committed(
    settings: Settings, publisher: Publisher, offsets: OffsetReader, topic: str
) -> None:
    group, places = f"{topic}-group", await offsets.partitions([topic])
    assert await offsets.passed(group, places) == dict.fromkeys(places, 0)
    await publisher.send_all(numbered(topic, 8))
    async with member(settings, topic, group) as consumer:
        await read(consumer, 8)
        await consumer.commit({TopicPartition(topic, 1): 2, TopicPartition(topic, 3): 1})
    assert await offsets.passed(group, places) == {
        TopicPartition(topic, 0): 0,
        TopicPartition(topic, 1): 2,
        TopicPartition(topic, 2): 0,
        TopicPartition(topic, 3): 1,
    }
    async with member(settings, topic, group) as consumer:
        again = await read(consumer, 5)
    assert sorted((partition, offset) for partition, offset, _ in again) == [
        (0, 0),
        (0, 1),
        (2, 0),
        (2, 1),
        (3, 1),
    ]


async def test_members_share_the_partitions_and_take_over_from_one_that_leaves(
    settings: Settings, publisher: Publisher, topic: str
) -> None:
    group = f"{topic}-group"
    async with member(settings, topic, group) as first:
        await assigned(first, 4)
        async with member(settings, topic, group) as second:
            await asyncio.gather(assigned(first, 2), assigned(second, 2))
            assert not first.assignment() & second.assignment()
            lost = min(second.assignment())
            with pytest.raises((CommitFailedError, IllegalStateError)):
                await first.commit({lost: 1})
        await assigned(first, 4)
        await publisher.send_all(numbered(topic, 4))
        assert len(await read(first, 4)) == 4


async def test_what_is_sent_while_a_group_is_being_assigned_is_read(
    settings: Settings, publisher: Publisher, topic: str
) -> None:
    async with member(settings, topic, f"{topic}-group") as consumer:
        reading = asyncio.create_task(read(consumer, 200))
        for record, partition in numbered(topic, 200):
            await publisher.send(record, partition)
        found = await reading
    assert sorted(int(value) for _, _, value in found) == list(range(200))


async def test_a_record_carries_the_time_at_which_it_was_sent(
    settings: Settings, publisher: Publisher, topic: str
) -> None:
    before = int(time.time() * 1000)
    await publisher.send(Record(topic, b"key", b"value", []), 0)
    after = int(time.time() * 1000)
    async with member(settings, topic, f"{topic}-group") as consumer:
        async with asyncio.timeout(LIMIT_SECONDS):
            record = await consumer.getone()
    assert before <= record.timestamp <= after


@pytest.mark.parametrize("running", ["kafka"], indirect=True)
async def test_partitions_can_be_added_on_kafka_and_are_read_by_running_members(
    settings: Settings, admin: AIOKafkaAdminClient, publisher: Publisher, topic: str
) -> None:
    async with member(settings, topic, f"{topic}-group") as consumer:
        await assigned(consumer, 4)
        await publisher.send_all(numbered(topic, 4))
        await admin.create_partitions({topic: NewPartitions(6)})
        async with asyncio.timeout(LIMIT_SECONDS):
            while len((await admin.describe_topics([topic]))[0]["partitions"]) != 6:
                pass
        async with Publisher(settings) as knowing:
            await knowing.send(Record(topic, b"key", b"new", []), 5)
        found: dict[bytes, tuple[int, int]] = {}
        async with asyncio.timeout(LIMIT_SECONDS):
            # An answer on its way may still be of before, and records come before the new assignment too.
            while len(found) < 5 or len(consumer.assignment()) != 6:
                consumer._client.force_metadata_update()
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found |= {record.value: (record.partition, record.offset) for record in records}
    assert found == {b"0": (0, 0), b"1": (1, 0), b"2": (2, 0), b"3": (3, 0), b"new": (5, 0)}


async def test_a_crash_keeps_log_and_committed_offsets_or_starts_both_anew(
    running: Broker, settings: Settings, admin: AIOKafkaAdminClient
) -> None:
    name, log_id, address = await make_topic(admin), running.log_id, running.address
    group = f"{name}-group"
    async with Publisher(settings) as publisher:
        await publisher.send_all(numbered(name, 8))
    async with member(settings, name, group) as consumer:
        await read(consumer, 8)
        await consumer.commit({TopicPartition(name, 1): 2, TopicPartition(name, 2): 1})
    await crash(running)
    assert running.address == address
    assert (running.log_id == log_id) is running.keeps_log
    client = AIOKafkaAdminClient(bootstrap_servers=address)
    await client.start()
    try:
        assert (name in await client.list_topics()) is running.keeps_log
        if not running.keeps_log:
            await client.create_topics([NewTopic(name, 4, 1)])
    finally:
        await client.close()
    places = [TopicPartition(name, each) for each in range(4)]
    reader = OffsetReader(settings, "contract")
    await reader.start()
    try:
        assert set(await reader.partitions([name])) == set(places)
        ends, passed = await reader.ends(places), await reader.passed(group, places)
    finally:
        await reader.stop()
    kept = running.keeps_log
    assert [ends[place] for place in places] == ([2, 2, 2, 2] if kept else [0, 0, 0, 0])
    assert [passed[place] for place in places] == ([0, 2, 1, 0] if kept else [0, 0, 0, 0])
