"""Cancelling and resuming weekly jobs: parts, reports, deliveries, and the later job of the same date."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from io import StringIO
from pathlib import Path

import asyncpg
import pytest
from deliveries_samples import (
    add_delivery,
    deliveries,
    parcel_of,
    ready_of,
    rendered,
    settings_of,
    tenant_of,
    tenant_states,
)
from flow_samples import chunk_rows, job_row
from report_samples import NOTHING, SEOUL, store_report
from rich.console import Console
from test_deliveries import as_read
from test_renderer import announced, render, told
from waiting import until
from weekly_samples import (
    attend,
    list_students,
    metrics_of,
    open_tenant_sink,
    parts_of_job,
    plan_weekly_job,
    store,
    student,
    weekly,
)

from consumers.deliveries import Intake
from consumers.parcel import end, take
from consumers.reader import Reader
from consumers.recall import recall
from consumers.report.pool import Pool
from consumers.tenant_ledger import TenantEnd, end_tenants
from ops import job_commands, lifecycle
from producers import tenant_chunks
from schemas.errors import RiskflowError
from schemas.settings import Settings

MAIL = {"email": ["principal@example.org"]}


@pytest.fixture
async def sinking(flow_settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    sinking = await open_tenant_sink(flow_settings)
    yield sinking
    await sinking.close()


async def take_in(connection: asyncpg.Connection, folder: Path, *job_ids: str) -> None:
    """The intake reads that the tenant's report is ready, once for each job."""
    settings = settings_of(folder)
    records = [as_read(ready_of(job_id=job_id)) for job_id in job_ids]
    await Reader(settings, Intake(settings))._store(connection, records)


async def test_the_parts_of_a_tenant_that_is_not_whole_are_all_computed_in_the_new_run(
    connection: asyncpg.Connection, sinking: asyncpg.Connection, flow_settings: Settings, tmp_path: Path
) -> None:
    settings = weekly(flow_settings, tmp_path, "a", "b")
    for org_id in "ab":
        await list_students(connection, org_id, "s1", "s2", "s3")
    await attend(connection, "a", "s1", day=date(2024, 3, 8))
    await plan_weekly_job(connection, settings, "job")
    first, second, *_ = await parts_of_job(connection, "job")
    await store(sinking, settings, metrics_of(first, student("s1"), student("s2")))
    await lifecycle.cancel(connection, "job", "operator")
    assert await tenant_chunks.unsent(connection, 10) == []

    # A later job replaces the rows of both tenants meanwhile, and has ended.
    await plan_weekly_job(connection, settings, "later")
    for chunk, students in zip(await parts_of_job(connection, "later"), ("s1 s2", "s3") * 2, strict=True):
        await store(sinking, settings, metrics_of(chunk, *map(student, students.split())))
    await connection.execute("UPDATE batch_job_logs SET status = 'completed' WHERE job_id = 'later'")

    resumed = await lifecycle.resume(connection, "job", "operator")
    assert (resumed.status, resumed.reopened, resumed.chunks_left) == ("running", 1, 4)
    waiting = await tenant_chunks.unsent(connection, 10)
    assert [(part.message.org_id, part.message.part) for part in waiting] == [
        ("a", 1),
        ("a", 2),
        ("b", 1),
        ("b", 2),
    ]
    # The part of the run before changes nothing any more.
    await store(sinking, settings, metrics_of(second, student("s3")))
    assert (await job_row(connection, "job"))["chunks_done"] == 0
    for chunk, students in zip(await parts_of_job(connection, "job"), ("s1 s2", "s3") * 2, strict=True):
        await store(sinking, settings, metrics_of(chunk, *map(student, students.split())))
    rows = await connection.fetch(
        "SELECT org_id, student_id, job_id FROM student_risk_metrics ORDER BY org_id, student_id"
    )
    assert [tuple(row) for row in rows] == [
        (org_id, student_id, "job") for org_id in "ab" for student_id in ("s1", "s2", "s3")
    ]
    assert (await job_row(connection, "job"))["chunks_done"] == 4
    assert {row["state"] for row in await connection.fetch("SELECT state FROM batch_job_tenants")} == {
        "stored"
    }


