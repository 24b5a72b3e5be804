"""The outbox: rows that the broker refuses hold nobody up, and are not forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import orjson
import pytest
from flow_samples import job_row, read_topic, running
from waiting import until

from consumers import letters
from ops.stack.kafka import KafkaBroker
from producers import outbox as outbox_module
from producers import publisher as publisher_module
from producers.bridge import Bridge
from producers.offsets import OffsetReader
from producers.outbox import Outbox, put
from producers.publisher import Publisher
from schemas.codec import MAX_REASON, TRUE_NAMES, Record
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


async def test_a_row_that_makes_no_record_is_put_aside_and_the_others_go(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher
) -> None:
    for told in (b"garbage", b"[]", b"[1, 2]", b"{}"):
        await connection.execute(
            "INSERT INTO outbox (topic, key, value, header_names, header_values) "
            "VALUES ($1, 'bad', '{}', $2, $3)",
            *(JOB_EVENTS.name, ["a", "b", TRUE_NAMES], [b"1", b"2", told]),
        )
    await put_event(connection, 2)
    outbox = Outbox(publisher)
    assert await outbox.publish(connection) == 1
    assert [event.key for event in await read_topic(settings, JOB_EVENTS.name)] == [b"k"]
    left = await connection.fetch("SELECT id FROM outbox WHERE published_at IS NULL ORDER BY id")
    assert sorted(outbox._refused) == [row["id"] for row in left]
    assert len(left) == 4


async def test_headers_called_like_ours_and_names_with_nul_are_published_as_they_were(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher
) -> None:
    given = [
        [(TRUE_NAMES, b"garbage")],
        [("a", b"1"), (TRUE_NAMES, b'["b"]')],
        [("nul\x00name", b"2"), (TRUE_NAMES, b"[]")],
    ]
    for headers in given:
        record = Record(JOB_EVENTS.name, b"k", b"{}", headers)
        await put(connection, record)
        await letters.put(connection, [record])
    assert await Outbox(publisher).publish(connection) == 6
    sent = [list(event.headers) for event in await read_topic(settings, JOB_EVENTS.name)]
    assert sent == [headers for headers in given for _ in range(2)]


@pytest.mark.parametrize(
    ("told", "job_type", "asker"),
    [
        ({"job_type": "haz\x00ard", "requested_by": "k\x00im"}, "haz␀ard", "k␀im"),
        ({"job_type": "x" * 2_000_000}, "x" * MAX_REASON, None),
        ({"job_type": ["hazard"], "requested_by": 7}, "unknown", None),
        ({}, "unknown", None),
    ],
)
async def test_a_trigger_that_is_too_large_is_refused_whatever_it_holds(  # noqa: PLR0913, PLR0917 - fixtures
    connection: asyncpg.Connection,
    settings: Settings,
    strict_publisher: Publisher,
    told: dict[str, object],
    job_type: str,
    asker: str | None,
) -> None:
    value = orjson.dumps(told | {"risks": ["x" * STRICT_BYTES]})
    await put(connection, Record(TRIGGERS.name, b"large", value, []), "large")
    outbox = Outbox(strict_publisher)
    assert [await outbox.publish(connection) for _ in range(3)] == [0, 1, 0]
    job = await job_row(connection, "large")
    assert job is not None
    assert (job["status"], job["job_type"], job["requested_by"]) == ("failed", job_type, asker)
    [event] = await read_topic(settings, JOB_EVENTS.name)
    assert orjson.loads(event.value)["job_type"] == job_type


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
