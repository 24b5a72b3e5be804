"""Tenants end once, and the last one ends its job."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import asyncpg
import pytest
from flow_samples import job_row
from waiting import until
from weekly_samples import REPORT_DATE, attend, events, plan_weekly_job, tenant_row, weekly

from consumers.tenant_ledger import TenantEnd, end_tenants, settle_deliveries, settle_reports
from schemas.settings import Settings

FINAL = ("sent", "refused", "failed", "unknown", "kept", "no_data")
OPEN = ("pending", "sending", "retrying")


async def plan_tenants(
    connection: asyncpg.Connection, settings: Settings, folder: Path, *org_ids: str, job_id: str = "job"
) -> None:
    await connection.execute("DELETE FROM attendance")
    await attend(connection, org_ids[0], "s", day=REPORT_DATE.replace(day=5))
    await plan_weekly_job(connection, weekly(settings, folder, *org_ids), job_id)


async def deliver(
    connection: asyncpg.Connection, org_id: str, *states: str, detail: str | None = None
) -> None:
    """The tenant's deliveries by e-mail, Slack and folder have these states."""
    await connection.execute("DELETE FROM report_deliveries WHERE org_id = $1", org_id)
    await connection.executemany(
        "INSERT INTO report_deliveries (org_id, report_date, channel, state, detail, html, csv, job_id) "
        "VALUES ($1, $2, $3, $4, $5, 'report.html', 'report.csv', 'job')",
        [
            (org_id, REPORT_DATE, channel, state, detail)
            for channel, state in zip(("email", "slack", "folder"), states, strict=False)
        ],
    )


async def render(connection: asyncpg.Connection) -> None:
    """Every tenant is rendered, as if none had ended before."""
    await connection.execute(
        "UPDATE batch_job_tenants SET state = 'rendered', error = NULL, ended_at = NULL, parts_left = 0"
    )


async def counters(connection: asyncpg.Connection, job_id: str = "job") -> tuple[str, int, int, int]:
    job = await job_row(connection, job_id)
    return job["status"], job["total_grids"], job["processed_grids"], job["failed_grids"]


async def test_the_last_tenant_ends_the_job_and_repeats_change_nothing(
    connection: asyncpg.Connection, flow_settings: Settings, tmp_path: Path
) -> None:
    await plan_tenants(connection, flow_settings, tmp_path, "a", "b", "c")
    first = [TenantEnd("job", "b", "failed", "no part came"), TenantEnd("job", "a", "delivered")]
    await end_tenants(connection, first)
    assert await counters(connection) == ("pending", 3, 2, 1)
    assert (await job_row(connection, "job"))["completed_at"] is None
    await end_tenants(connection, [TenantEnd("job", "b", "delivered"), TenantEnd("job", "a", "failed", "x")])
    assert await counters(connection) == ("pending", 3, 2, 1)
    last = [TenantEnd("job", "c", "no_data"), TenantEnd("job", "c", "failed", "late")]
    for _ in range(2):
        await end_tenants(connection, [*last, *first, TenantEnd("job", "unknown", "failed", "nobody")])

    job = await job_row(connection, "job")
    assert await counters(connection) == ("completed_with_failures", 3, 3, 1)
    assert (job["error_message"], job["success_rate"]) == ("b: no part came", pytest.approx(200 / 3))
    assert job["completed_at"] is not None
    rows = [await tenant_row(connection, "job", org_id) for org_id in "abc"]
    assert [(row["state"], row["error"]) for row in rows] == [
        ("delivered", None),
        ("failed", "no part came"),
        ("no_data", None),
    ]
    assert all(row["ended_at"] is not None for row in rows)
    assert [
        (event.state, event.processed_grids, event.failed_grids, event.message)
        for event in (await events(connection, "job"))[1:]
    ] == [
        ("progress", 2, 1, "b: no part came"),
        ("completed_with_failures", 3, 1, "b: no part came"),
    ]


async def test_the_status_of_the_job_follows_from_its_failed_tenants(
    connection: asyncpg.Connection, flow_settings: Settings, tmp_path: Path
) -> None:
    for first, second, status, error in (
        ("delivered", "no_data", "completed", None),
        ("failed", "failed", "failed", "a: reason\u2400 of a"),
        ("no_data", "failed", "completed_with_failures", "b: reason\u2400 of b"),
    ):
        job_id = f"{first}-{second}"
        await plan_tenants(connection, flow_settings, tmp_path, "a", "b", job_id=job_id)
        for org_id, state in {"a": first, "b": second}.items():
            reason = f"reason\x00 of {org_id}" if state == "failed" else None
            await end_tenants(connection, [TenantEnd(job_id, org_id, state, reason)])
        assert await counters(connection, job_id) == (status, 2, 2, (first, second).count("failed"))
        assert (await events(connection, job_id))[-1].state == status
        assert (await job_row(connection, job_id))["error_message"] == error