async def test_a_late_part_of_a_cancelled_job_is_counted_and_its_tenant_waits_for_the_resumption(
    connection: asyncpg.Connection, sinking: asyncpg.Connection, flow_settings: Settings, tmp_path: Path
) -> None:
    settings = weekly(flow_settings, tmp_path, "a")
    await list_students(connection, "a", "s1", "s2", "s3")
    await attend(connection, "a", "s1", day=date(2024, 3, 8))
    await plan_weekly_job(connection, settings, "job")
    first, second = await parts_of_job(connection, "job")
    await store(sinking, settings, metrics_of(first, student("s1"), student("s2")))
    await lifecycle.cancel(connection, "job", "operator")
    await store(sinking, settings, metrics_of(second, student("s3")))
    job = await job_row(connection, "job")
    assert (job["status"], job["chunks_done"], job["processed_grids"]) == ("cancelled", 2, 0)
    assert await connection.fetchval("SELECT state FROM batch_job_tenants") == "stored"

    resumed = await lifecycle.resume(connection, "job", "operator")
    assert (resumed.status, resumed.reopened, resumed.chunks_left) == ("running", 0, 0)
    assert (await chunk_rows(connection, "job"))[0]["kinds_left"] == 0


async def test_no_report_of_a_cancelled_job_is_made_until_it_is_resumed(
    connection: asyncpg.Connection, writer: asyncpg.Connection, report_settings: Settings, pool: Pool
) -> None:
    await store_report(connection, SEOUL, [{"student_id": "a", **NOTHING, "omit_rate": 0.01}], job_id="job")
    await lifecycle.cancel(connection, "job", "operator")
    await render(writer, report_settings, pool, [told(SEOUL.org_id, "job")])
    assert [row[1] for row in await tenant_states(connection)] == ["stored"]
    async with connection.transaction():
        await connection.execute("DELETE FROM outbox")
        await recall(connection, 0)
    assert await connection.fetchval("SELECT count(*) FROM outbox") == 0

    await lifecycle.resume(connection, "job", "operator")
    event = (
        "SELECT count(*) FROM outbox WHERE convert_from(value, 'UTF8')::jsonb ->> 'state' = 'tenant_stored'"
    )
    assert await connection.fetchval(event) == 1
    await render(writer, report_settings, pool, [told(SEOUL.org_id, "job")])
    assert [row[1] for row in await tenant_states(connection)] == ["rendered"]
    assert len(await announced(connection)) == 1


