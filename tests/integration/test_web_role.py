"""The role of the web page cancels, resumes, replays and derives, on rows that other roles have written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
from flow_samples import accept, as_read, job_row, open_sink, plan_job, result_of, sink
from service_roles import ServiceRoles, service_roles

from ops import lifecycle
from ops.export.request import ExportRequest, Format
from ops.export.write import write_export
from ops.letters import Letter
from ops.replay import drop, replay
from ops.scenarios import derive, scenarios
from schemas.messages import Trigger, Window, now
from schemas.settings import Settings


@pytest.fixture
async def roles(database_url: str) -> AsyncIterator[ServiceRoles]:
    async with service_roles(database_url) as roles:
        yield roles


@pytest.fixture
async def web(roles: ServiceRoles, connection: asyncpg.Connection) -> AsyncIterator[asyncpg.Connection]:
    """A session of the web page's role, in a database with the small grid."""
    del connection
    async with roles.login("web") as web:
        yield web


def letter_of(record: SimpleNamespace) -> Letter:
    return Letter(
        topic=record.topic,
        partition=0,
        offset=record.offset,
        written_at=now(),
        key=record.key,
        value=record.value,
        headers=list(record.headers),
        reason="",
        exception="",
        source=(0, record.offset),
        timestamp=record.timestamp,
    )


async def test_it_cancels_resumes_and_has_failures_computed_again(
    web: asyncpg.Connection, connection: asyncpg.Connection, flow_settings: Settings
) -> None:
    first, second, third = await plan_job(connection, flow_settings, "job")
    writer = await open_sink(flow_settings)
    failure = as_read(result_of(first, "hazard", failure="no weather", risks=[]))
    await sink(writer, flow_settings, as_read(result_of(first, "probability")), failure)
    assert (await lifecycle.cancel(web, "job", "page")).processed == 2
    resumed = await lifecycle.resume(web, "job", "page")
    assert (resumed.status, resumed.reopened, resumed.chunks_left) == ("running", 1, 3)
    job = await job_row(connection, "job")
    assert (job["cancelled_by"], job["resumed_by"]) == ("page", "page")

    seq = {"job_seq": job["job_seq"]}
    failed = as_read(result_of(first, "hazard", failure="no weather", risks=[], **seq))
    done = [as_read(result_of(first, "hazard", **seq))]
    for chunk in (second, third):
        done += [as_read(result_of(chunk, kind, **seq)) for kind in ("probability", "hazard")]
    await sink(writer, flow_settings, failed, *done[1:])
    assert (await job_row(connection, "job"))["status"] == "completed_with_failures"
    replayed = await replay(web, letter_of(done[0]), "page")
    assert replayed.sentence == "put back on risk.hazards.v1"
    await sink(writer, flow_settings, done[0])
    assert (await job_row(connection, "job"))["status"] == "completed"
    await writer.close()


async def test_it_has_a_refused_trigger_asked_for_again_and_drops_a_letter(
    web: asyncpg.Connection, connection: asyncpg.Connection, flow_settings: Settings
) -> None:
    trigger = as_read(Trigger(job_id="worded", job_type="hazard", risks=["flood of words"]))
    await accept(connection, flow_settings, trigger)
    assert (await job_row(connection, "worded"))["status"] == "failed"
    assert (await replay(web, letter_of(trigger), "page")).sentence == "asked for again as job worded"
    assert await job_row(connection, "worded") is None
    await drop(web, letter_of(as_read(Trigger(job_id="other", job_type="hazard"))), "page")
    actions = await connection.fetch("SELECT action FROM dead_letter_marks ORDER BY action")
    assert [row["action"] for row in actions] == ["dropped", "replayed"]


async def test_it_asks_for_jobs_derives_scenarios_and_exports_results(
    web: asyncpg.Connection, connection: asyncpg.Connection, flow_settings: Settings, tmp_path: Any
) -> None:
    assert await web.fetchval("SELECT riskflow.request('hazard')")
    derived = await derive(web, source="historical", name="warm2", ta=2, rn=1, by="page")
    assert derived.rows == 5
    assert await connection.fetchval("SELECT DISTINCT ta FROM climate_data WHERE scenario = 'warm2'") == 27
    assert [each.scenario for each in await scenarios(web)] == ["historical", "warm2"]
    [chunk, *_] = await plan_job(connection, flow_settings, "job")
    writer = await open_sink(flow_settings)
    await sink(writer, flow_settings, as_read(result_of(chunk, "probability")))
    await writer.close()
    asked = ExportRequest(format=Format.csv, scenario="historical", window=Window(start=1991, end=2020))
    assert await write_export(web, asked, tmp_path / "results.csv") == 4


TRAP = """
    CREATE TEMPORARY TABLE repack_cells (latitude numeric, longitude numeric, scenario text);
    CREATE FUNCTION pg_temp.spring() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE riskflow.defaults SET scenario = 'stolen';
        RETURN NULL;
    END $$;
    CREATE TRIGGER spring AFTER INSERT OR TRUNCATE ON repack_cells FOR EACH STATEMENT
        EXECUTE FUNCTION pg_temp.spring();
    GRANT ALL ON repack_cells TO PUBLIC;
"""


async def test_it_cannot_have_its_own_statements_run_with_the_owners_rights(
    web: asyncpg.Connection, connection: asyncpg.Connection
) -> None:
    await web.execute(TRAP)
    # An owner who is no superuser may not drop the table, and then nothing is derived.
    with suppress(asyncpg.InsufficientPrivilegeError):
        await derive(web, source="historical", name="warm2", ta=2, rn=1, by="page")
    assert await connection.fetchval("SELECT scenario FROM riskflow.defaults") == "historical"
