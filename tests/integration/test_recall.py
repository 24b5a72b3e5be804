"""A report waits for the newer job that is replacing its rows, and for nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr
from report_samples import NOTHING, SEOUL, store_report
from test_renderer import announced, render, rows_of, told
from waiting import until

from consumers.recall import recall, run
from consumers.report.pool import Pool
from consumers.tenant_ledger import TenantEnd, end_tenants
from schemas.messages import JobEvent
from schemas.settings import Settings

WELL: dict[str, Any] = NOTHING | {"omit_rate": 0.01}
STUDENTS = [{"student_id": "a", **WELL}, {"student_id": "b", **WELL}]


@pytest.fixture
async def half_replaced(connection: asyncpg.Connection) -> asyncpg.Connection:
    """The older job's tenant is stored; the newer one's first part, student b, is in."""
    await store_report(connection, SEOUL, STUDENTS, job_id="older")
    await connection.execute(
        """
        INSERT INTO batch_job_logs
            (job_id, job_seq, job_type, status, report_date, total_grids, processed_grids, failed_grids)
        SELECT 'newer', job_seq + 1, job_type, status, report_date, 1, 0, 0 FROM batch_job_logs;
        INSERT INTO batch_job_tenants (job_id, org_id, report_date, tenant, students, parts, parts_left)
        SELECT 'newer', org_id, report_date, tenant, 2, 2, 1 FROM batch_job_tenants;
        UPDATE student_risk_metrics SET job_id = 'newer', job_seq = job_seq + 1, rank = NULL
        WHERE student_id = 'b'
        """
    )
    return connection


async def states(connection: asyncpg.Connection) -> dict[str, str]:
    rows = await connection.fetch("SELECT job_id, state FROM batch_job_tenants")
    return {row["job_id"]: row["state"] for row in rows}


async def recalled(connection: asyncpg.Connection, after: float = 0) -> list[JobEvent]:
    """Events that `recall` puts into the outbox."""
    async with connection.transaction():
        await connection.execute("DELETE FROM outbox")
        await recall(connection, after)
    rows = await connection.fetch("SELECT value FROM outbox WHERE topic = 'risk.job-events.v1'")
    return [JobEvent.model_validate_json(row["value"]) for row in rows]


async def test_a_report_waits_for_the_newer_job_and_is_made_with_its_rows(
    half_replaced: asyncpg.Connection, writer: asyncpg.Connection, report_settings: Settings, pool: Pool
) -> None:
    await render(writer, report_settings, pool, [told("seoul-hs", "older")])
    assert await states(half_replaced) == {"older": "stored", "newer": "pending"}
    assert not (report_settings.reports_dir / "2026-11-23").exists() or not list(
        (report_settings.reports_dir / "2026-11-23").iterdir()
    )
    assert await recalled(half_replaced) == []

    # The newer job's last part: all students are its own, and ranked.
    await half_replaced.execute(
        """
        UPDATE student_risk_metrics SET job_id = 'newer', job_seq = 2, rank = ascii(student_id) - 96;
        UPDATE tenant_risk_summary SET job_id = 'newer', job_seq = 2;
        UPDATE batch_job_tenants SET state = 'stored', parts_left = 0 WHERE job_id = 'newer'
        """
    )
    await render(writer, report_settings, pool, [told("seoul-hs", "newer")])
    assert await states(half_replaced) == {"older": "rendered", "newer": "rendered"}
    assert {each.job_id for each in await announced(half_replaced)} == {"older", "newer"}
    ranks = [row["rank"] for row in rows_of(report_settings.reports_dir / "2026-11-23/seoul-hs_metrics.csv")]
    assert ranks == ["1", "2"]


@pytest.mark.parametrize("end", ["failed", "cancelled", "deleted"])
async def test_a_report_whose_newer_job_has_gone_is_told_of_again_and_made(
    half_replaced: asyncpg.Connection,
    writer: asyncpg.Connection,
    report_settings: Settings,
    pool: Pool,
    end: str,
) -> None:
    if end == "failed":
        await end_tenants(half_replaced, [TenantEnd("newer", "seoul-hs", "failed", "its last part")])
    elif end == "cancelled":
        await half_replaced.execute("UPDATE batch_job_logs SET status = 'cancelled' WHERE job_id = 'newer'")
    else:
        await half_replaced.execute("DELETE FROM batch_job_logs WHERE job_id = 'newer'")
    assert await recalled(half_replaced, after=30) == []
    events = await recalled(half_replaced)
    assert [(each.job_id, each.org_id, each.state) for each in events] == [
        ("older", "seoul-hs", "tenant_stored")
    ]
    assert await recalled(half_replaced, after=30) == []
    await render(writer, report_settings, pool, [told("seoul-hs", "older")])
    assert (await states(half_replaced))["older"] == "rendered"


async def test_a_resumed_report_whose_rows_an_older_job_left_half_replaced_is_told_of_again_and_made(
    half_replaced: asyncpg.Connection, writer: asyncpg.Connection, report_settings: Settings, pool: Pool
) -> None:
    await half_replaced.execute("UPDATE batch_job_logs SET job_seq = job_seq + 9 WHERE job_id = 'older'")
    await render(writer, report_settings, pool, [told("seoul-hs", "older")])
    assert (await states(half_replaced))["older"] == "stored"
    assert await recalled(half_replaced) == []
    await half_replaced.execute("UPDATE batch_job_logs SET status = 'cancelled' WHERE job_id = 'newer'")
    assert [each.job_id for each in await recalled(half_replaced)] == ["older"]
    await render(writer, report_settings, pool, [told("seoul-hs", "older")])
    assert (await states(half_replaced))["older"] == "rendered"
    assert await recalled(half_replaced) == []


async def test_the_reporter_looks_by_itself_and_survives_a_database_that_is_away(
    half_replaced: asyncpg.Connection, report_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.recall.LOOK_SECONDS", 0.05)
    await half_replaced.execute(
        """
        DELETE FROM batch_job_logs WHERE job_id = 'newer';
        UPDATE batch_job_tenants SET changed_at = now() - interval '1 minute'
        """
    )
    stop = asyncio.Event()
    away = report_settings.model_copy(update={"database_url": SecretStr("postgresql://u@/x?host=/nowhere")})
    looking = [asyncio.create_task(run(settings, stop)) for settings in (away, report_settings)]

    async def told_of() -> bool:
        return bool(await half_replaced.fetchval("SELECT count(*) FROM outbox"))

    await until(told_of, "the event")
    assert not any(task.done() for task in looking)
    stop.set()
    await asyncio.gather(*looking)


async def test_a_report_whose_rows_nobody_replaces_is_not_told_of_again(
    connection: asyncpg.Connection,
) -> None:
    await store_report(connection, SEOUL, STUDENTS)
    assert await recalled(connection) == []