async def test_what_was_not_sent_waits_for_the_resumption_and_what_is_being_sent_goes_on(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    a, b, c = (tenant_of(org_id=org_id, **MAIL) for org_id in "abc")
    await rendered(connection, tmp_path, a, b, c)
    await add_delivery(connection, parcel_of(a))
    await add_delivery(connection, parcel_of(b))
    await add_delivery(connection, parcel_of(c), "retrying")
    await connection.execute(
        "UPDATE report_deliveries SET next_try_at = now() + interval '1h' WHERE org_id = 'c'"
    )
    (sending, passing) = await take(connection, 2)
    assert [sending.org_id, passing.org_id] == ["a", "b"]

    await lifecycle.cancel(connection, "week", "operator")
    assert await deliveries(connection, "state") == [("sending",), ("sending",), ("cancelled",)]
    await end(connection, sending, "sent", "250 ok", None)
    # Nothing new is sent: the next try would be.
    await end(connection, passing, "retrying", "451 later", 0.0)
    assert await deliveries(connection, "state") == [("sent",), ("cancelled",), ("cancelled",)]
    assert await take(connection, 9) == []
    job = await job_row(connection, "week")
    assert (job["status"], job["processed_grids"]) == ("cancelled", 1)

    await lifecycle.resume(connection, "week", "operator")
    assert [parcel.org_id for parcel in await take(connection, 9)] == ["b", "c"]


async def test_a_later_job_of_the_date_sends_what_the_cancelled_one_kept_back(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await rendered(connection, tmp_path, tenant_of(**MAIL))
    await add_delivery(connection, parcel_of(tenant_of(**MAIL)))
    await lifecycle.cancel(connection, "week", "operator")
    await rendered(connection, tmp_path, tenant_of(**MAIL), job_id="later")
    await take_in(connection, tmp_path, "week", "later")
    assert await deliveries(connection, "state", "job_id") == [("pending", "later")]
    (parcel,) = await take(connection, 9)
    await end(connection, parcel, "sent", "250 ok", None)
    assert (await job_row(connection, "later"))["status"] == "completed"

    # The cancelled job's tenant has ended with this delivery of its date; nothing is sent twice.
    resumed = await lifecycle.resume(connection, "week", "operator")
    assert resumed.status == "completed"
    assert await take(connection, 9) == []


@pytest.mark.parametrize("being_sent", [False, True])
async def test_a_later_job_that_relies_on_a_delivery_of_a_cancelled_one_gets_it(
    connection: asyncpg.Connection, tmp_path: Path, *, being_sent: bool
) -> None:
    await rendered(connection, tmp_path, tenant_of(**MAIL))
    await add_delivery(connection, parcel_of(tenant_of(**MAIL)))
    parcels = await take(connection, 9) if being_sent else []
    await rendered(connection, tmp_path, tenant_of(**MAIL), job_id="later")
    await take_in(connection, tmp_path, "later")
    assert await deliveries(connection, "job_id") == [("week",)]

    await lifecycle.cancel(connection, "week", "operator")
    for parcel in parcels:
        await end(connection, parcel, "retrying", "451 later", 0.0)
    (parcel,) = await take(connection, 9)
    await end(connection, parcel, "sent", "250 ok", None)
    assert (await job_row(connection, "later"))["status"] == "completed"


async def test_a_weekly_job_that_has_ended_is_triggered_again_not_resumed(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await rendered(connection, tmp_path, *(tenant_of(org_id=org_id, **MAIL) for org_id in "ab"))
    await connection.execute(
        "UPDATE batch_job_logs SET status = 'completed_with_failures'; "
        "UPDATE batch_job_tenants SET state = 'failed', ended_at = now() WHERE org_id = 'b'"
    )
    with pytest.raises(RiskflowError, match=r"riskflow trigger weekly --date 2026-11-23 --tenant b$"):
        await lifecycle.resume(connection, "week", "operator")


async def test_parts_of_tenants_that_have_ended_are_not_counted_as_still_to_be_computed(
    connection: asyncpg.Connection, flow_settings: Settings, tmp_path: Path
) -> None:
    settings = weekly(flow_settings, tmp_path, "a", "b")
    for org_id in "ab":
        await list_students(connection, org_id, "s1", "s2", "s3")
    await attend(connection, "a", "s1", day=date(2024, 3, 8))
    await plan_weekly_job(connection, settings, "job")
    await end_tenants(connection, [TenantEnd("job", "b", "failed", "its first part")])
    await lifecycle.cancel(connection, "job", "operator")
    out = Console(file=StringIO(), width=200)
    await job_commands.resume(settings, "job", out)
    assert out.file.getvalue().startswith("job runs again: 2 parts are computed. See: ")
    assert len(await tenant_chunks.unsent(connection, 10)) == 2


@asynccontextmanager
async def kept_back(
    connection: asyncpg.Connection, dsn: str, folder: Path
) -> AsyncIterator[asyncpg.Connection]:
    """A cancelled job with a delivery; the session of somebody who is about to resume it."""
    await rendered(connection, folder, tenant_of(**MAIL))
    await add_delivery(connection, parcel_of(tenant_of(**MAIL)))
    await lifecycle.cancel(connection, "week", "operator")
    person = await asyncpg.connect(dsn)
    try:
        yield person
    finally:
        await person.close()


async def blocked(connection: asyncpg.Connection, session: asyncpg.Connection) -> bool:
    return bool(await connection.fetchval("SELECT pg_blocking_pids($1) <> '{}'", session.get_server_pid()))


async def test_whoever_resumes_a_job_waits_for_its_deliveries_before_locking_the_job(
    connection: asyncpg.Connection, flow_settings: Settings, tmp_path: Path
) -> None:
    async with kept_back(connection, flow_settings.dsn, tmp_path) as person:
        async with connection.transaction():
            # As the intake of a later job's report does, which then may end the tenant of both.
            await connection.execute("UPDATE report_deliveries SET changed_at = clock_timestamp()")
            resuming = asyncio.create_task(lifecycle.resume(person, "week", "operator"))
            await until(lambda: blocked(connection, person))
            await connection.execute("SELECT FROM batch_job_logs FOR NO KEY UPDATE NOWAIT")
        assert (await resuming).status == "running"
        assert await deliveries(connection, "state") == [("pending",)]


async def test_a_deadlock_is_tried_again_not_shown(
    connection: asyncpg.Connection, flow_settings: Settings, tmp_path: Path
) -> None:
    async with kept_back(connection, flow_settings.dsn, tmp_path) as person:
        await person.execute("SET deadlock_timeout = '1s'")
        async with connection.transaction():
            await connection.execute("SET LOCAL deadlock_timeout = '1min'")
            await connection.execute("SELECT FROM batch_job_logs FOR NO KEY UPDATE")
            resuming = asyncio.create_task(lifecycle.resume(person, "week", "operator"))
            await until(lambda: blocked(connection, person))
            # The two wait for each other now, until PostgreSQL ends the resumption.
            await connection.execute("UPDATE report_deliveries SET changed_at = clock_timestamp()")
        assert (await resuming).status == "running"
        assert await deliveries(connection, "state") == [("pending",)]
        assert (await job_row(connection, "week"))["resumes"] == 1
        ended = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        await until(lambda: connection.fetchval(ended), "the deadlock's count")