async def test_a_cancelled_job_counts_its_tenants_and_stays_cancelled(
    connection: asyncpg.Connection, flow_settings: Settings, tmp_path: Path
) -> None:
    await plan_tenants(connection, flow_settings, tmp_path, "a")
    await connection.execute("UPDATE batch_job_logs SET status = 'cancelled'")
    await end_tenants(connection, [TenantEnd("job", "a", "delivered")])
    assert await counters(connection) == ("cancelled", 1, 1, 0)
    assert [event.state for event in await events(connection, "job")] == ["accepted"]


def wanted(states: tuple[str, ...]) -> tuple[str, str | None]:
    if any(state in OPEN for state in states):
        return "rendered", None
    faults = [
        f"{channel}: because"
        for channel, state in zip(("email", "slack"), states, strict=False)
        if state in {"refused", "failed", "unknown"}
    ]
    if faults:
        return "failed", "; ".join(faults)
    return ("no_data" if set(states) == {"no_data"} else "delivered"), None


async def test_a_tenant_ends_with_its_deliveries_in_every_combination(
    connection: asyncpg.Connection, flow_settings: Settings, tmp_path: Path
) -> None:
    await plan_tenants(connection, flow_settings, tmp_path, "a", "b")
    every = FINAL + OPEN
    for states in [(state,) for state in every] + list(itertools.product(every, every)):
        await render(connection)
        await deliver(connection, "a", *states, detail="because")
        await settle_deliveries(connection, "a", REPORT_DATE)
        row = await tenant_row(connection, "job", "a")
        assert (row["state"], row["error"]) == wanted(states), states
        assert (row["ended_at"] is not None) == (row["state"] != "rendered")
        assert (await tenant_row(connection, "job", "b"))["state"] == "rendered"


async def test_only_what_is_rendered_and_has_deliveries_is_settled_and_that_once_in_every_job(
    connection: asyncpg.Connection, flow_settings: Settings, tmp_path: Path
) -> None:
    await plan_tenants(connection, flow_settings, tmp_path, "a", job_id="one")
    await plan_tenants(connection, flow_settings, tmp_path, "a", job_id="two")
    await plan_tenants(connection, flow_settings, tmp_path, "a", job_id="three")
    await connection.execute("UPDATE batch_job_tenants SET state = 'stored' WHERE job_id = 'three'")
    await connection.execute("UPDATE batch_job_tenants SET state = 'rendered' WHERE job_id IN ('one', 'two')")
    await settle_deliveries(connection, "a", REPORT_DATE)
    assert await counters(connection, "one") == ("pending", 1, 0, 0)

    await deliver(connection, "a", "sent", "kept")
    for _ in range(2):
        await settle_deliveries(connection, "a", REPORT_DATE)
        await settle_deliveries(connection, "a", REPORT_DATE.replace(day=4))
    for job_id in ("one", "two"):
        assert await counters(connection, job_id) == ("completed", 1, 1, 0)
        assert [event.state for event in await events(connection, job_id)] == ["accepted", "completed"]
    assert await counters(connection, "three") == ("pending", 1, 0, 0)
    assert (await tenant_row(connection, "three", "a"))["state"] == "stored"


async def test_several_reports_are_settled_each_by_its_own_deliveries(
    connection: asyncpg.Connection, flow_settings: Settings, tmp_path: Path
) -> None:
    await plan_tenants(connection, flow_settings, tmp_path, "a", "b", "c", "d")
    await render(connection)
    for org_id, state in {"a": "sent", "b": "refused", "c": "retrying"}.items():
        await deliver(connection, org_id, state)
    await settle_reports(connection, [(org_id, REPORT_DATE) for org_id in "dcbaa"])
    rows = [await tenant_row(connection, "job", org_id) for org_id in "abcd"]
    assert [(row["state"], row["error"]) for row in rows] == [
        ("delivered", None),
        ("failed", "email: refused"),
        ("rendered", None),
        ("rendered", None),
    ]
    assert await counters(connection) == ("pending", 4, 2, 1)


async def test_of_two_who_write_the_last_two_states_the_second_settles(
    connection: asyncpg.Connection, flow_settings: Settings, tmp_path: Path
) -> None:
    await plan_tenants(connection, flow_settings, tmp_path, "a")
    await render(connection)
    await deliver(connection, "a", "sending", "sending")
    other = await asyncpg.connect(flow_settings.dsn)

    async def finish(courier: asyncpg.Connection, channel: str) -> None:
        await courier.execute("UPDATE report_deliveries SET state = 'sent' WHERE channel = $1", channel)
        await settle_deliveries(courier, "a", REPORT_DATE)

    async def finish_slack() -> None:
        async with other.transaction():
            await finish(other, "slack")

    async def waits() -> bool:
        # Not pg_stat_activity, which shows the same all through a transaction.
        return bool(await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

    try:
        async with connection.transaction():
            await finish(connection, "email")
            second = asyncio.create_task(finish_slack())
            await until(waits, "the second courier's wait")
        await second
    finally:
        await other.close()
    assert await counters(connection) == ("completed", 1, 1, 0)
    assert (await tenant_row(connection, "job", "a"))["state"] == "delivered"
