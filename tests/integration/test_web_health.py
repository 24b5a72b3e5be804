"""Health and dead letters over HTTP, on a real broker and database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from web_client import Client, served, web_settings

from ops.stack.servers import EmbeddedBroker
from producers.publisher import Publisher
from schemas.codec import Record, dead_letter_headers
from schemas.database import connect
from schemas.settings import Settings
from schemas.topics import TRIGGERS, dead_letters

HEALTH, LETTERS = "/api/v1/health", "/api/v1/letters"


@pytest.fixture
async def page(settings: Settings, connection: asyncpg.Connection) -> AsyncIterator[Client]:  # noqa: ARG001 - the grid
    async with served(web_settings(settings)) as client:
        yield client


async def test_lag_is_what_a_group_has_not_read(page: Client, publisher: Publisher) -> None:
    assert (await page.get(HEALTH))["broker"]["ok"]
    await publisher.send(Record(TRIGGERS.name, b"k", b"{}", []))
    told = await page.get(HEALTH)
    lags = {(each["group"], each["topic"]): each["lag"] for each in told["groups"]}
    assert lags["riskflow-acceptor", TRIGGERS.name] == 1
    assert sum(lags.values()) == 1
    assert told["letters"] == 0


async def test_services_are_seen_by_their_connections(page: Client, settings: Settings) -> None:
    names = ("scheduler", "worker here:1", "worker here:1", "worker here:2", "acceptor")
    open_now = [await connect(settings.dsn, application=name) for name in names]
    told = (await page.get(HEALTH))["services"]
    for each in open_now:
        await each.close()
    assert {each["name"]: each["running"] for each in told} == {
        "producers": 1,
        "worker": 2,
        "sink": 1,
        "reporter": 0,
    }
    assert [each["name"] for each in told if each["since"] is None] == ["reporter"]


async def test_schedules_say_what_comes_and_that_nobody_looks(page: Client) -> None:
    told = await page.get(HEALTH)
    assert {each["name"] for each in told["schedules"]} == {"probability", "hazard", "weekly"}
    assert all(each["next_at"] for each in told["schedules"])
    assert told["scheduler"] == {"checked_until": None, "silent": True}


async def test_a_broker_that_is_away_is_said_and_hides_nothing_else(
    page: Client, own_broker: EmbeddedBroker
) -> None:
    await own_broker.stop()
    told = await page.get(HEALTH)
    assert (told["broker"]["ok"], told["groups"], told["letters"]) == (False, [], None)
    assert told["broker"]["detail"]
    assert told["database"]["ok"]


async def test_a_letter_is_listed_shown_replayed_once_and_then_done_with(
    page: Client, publisher: Publisher, connection: asyncpg.Connection
) -> None:
    value = b'{"job_type": "hazard", "job_id": "lost", "risks": ["<b>flood</b>"]}'
    record = Record(TRIGGERS.name, b"lost", value, [("source", b"test")])
    headers = dead_letter_headers(
        record.headers, reason="unknown risk", error=None, source=(TRIGGERS.name, 0, 7)
    )
    await publisher.send(Record(dead_letters(TRIGGERS).name, b"lost", value, headers))
    (entry,) = (await page.get(LETTERS))["items"]
    assert (entry["topic"], entry["reason"], entry["job_id"], entry["done"]) == (
        TRIGGERS.name,
        "unknown risk",
        "lost",
        None,
    )
    whole = await page.get(f"{LETTERS}/{entry['id']}")
    assert ["source", "test"] in whole["headers"]
    assert "<b>flood</b>" in whole["value"]
    assert whole["source"] == {"partition": 0, "offset": 7}
    told = await page.post(f"{LETTERS}/{entry['id']}/replay", {"again": False})
    assert told["sentence"] == "asked for again as job lost"
    assert await connection.fetchval("SELECT value FROM outbox") == value
    assert (await page.get(LETTERS))["items"] == []
    (done,) = (await page.get(LETTERS, all="true"))["items"]
    assert (done["done"]["action"], done["done"]["by"]) == ("replayed", "operator")
    json = {"Content-Type": "application/json"}
    again = await page.problem("POST", f"{LETTERS}/{entry['id']}/replay", 409, data=b"{}", headers=json)
    assert "was replayed by operator" in again
    assert "no dead letter" in await page.problem("GET", f"{LETTERS}/risk.triggers.v1/0/99", 404)


async def test_a_stop_ends_open_streams_in_time(settings: Settings, connection: asyncpg.Connection) -> None:  # noqa: ARG001 - the grid
    async with served(web_settings(settings)) as client:
        stream = await client.session.get(client.base + "/api/v1/events", headers=client.headers)
        assert (await stream.content.readline()).startswith(b"event: jobs")
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 8
    stream.close()
