"""The outbox: rows that the broker refuses hold nobody up, and are not forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import orjson
import pytest
from flow_samples import job_row, read_topic, running, until

from ops.stack.kafka import KafkaBroker
from producers import outbox as outbox_module
from producers import publisher as publisher_module
from producers.bridge import Bridge
from producers.offsets import OffsetReader
from producers.outbox import Outbox
from producers.publisher import Publisher
from schemas.settings import Settings
from schemas.topics import JOB_EVENTS, TRIGGERS

STRICT_BYTES = 20_000


@pytest.fixture
async def strict_publisher(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Publisher]:
    """A producer that takes no message of more than STRICT_BYTES."""
    monkeypatch.setattr(publisher_module, "MAX_REQUEST_BYTES", STRICT_BYTES)
    async with Publisher(settings) as publisher:
        yield publisher


async def put_event(connection: asyncpg.Connection, size: int, times: int = 1) -> None:
    await connection.executemany(
        "INSERT INTO outbox (topic, key, value) VALUES ($1, 'k', $2)",
        [(JOB_EVENTS.name, bytes(size))] * times,
    )


async def test_rows_that_the_broker_refuses_for_good_hold_nobody_up_and_stay(
    connection: asyncpg.Connection,
    settings: Settings,
    strict_publisher: Publisher,
    offsets: OffsetReader,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox_module, "BATCH", 10)
    await put_event(connection, 2 * STRICT_BYTES, times=25)
    asked = [await connection.fetchval("SELECT riskflow.request('hazard')") for _ in range(15)]

    async def published() -> bool:
        return await connection.fetchval("SELECT count(published_at) FROM outbox") == len(asked)

    async with running(Bridge(settings, strict_publisher, offsets).run):
        await until(published, "what stands behind the refused rows")
    assert [record.key.decode() for record in await read_topic(settings, TRIGGERS.name)] == asked
    left = await connection.fetch("SELECT topic FROM outbox WHERE published_at IS NULL")
    assert [row["topic"] for row in left] == [JOB_EVENTS.name] * 25


async def test_a_refused_row_waits_longer_each_time_and_goes_when_its_fault_is_mended(
    connection: asyncpg.Connection, strict_publisher: Publisher
) -> None:
    await put_event(connection, 2 * STRICT_BYTES)
    outbox = Outbox(strict_publisher)
    pauses = []
    for _ in range(9):
        assert await outbox.publish(connection) == 0
        [(row, refusal)] = outbox._refused.items()
        pauses.append(refusal.pause)
        assert await outbox.publish(connection) == 0
        assert outbox._refused == {row: refusal}, "tried again too early"
        outbox._refused[row] = outbox_module._Refusal(0.0, refusal.pause)
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 600, 600]
    await connection.execute("UPDATE outbox SET value = '{}'")
    assert await outbox.publish(connection) == 1
    assert outbox._refused == {}


async def test_a_trigger_that_is_too_large_for_its_topic_is_a_failed_job(
    connection: asyncpg.Connection, settings: Settings, strict_publisher: Publisher
) -> None:
    large = orjson.dumps({"job_id": "large", "risks": ["drought" * STRICT_BYTES]}).decode()
    await connection.fetchval("SELECT riskflow.request('hazard', $1)", large)
    await connection.fetchval("SELECT riskflow.request('hazard', '{\"job_id\": \"small\"}')")
    outbox = Outbox(strict_publisher)
    assert await outbox.publish(connection) == 1
    assert await outbox.publish(connection) == 1, "the event"
    assert await outbox.publish(connection) == 0
    assert [record.key for record in await read_topic(settings, TRIGGERS.name)] == [b"small"]
    job = await job_row(connection, "large")
    assert job is not None
    assert (job["status"], job["job_seq"], job["job_type"]) == ("failed", 0, "hazard")
    assert "bytes, more than risk.triggers.v1 takes; it takes 1048576" in job["error_message"]
    assert "drought" in orjson.loads(job["trigger"])
    [event] = await read_topic(settings, JOB_EVENTS.name)
    assert (event.key, orjson.loads(event.value)["state"]) == (b"large", "refused")
    row = await connection.fetchrow("SELECT published_at, answered_at FROM outbox WHERE job_id = 'large'")
    assert None not in tuple(row)


async def test_apache_kafka_refuses_an_unknown_topic_and_a_large_trigger_without_holding_up_others(
    connection: asyncpg.Connection, flow_settings: Settings, kafka: KafkaBroker
) -> None:
    settings = flow_settings.model_copy(update={"kafka_bootstrap_servers": kafka.address})
    unknown = await connection.fetchval(
        "INSERT INTO outbox (topic, key, value) VALUES ('no.such.topic', 'k', '{}') RETURNING id"
    )
    limit = TRIGGERS.max_message_bytes
    large = orjson.dumps({"job_id": "kafka-large", "risks": ["x" * limit]}).decode()
    await connection.fetchval("SELECT riskflow.request('hazard', $1)", large)
    await connection.fetchval("SELECT riskflow.request('hazard', '{\"job_id\": \"kafka-small\"}')")
    async with Publisher(settings) as publisher:
        outbox = Outbox(publisher)
        # An unknown topic is not waited for as the producer would, for 40 s with the rows locked.
        async with asyncio.timeout(20):
            assert await outbox.publish(connection) == 1
            assert list(outbox._refused) == [unknown]
            assert await outbox.publish(connection) == 1, "the event of the refused trigger"
    job = await job_row(connection, "kafka-large")
    assert job is not None
    assert job["status"] == "failed"
    assert f"more than {TRIGGERS.name} takes; it takes {limit}" in job["error_message"]
    left = await connection.fetch("SELECT id FROM outbox WHERE published_at IS NULL")
    assert [row["id"] for row in left] == [unknown]
    sent = await connection.fetchrow("SELECT partition, \"offset\" FROM outbox WHERE job_id = 'kafka-small'")
    assert None not in tuple(sent)
