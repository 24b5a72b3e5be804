"""The bridge: what is written into PostgreSQL reaches the topics, once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import orjson
import pytest
from aiokafka import TopicPartition
from flow_samples import commit, job_row, read_topic, running
from waiting import until

from consumers.acceptor import Acceptor
from consumers.reader import Reader
from ops.stack.servers import EmbeddedBroker
from producers import bridge as bridge_module
from producers import hearing as hearing_module
from producers.bridge import Bridge
from producers.notifications import trigger_of
from producers.offsets import OffsetReader
from producers.outbox import Outbox
from producers.publisher import Publisher
from producers.topics import create_topics
from producers.unanswered import publish_lost_again
from schemas.codec import header
from schemas.settings import Settings
from schemas.topics import ACCEPTOR_GROUP, TRIGGERS

CHANNEL = "aiops_trigger"
Service = Callable[[asyncio.Event], Awaitable[None]]


@pytest.fixture
def two_bridges(settings: Settings, publisher: Publisher, offsets: OffsetReader) -> list[Bridge]:
    return [Bridge(settings, publisher, offsets) for _ in range(2)]


async def drained(connection: asyncpg.Connection, count: int) -> None:
    async def empty() -> bool:
        row = await connection.fetchrow("SELECT count(*), count(published_at) FROM outbox")
        return tuple(row) == (count, count)

    await until(empty, f"{count} published outbox rows")


async def hearing(bridges: list[Bridge]) -> Bridge:
    async def one() -> list[Bridge]:
        return [bridge for bridge in bridges if bridge.hears]

    found = await until(one, "a bridge that hears")
    assert len(found) == 1
    return found[0]


async def test_a_request_ends_in_one_message_with_two_bridges_running(
    connection: asyncpg.Connection, settings: Settings, two_bridges: list[Bridge]
) -> None:
    before = await connection.fetchval("SELECT riskflow.request('hazard', '{\"job_id\": \"early\"}')")
    async with running(*(bridge.run for bridge in two_bridges)):
        await drained(connection, 1)
        asked = [await connection.fetchval("SELECT riskflow.request('probability')") for _ in range(5)]
        await connection.fetchval("SELECT riskflow.request('hazard', '{\"job_id\": \"early\"}')")
        await drained(connection, 6)

    records = {record.key.decode(): record for record in await read_topic(settings, TRIGGERS.name)}
    assert records.keys() == {before, *asked}
    assert orjson.loads(records[asked[0]].value)["job_type"] == "probability"
    assert header(records[before].headers, "job-id") == "early"
    rows = await connection.fetch('SELECT job_id, "offset" FROM outbox')
    assert {(row["job_id"], row["offset"]) for row in rows} == {
        (job_id, record.offset) for job_id, record in records.items()
    }
    assert sorted(row["offset"] for row in rows) == list(range(6))


async def test_a_bare_notification_ends_in_one_message_with_two_bridges_running(
    connection: asyncpg.Connection, settings: Settings, two_bridges: list[Bridge]
) -> None:
    payload = '{"job_type": "climate", "job_id": "theirs", "risks": ["drought"]}'
    async with running(*(bridge.run for bridge in two_bridges)):
        await hearing(two_bridges)
        for text in ("hazard", payload, "probabilty"):
            await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, text)
        await drained(connection, 3)

    word, whole, unknown = await read_topic(settings, TRIGGERS.name)
    trigger = orjson.loads(word.value)
    assert (trigger["job_type"], trigger["requested_by"]) == ("hazard", "NOTIFY")
    assert trigger["job_id"] == word.key.decode()
    assert word.key.startswith(b"notify-")
    assert orjson.loads(whole.value)["job_id"] == "theirs"
    assert orjson.loads(unknown.value)["job_type"] == "probabilty"
    assert header(unknown.headers, "job-id") == unknown.key.decode()


async def test_the_other_bridge_hears_when_the_first_is_gone(
    connection: asyncpg.Connection,
    settings: Settings,
    two_bridges: list[Bridge],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hearing_module, "POLL_SECONDS", 0.1)
    async with running(two_bridges[0].run):
        await hearing(two_bridges)
        second = asyncio.Event()
        task = asyncio.create_task(two_bridges[1].run(second))
        await connection.execute("SELECT pg_notify($1, 'hazard')", CHANNEL)
        await drained(connection, 1)

    assert await hearing(two_bridges) is two_bridges[1]
    await connection.execute("SELECT pg_notify($1, 'probability')", CHANNEL)
    await drained(connection, 2)
    second.set()
    await task
    assert len(await read_topic(settings, TRIGGERS.name)) == 2


async def test_an_unknown_notification_becomes_a_failed_job_with_its_text(
    connection: asyncpg.Connection, settings: Settings, two_bridges: list[Bridge]
) -> None:
    services: list[Service] = [bridge.run for bridge in two_bridges]
    async with running(*services, Reader(settings, Acceptor(settings)).run):
        await hearing(two_bridges)
        await connection.execute("SELECT pg_notify($1, 'probabilty')", CHANNEL)

        async def refused() -> asyncpg.Record | None:
            return await connection.fetchrow("SELECT * FROM batch_job_logs")

        job = await until(refused, "the failed job")
        await drained(connection, 3)
    assert job["job_id"].startswith("notify-")
    asked = {"job_type": "probabilty", "requested_by": "NOTIFY"}
    assert (job["status"], orjson.loads(job["trigger"])) == ("failed", asked)
    assert "should be 'probability', 'hazard', 'climate' or 'weekly'" in job["error_message"]
    [letter] = await read_topic(settings, "risk.triggers.v1.dlq")
    assert (orjson.loads(letter.value), letter.key.decode()) == (asked, job["job_id"])


async def test_the_bridge_drains_what_came_while_its_sessions_were_lost(
    connection: asyncpg.Connection,
    settings: Settings,
    two_bridges: list[Bridge],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bridge_module, "POLL_SECONDS", 0.2)
    sessions = (
        "pid FROM pg_stat_activity "
        "WHERE application_name LIKE 'riskflow bridge%' AND datname = current_database()"
    )
    async with running(two_bridges[0].run):
        await hearing(two_bridges[:1])

        async def both() -> bool:
            return len(await connection.fetch(f"SELECT {sessions}")) == 2

        await until(both, "the bridge's two sessions")
        killed = await connection.fetch(f"SELECT pg_terminate_backend(pid), {sessions}")
        await connection.fetchval("SELECT riskflow.request('hazard')")
        await drained(connection, 1)

        async def leads_anew() -> bool:
            holders = await connection.fetch(
                "SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = database "
                "WHERE locktype = 'advisory' AND granted AND datname = current_database()"
            )
            return bool(holders) and not {row["pid"] for row in holders} & {row["pid"] for row in killed}

        await until(leads_anew, "the lead on a new session")
        await hearing(two_bridges[:1])
        await connection.execute("SELECT pg_notify($1, 'hazard')", CHANNEL)
        await drained(connection, 2)
    assert len(await read_topic(settings, TRIGGERS.name)) == 2


async def test_a_bridge_that_is_stopped_loses_its_place(
    connection: asyncpg.Connection, two_bridges: list[Bridge], monkeypatch: pytest.MonkeyPatch
) -> None:
    # With a poll that never comes, a bridge says as little to PostgreSQL as one that is stopped.
    monkeypatch.setattr(hearing_module, "POLL_SECONDS", 600)
    monkeypatch.setattr(hearing_module, "IDLE_LIMIT", "300ms")
    async with running(two_bridges[0].run):
        await hearing(two_bridges[:1])

        async def cut() -> bool:
            return not await connection.fetch(
                "SELECT FROM pg_stat_activity "
                "WHERE application_name = 'riskflow bridge listener' AND datname = current_database()"
            )

        await until(cut, "the end of its listening session", limit=5)


async def test_a_trigger_that_the_acceptor_passed_unanswered_is_published_again(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher, offsets: OffsetReader
) -> None:
    outbox = Outbox(publisher)
    lost = await connection.fetchval("SELECT riskflow.request('hazard', '{\"job_id\": \"lost\"}')")
    await connection.fetchval("SELECT riskflow.request('hazard', '{\"job_id\": \"waiting\"}')")
    assert await outbox.publish(connection) == 2
    assert await publish_lost_again(connection, offsets) == 0, "a long queue is not a loss"

    await commit(settings, ACCEPTOR_GROUP, {TopicPartition(TRIGGERS.name, 0): 1})
    assert await publish_lost_again(connection, offsets) == 1
    assert await outbox.publish(connection) == 1
    assert await publish_lost_again(connection, offsets) == 0
    keys = [record.key.decode() for record in await read_topic(settings, TRIGGERS.name)]
    assert keys == [lost, "waiting", lost]


async def test_an_answered_trigger_is_never_published_again(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher, offsets: OffsetReader
) -> None:
    bridge = Bridge(settings, publisher, offsets)
    async with running(bridge.run, Reader(settings, Acceptor(settings)).run):
        job_id = await connection.fetchval("SELECT riskflow.request('hazard')")
        await until(lambda: job_row(connection, job_id), "the job")
    assert await publish_lost_again(connection, offsets) == 0
    # Nor when somebody tidies the job log.
    await connection.execute("DELETE FROM batch_job_logs")
    assert await publish_lost_again(connection, offsets) == 0


async def test_triggers_on_a_broker_that_is_gone_are_published_on_the_new_one(
    connection: asyncpg.Connection,
    settings: Settings,
    own_broker: EmbeddedBroker,
    publisher: Publisher,
) -> None:
    await connection.fetchval("SELECT riskflow.request('hazard', '{\"job_id\": \"kept\"}')")
    reader = OffsetReader(settings, "test")
    assert await Outbox(publisher).publish(connection) == 1
    await publisher.stop()
    await own_broker.stop()
    await own_broker.start()
    await own_broker.wait_ready()
    await create_topics(Settings(_env_file=None, kafka_bootstrap_servers=own_broker.address))
    await publisher.start()
    await reader.start()
    try:
        assert await publish_lost_again(connection, reader) == 1
        assert await Outbox(publisher).publish(connection) == 1
    finally:
        await reader.stop()
    assert [record.key for record in await read_topic(settings, TRIGGERS.name)] == [b"kept"]


async def test_published_events_are_purged_and_triggers_kept(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher, offsets: OffsetReader
) -> None:
    await connection.execute(
        "INSERT INTO outbox (topic, key, value, published_at, job_id) VALUES "
        "('risk.job-events.v1', 'old', '{}', now() - interval '15 days', NULL), "
        "('risk.job-events.v1', 'new', '{}', now() - interval '13 days', NULL)"
    )
    await connection.execute(
        "INSERT INTO outbox (topic, key, value, published_at, answered_at, job_id) "
        "VALUES ('risk.triggers.v1', 'job', '{}', now() - interval '1 year', now(), 'job')"
    )

    async def purged() -> bool:
        return await connection.fetchval("SELECT count(*) FROM outbox") == 2

    async with running(Bridge(settings, publisher, offsets).run):
        await until(purged, "the purge")
    rows = await connection.fetch("SELECT convert_from(key, 'UTF8') AS key FROM outbox ORDER BY 1")
    assert [row["key"] for row in rows] == ["job", "new"]


def test_a_notification_with_an_id_that_no_message_may_have_goes_on_as_it_is() -> None:
    payload = '{"job_type": "hazard", "job_id": "two words"}'
    job_id, record = trigger_of(payload)
    assert record.value == payload.encode()
    assert (record.key.decode(), header(record.headers, "job-id")) == (job_id, job_id)


async def test_a_notification_with_a_taken_id_is_left_to_the_acceptor(
    connection: asyncpg.Connection, settings: Settings, two_bridges: list[Bridge]
) -> None:
    await connection.fetchval("SELECT riskflow.request('hazard', '{\"job_id\": \"taken\"}')")
    async with running(two_bridges[0].run):
        await hearing(two_bridges[:1])
        text = '{"job_type": "probability", "job_id": "taken"}'
        await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, text)
        await drained(connection, 2)
    types = [orjson.loads(record.value)["job_type"] for record in await read_topic(settings, TRIGGERS.name)]
    assert types == ["hazard", "probability"]
