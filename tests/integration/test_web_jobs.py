"""Jobs over HTTP: asked for, listed, watched, cancelled and resumed, on a real ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import orjson
import pytest
from flow_samples import as_read, chunk_rows, open_sink, plan_job, result_of, sink
from web_client import Client, served, web_settings

from schemas.codec import decode
from schemas.messages import Trigger
from schemas.settings import Settings

JOBS = "/api/v1/jobs"


@pytest.fixture
async def page(flow_settings: Settings, connection: asyncpg.Connection) -> AsyncIterator[Client]:  # noqa: ARG001 - the grid
    async with served(web_settings(flow_settings)) as client:
        yield client


async def report(settings: Settings, connection: asyncpg.Connection, job_id: str, *chunks: int) -> None:
    """Store the results of these chunks of a hazard job."""
    session = await open_sink(settings)
    rows = [row for row in await chunk_rows(connection, job_id) if row["chunk"] in chunks]
    await sink(session, settings, *(as_read(result_of(row, "hazard")) for row in rows))
    await session.close()


async def test_a_request_is_kept_as_the_trigger_that_the_bridge_publishes(
    page: Client, connection: asyncpg.Connection
) -> None:
    body = {"job_type": "hazard", "risks": ["drought"], "window": {"start": 2001, "end": 2020}}
    job_id = (await page.post(JOBS, body, 202))["job_id"]
    row = await connection.fetchrow("SELECT * FROM outbox")
    trigger = decode(Trigger, row["value"])
    assert (trigger.job_id, trigger.job_type, trigger.risks) == (job_id, "hazard", ["drought"])
    assert trigger.window is not None
    assert (trigger.window.start, trigger.requested_by) == (2001, "operator, web page")
    assert row["topic"] == "risk.triggers.v1"


async def test_the_same_id_twice_is_one_request_and_another_request_under_it_is_refused(
    page: Client, connection: asyncpg.Connection
) -> None:
    body = {"job_type": "hazard", "job_id": "mine"}
    await page.post(JOBS, body, 202)
    await page.post(JOBS, body, 202)
    assert await connection.fetchval("SELECT count(*) FROM outbox") == 1
    other = orjson.dumps(body | {"uncertainty": True})
    said = await page.problem("POST", JOBS, 422, data=other, headers={"Content-Type": "application/json"})
    assert "asked for before with other options" in said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            {"job_type": "hazard", "risks": ["flood of words"]},
            "unknown risk flood of words; allowed: drought, typhoon",
        ),
        ({"job_type": "hazard", "scenarios": "x"}, "scenarios: Extra inputs are not permitted"),
        ({"job_type": "hazard", "window": {"start": 2001, "end": 1990}}, "ends before it starts"),
        ({"job_type": "yearly"}, "job_type: Input should be 'probability', 'hazard', 'climate' or 'weekly'"),
        ({"job_type": "hazard", "scenario": "ssp999"}, "ssp999"),
    ],
)
async def test_a_request_that_would_be_refused_is_refused_at_once_with_the_same_sentence(
    page: Client, connection: asyncpg.Connection, body: dict[str, Any], said: str
) -> None:
    told = await page.problem(
        "POST", JOBS, 422, data=orjson.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert said in told
    assert await connection.fetchval("SELECT count(*) FROM outbox") == 0


async def test_the_log_comes_in_pages_newest_first(
    page: Client, flow_settings: Settings, connection: asyncpg.Connection
) -> None:
    for number in range(5):
        await plan_job(connection, flow_settings, f"job-{number}", "hazard")
    found, cursor = [], None
    while True:
        query = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        answer = await page.get(JOBS, **query)
        found += [each["job_id"] for each in answer["items"]]
        cursor = answer["next"]
        if cursor is None:
            break
    assert found == [f"job-{number}" for number in (4, 3, 2, 1, 0)]
    assert (await page.get(JOBS, status="completed"))["items"] == []
    assert len((await page.get(JOBS, job_type="hazard"))["items"]) == 5
    assert "not one of this list" in await page.problem("GET", JOBS + "?cursor=WyJ4Il0", 422)


async def test_a_job_shows_what_each_risk_has_come_to(
    page: Client, flow_settings: Settings, connection: asyncpg.Connection
) -> None:
    await plan_job(connection, flow_settings, "some", "hazard")
    await report(flow_settings, connection, "some", 1, 2)
    job = await page.get(f"{JOBS}/some")
    assert (job["status"], job["percent"], job["reports_per_risk"]) == ("pending", 80, 5)
    assert [(each["risk_type"], each["reported"]) for each in job["risk_counts"]] == [
        ("drought", 4),
        ("typhoon", 4),
    ]


async def test_a_job_tells_each_reason_once_with_what_it_stopped(
    page: Client, flow_settings: Settings, connection: asyncpg.Connection
) -> None:
    first, second, _ = await plan_job(connection, flow_settings, "some", "hazard")
    session = await open_sink(flow_settings)
    broken = [result_of(row, "hazard", failure="no such table") for row in (first, second)]
    await sink(session, flow_settings, *map(as_read, broken))
    await session.close()
    told = await page.get(f"{JOBS}/some")
    assert told["failures"] == [{"kind": "hazard", "error": "no such table", "chunks": 2, "cells": 4}]


async def test_cancelling_and_resuming_say_what_the_command_line_says(
    page: Client, flow_settings: Settings, connection: asyncpg.Connection
) -> None:
    await plan_job(connection, flow_settings, "some", "hazard")
    await report(flow_settings, connection, "some", 1)
    told = await page.post(f"{JOBS}/some/cancel")
    assert told["sentence"].startswith("some is cancelled: 2 of 5 cells were done")
    assert (await page.get(f"{JOBS}/some"))["cancelled_by"] == "operator"
    json = {"Content-Type": "application/json"}
    assert "cancelled already" in await page.problem(
        "POST", f"{JOBS}/some/cancel", 409, data=b"{}", headers=json
    )
    told = await page.post(f"{JOBS}/some/resume")
    assert (told["status"], "2 chunks are computed" in told["sentence"]) == ("running", True)
    assert "no job other" in await page.problem("POST", f"{JOBS}/other/resume", 404, data=b"{}", headers=json)


async def test_a_stream_tells_of_a_job_from_its_start_to_its_end(
    page: Client, flow_settings: Settings, connection: asyncpg.Connection
) -> None:
    async with page.session.get(page.base + "/api/v1/events", headers=page.headers) as stream:
        assert stream.content_type == "text/event-stream"
        told = events(stream)
        assert await anext(told) == []
        await plan_job(connection, flow_settings, "some", "hazard")
        (begun,) = await anext(told)
        assert (begun["job_id"], begun["processed"], begun["status"]) == ("some", 0, "pending")
        await report(flow_settings, connection, "some", 1)
        (moved,) = await anext(told)
        assert (moved["processed"], moved["risk_counts"][0]["reported"]) == (2, 2)
        await report(flow_settings, connection, "some", 2, 3)
        (ended,) = await anext(told)
        assert (ended["status"], ended["percent"]) == ("completed", 100)


async def events(stream: Any) -> AsyncIterator[list[dict[str, Any]]]:
    """The data of each `jobs` event; of quick changes the last."""
    name = ""
    async for line in stream.content:
        if line.startswith(b"event: "):
            name = line.removeprefix(b"event: ").strip().decode()
        elif line.startswith(b"data: ") and name == "jobs":
            yield orjson.loads(line.removeprefix(b"data: "))
