"""Several bridges on one PostgreSQL, payloads that nobody expects, and a role that may only request."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import orjson
import pytest
from flow_samples import read_topic, running
from waiting import until

from consumers.acceptor import Acceptor
from consumers.reader import Reader
from ops.stack.servers import EmbeddedBroker
from producers import hearing as hearing_module
from producers.bridge import Bridge
from producers.offsets import OffsetReader
from producers.publisher import Publisher
from producers.topics import create_topics
from producers.unanswered import publish_lost_again
from schemas.settings import Settings
from schemas.topics import TRIGGERS

CHANNEL = "aiops_trigger"
TIMES = 50
NewBridge = Callable[[], Bridge]


@pytest.fixture
def new_bridge(settings: Settings, publisher: Publisher, offsets: OffsetReader) -> NewBridge:
    return lambda: Bridge(settings, publisher, offsets)


@asynccontextmanager
async def hearing(bridge: Bridge) -> AsyncIterator[Bridge]:
    """A bridge that runs for a block and hears from its beginning."""

    async def hears() -> bool:
        return bridge.hears

    async with running(bridge.run):
        await until(hears, "a bridge that hears")
        yield bridge


async def ask(connection: asyncpg.Connection, number: int) -> None:
    """A request and a notification, each with an asker that tells them apart."""
    options = f'{{"requested_by": "request {number}"}}'
    await connection.fetchval("SELECT riskflow.request('hazard', $1)", options)
    await notify(connection, f'{{"job_type": "hazard", "requested_by": "notification {number}"}}')


async def notify(connection: asyncpg.Connection, payload: str) -> None:
    await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, payload)


async def answered(connection: asyncpg.Connection) -> None:
    """Wait until every trigger of the outbox has been accepted or refused."""

    async def none_left() -> bool:
        return not await connection.fetchval(
            "SELECT count(*) FROM outbox "
            "WHERE published_at IS NULL OR (job_id IS NOT NULL AND answered_at IS NULL)"
        )

    await until(none_left, "the answers")


async def jobs_by_asker(connection: asyncpg.Connection) -> Counter[str]:
    rows = await connection.fetch("SELECT requested_by FROM batch_job_logs")
    return Counter(row["requested_by"] for row in rows)


async def test_requests_are_one_job_each_and_notifications_at_most_one_while_bridges_come_and_go(
    connection: asyncpg.Connection, settings: Settings, new_bridge: NewBridge
) -> None:
    bridges = [new_bridge() for _ in range(3)]
    stops = [asyncio.Event() for _ in bridges]
    tasks: dict[int, asyncio.Task[None]] = {}
    async with running(Reader(settings, Acceptor(settings)).run):
        for number in range(TIMES):
            place = number % len(bridges)
            if place in tasks:
                stops[place].set()
                await tasks.pop(place)
            else:
                stops[place] = asyncio.Event()
                tasks[place] = asyncio.create_task(bridges[place].run(stops[place]))
            if number % 7 == 0:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name LIKE 'riskflow bridge%' AND datname = current_database()"
                )
            await ask(connection, number)
        for stop in stops:
            stop.set()
        await asyncio.gather(*tasks.values())
        async with running(new_bridge().run):
            await answered(connection)
    jobs = await jobs_by_asker(connection)
    assert {name: jobs[name] for name in jobs if name.startswith("request")} == {
        f"request {number}": 1 for number in range(TIMES)
    }
    assert max(jobs.values()) == 1
    assert await connection.fetchval("SELECT count(*) FROM batch_job_logs WHERE status = 'failed'") == 0


async def test_every_notification_is_one_job_while_a_bridge_keeps_the_lead(
    connection: asyncpg.Connection, settings: Settings, new_bridge: NewBridge
) -> None:
    stop = asyncio.Event()
    async with running(Reader(settings, Acceptor(settings)).run), hearing(new_bridge()):
        others: list[asyncio.Task[None]] = []
        for number in range(TIMES):
            if number % 10 == 0:
                stop.set()
                await asyncio.gather(*others)
                stop = asyncio.Event()
                others = [asyncio.create_task(new_bridge().run(stop)) for _ in range(2)]
            await ask(connection, number)

        async def all_there() -> bool:
            return len(await jobs_by_asker(connection)) == 2 * TIMES

        await until(all_there, "all jobs")
        stop.set()
        await asyncio.gather(*others)
    expected = {f"{how} {number}": 1 for how in ("request", "notification") for number in range(TIMES)}
    assert await jobs_by_asker(connection) == expected
    assert len(await read_topic(settings, TRIGGERS.name)) == 2 * TIMES


async def test_what_was_heard_is_kept_when_the_bridge_is_told_to_stop(
    connection: asyncpg.Connection, new_bridge: NewBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Held back until the stop: without what follows the loop nothing would be kept.
    held = asyncio.Event()
    pause = hearing_module.pause

    async def asleep(stop: asyncio.Event, seconds: float, _wake: asyncio.Event | None = None) -> None:
        held.set()
        await pause(stop, 60 * seconds)

    monkeypatch.setattr(hearing_module, "pause", asleep)
    async with hearing(new_bridge()) as bridge:
        await held.wait()
        await notify(connection, "hazard")

        async def heard() -> bool:
            return bool(bridge._hearing._heard)

        await until(heard, "the notification")
        assert await connection.fetchval("SELECT count(*) FROM outbox") == 0
    assert await connection.fetchval("SELECT count(*) FROM outbox") == 1


async def test_a_notification_is_kept_while_the_broker_is_away(
    connection: asyncpg.Connection, own_broker: EmbeddedBroker, settings: Settings, new_bridge: NewBridge
) -> None:
    async def published(count: int) -> bool:
        return await connection.fetchval("SELECT count(published_at) FROM outbox") == count

    async with hearing(new_bridge()):
        await connection.fetchval("SELECT riskflow.request('hazard')")
        await until(lambda: published(1), "the first trigger")
        await own_broker.stop()
        await connection.fetchval("SELECT riskflow.request('probability')")
        await notify(connection, "hazard")

        async def kept() -> bool:
            return await connection.fetchval("SELECT count(*) FROM outbox WHERE job_id LIKE 'notify-%'") == 1

        await until(kept, "the notification's row", limit=5)
        assert await published(1)
        await own_broker.start()
        await own_broker.wait_ready()
        await create_topics(settings)
        await until(lambda: published(3), "what came while the broker was away")


UNKNOWN = {
    "": '{"job_type": "", "requested_by": "NOTIFY"}',
    "probabilty": '{"job_type": "probabilty", "requested_by": "NOTIFY"}',
    "확률": '{"job_type": "확률", "requested_by": "NOTIFY"}',
    '["hazard"]': '{"job_type": "[\\"hazard\\"]", "requested_by": "NOTIFY"}',
    "x" * 7999: '{"job_type": "' + "x" * 7999 + '", "requested_by": "NOTIFY"}',
    '{"job_type": "hazard"': '"{\\"job_type\\": \\"hazard\\""',
    '{"job_type": "hazard", "risk": "drought"}': '{"job_type": "hazard", "risk": "drought"}',
    '{"job_type": "hazard", "job_id": "named", "x": 1}': '{"job_type": "hazard", "job_id": "named", "x": 1}',
    '{"job_type": "hazard", "job_id": "two words"}': '{"job_type": "hazard", "job_id": "two words"}',
    '{"job_type": "hazard", "scenario": "ssp999"}': None,
}
"""Payload, and what its failed job keeps of it (None: the whole trigger that it was made into)."""


async def test_an_unknown_payload_is_a_failed_job_with_its_text_and_is_asked_for_once(
    connection: asyncpg.Connection, settings: Settings, offsets: OffsetReader, new_bridge: NewBridge
) -> None:
    async with running(Reader(settings, Acceptor(settings)).run), hearing(new_bridge()):
        for payload in UNKNOWN:
            await notify(connection, payload)
        await notify(connection, " hazard\n")

        async def all_there() -> bool:
            return await connection.fetchval("SELECT count(*) FROM batch_job_logs") == len(UNKNOWN) + 1

        await until(all_there, "a job per notification")
        await answered(connection)
        assert await publish_lost_again(connection, offsets) == 0
    rows = await connection.fetch(
        "SELECT job_id, status, trigger, error_message FROM batch_job_logs ORDER BY id"
    )
    *refused, good = rows
    assert (good["status"], orjson.loads(good["trigger"])["job_type"]) == ("pending", "hazard")
    assert [row["status"] for row in refused] == ["failed"] * len(UNKNOWN)
    assert all(row["error_message"] for row in refused)
    kept = [orjson.loads(row["trigger"]) for row in refused]
    wanted = [text if text is None else orjson.loads(text) for text in UNKNOWN.values()]
    assert [text for text, want in zip(kept, wanted, strict=True) if want is not None] == wanted[:-1]
    assert kept[-1]["scenario"] == "ssp999"
    assert [row["job_id"] for row in refused if not row["job_id"].startswith("notify-")] == ["named"]


@pytest.fixture
async def requester(database_url: str, connection: asyncpg.Connection) -> AsyncIterator[asyncpg.Connection]:
    """A session of a login role that may ask for jobs and do nothing else."""
    await connection.execute(
        "CREATE ROLE asker LOGIN PASSWORD 'asker'; GRANT USAGE ON SCHEMA riskflow TO asker; "
        "GRANT EXECUTE ON FUNCTION riskflow.request(text, jsonb) TO asker"
    )
    url = urlsplit(database_url)
    session = await asyncpg.connect(f"postgresql://asker:asker@{url.hostname}:{url.port}{url.path}")
    yield session
    await session.close()
    await connection.execute("DROP OWNED BY asker; DROP ROLE asker")


async def test_a_role_that_may_only_request_gets_its_job_and_can_read_and_write_nothing(
    connection: asyncpg.Connection, requester: asyncpg.Connection
) -> None:
    job_id = await requester.fetchval("SELECT riskflow.request('hazard', '{\"job_id\": \"theirs\"}')")
    stored = await connection.fetchrow(
        "SELECT job_id, convert_from(value, 'UTF8')::jsonb AS asked FROM outbox"
    )
    assert (job_id, stored["job_id"]) == ("theirs", "theirs")
    assert orjson.loads(stored["asked"])["requested_by"] == "request by asker"

    tables = await connection.fetch(
        "SELECT format('%I.%I', nspname, relname) AS name, relkind = 'r' AS is_table FROM pg_class "
        "JOIN pg_namespace n ON n.oid = relnamespace "
        "WHERE nspname IN ('public', 'riskflow') AND relkind IN ('r', 'v', 'm', 'p') "
        "AND relname <> 'tenant_roles'"
    )
    assert len(tables) > 20
    for table in tables:
        for right in ("SELECT FROM", "DELETE FROM")[: 1 + table["is_table"]]:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await requester.execute(f"{right} {table['name']}")
    # Of tenant_roles every role sees its own rows, and this one has none.
    assert await requester.fetch("SELECT * FROM riskflow.tenant_roles") == []
    for statement in ("DELETE FROM riskflow.tenant_roles", "CREATE TABLE public.mine (id integer)"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await requester.execute(statement)
    borrowed = await connection.fetch(
        "SELECT format('%s.%s', nspname, proname) AS name "
        "FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace "
        "WHERE nspname IN ('public', 'riskflow') AND prosecdef "
        "AND has_function_privilege('asker', p.oid, 'EXECUTE')"
    )
    assert [row["name"] for row in borrowed] == ["riskflow.request"]
