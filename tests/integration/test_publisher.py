"""The publisher on a real broker."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiokafka.errors import KafkaError
from flow_samples import read_topic

from ops.stack.servers import EmbeddedBroker
from producers.publisher import Publisher
from producers.topics import create_topics
from schemas.codec import Record, encode, header
from schemas.errors import Unavailable
from schemas.messages import Trigger
from schemas.settings import Settings
from schemas.topics import GRID_CHUNKS, HAZARDS, TRIGGERS, dead_letters


@pytest.fixture
def settings(own_broker: EmbeddedBroker) -> Settings:
    return Settings(_env_file=None, kafka_bootstrap_servers=own_broker.address, start_timeout=20)


async def stopped_broker(folder: Path) -> EmbeddedBroker:
    """A broker that has its port, but does not run."""
    server = EmbeddedBroker(folder / "broker.log")
    await server.start()
    await server.stop()
    return server


async def test_a_record_arrives_as_it_was_sent(settings: Settings) -> None:
    record = encode(TRIGGERS, Trigger(job_id="job", job_type="hazard"), source="test")
    async with Publisher(settings) as publisher:
        sent = await publisher.send(record)
        chosen = await publisher.send(Record(GRID_CHUNKS.name, b"job:1", b"{}", []), partition=5)
    assert (sent.topic, sent.partition, sent.offset) == (TRIGGERS.name, 0, 0)
    assert (chosen.partition, chosen.offset) == (5, 0)
    [read] = await read_topic(settings, TRIGGERS.name)
    assert (read.key, read.value) == (b"job", record.value)
    assert header(read.headers, "job-id") == "job"


async def test_every_record_counts_as_one_offset_and_keeps_its_order(settings: Settings) -> None:
    async with Publisher(settings) as publisher:
        sent = await publisher.send_all(
            (Record(GRID_CHUNKS.name, b"k", str(number).encode(), []), 2) for number in range(50)
        )
    assert [each.offset for each in sent] == list(range(50))
    assert [int(record.value) for record in await read_topic(settings, GRID_CHUNKS.name)] == list(range(50))


async def test_one_record_that_cannot_be_sent_does_not_hold_up_the_others(settings: Settings) -> None:
    huge = Record(HAZARDS.name, b"k", b"x" * (101 << 20), [])
    async with Publisher(settings) as publisher:
        first, middle, last = await publisher.send_all(
            [(Record(HAZARDS.name, b"k", b"1", []), 0), (huge, 0), (Record(HAZARDS.name, b"k", b"2", []), 0)]
        )
    assert isinstance(middle, KafkaError)
    assert (first.offset, last.offset) == (0, 1)


async def test_a_dead_letter_of_twice_the_size_is_taken(settings: Settings) -> None:
    letter = dead_letters(HAZARDS)
    async with Publisher(settings) as publisher:
        await publisher.send(Record(letter.name, b"k", b"x" * (letter.max_message_bytes - 4096), []))
    assert len(await read_topic(settings, letter.name)) == 1


async def test_it_waits_at_start_for_a_broker_that_comes_up(tmp_path: Path) -> None:
    server = await stopped_broker(tmp_path)
    settings = Settings(_env_file=None, kafka_bootstrap_servers=server.address, start_timeout=20)
    publisher = Publisher(settings)
    waiting = asyncio.create_task(publisher.start())
    done, _ = await asyncio.wait([waiting], timeout=0.3)
    assert not done
    await server.start()
    try:
        await server.wait_ready()
        await create_topics(settings)
        await waiting
        assert (await publisher.send(Record(TRIGGERS.name, b"k", b"{}", []))).offset == 0
    finally:
        waiting.cancel()
        await publisher.stop()
        await server.stop()


async def test_it_gives_up_after_the_limit(tmp_path: Path) -> None:
    absent = await stopped_broker(tmp_path)
    settings = Settings(_env_file=None, kafka_bootstrap_servers=absent.address, start_timeout=0.5)
    with pytest.raises(Unavailable, match=f"broker {absent.address} did not answer within 0.5 s"):
        await Publisher(settings).start()
