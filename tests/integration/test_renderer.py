"""The renderer on a real PostgreSQL: files, states and what it announces."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
from report_samples import (
    BRIGHTON,
    METRICS,
    NOTHING,
    REPORT_DATE,
    SEOUL,
    drawn_students,
    store_report,
)
from waiting import until

from consumers.reader import Reader
from consumers.renderer import Renderer
from consumers.report.pool import Pool
from consumers.report.worker import Outcome, Task
from schemas.codec import encode
from schemas.faults import is_passing
from schemas.messages import JobEvent
from schemas.settings import Settings
from schemas.tenant_messages import ReportReady
from schemas.topics import JOB_EVENTS

CRITICAL: dict[str, Any] = NOTHING | {"absence_rate_7d": 0.25, "absence_rate_14d": 0.125, "omit_rate": 0.1}
WELL: dict[str, Any] = NOTHING | {"theta": 1 / 3, "omit_rate": 0.01}
IDLENESS = "SHOW idle_in_transaction_session_timeout"
BROKEN = "{% if tenant.org_id == 'brighton' %}\n\n{{ nobody.name }}{% endif %}<p>{{ tenant.name }}</p>\n"


def told(org_id: str, job_id: str = "weekly-1", state: str = "tenant_stored") -> SimpleNamespace:
    event = JobEvent(job_id=job_id, job_type="weekly", state=state, org_id=org_id)
    record = encode(JOB_EVENTS, event, source="test")
    return SimpleNamespace(topic=record.topic, partition=0, offset=0, key=record.key, value=record.value,
                           headers=tuple(record.headers), timestamp=0)  # fmt: skip


async def render(
    writer: asyncpg.Connection, settings: Settings, pool: Pool, records: Sequence[SimpleNamespace]
) -> None:
    """What the renderer's loop does with a batch."""
    await Reader(settings, Renderer(settings, pool))._store(writer, records)


async def states(connection: asyncpg.Connection) -> dict[str, tuple[str, str | None]]:
    rows = await connection.fetch("SELECT org_id, state, error FROM batch_job_tenants")
    return {row["org_id"]: (row["state"], row["error"]) for row in rows}


async def announced(connection: asyncpg.Connection) -> list[ReportReady]:
    rows = await connection.fetch("SELECT value FROM outbox WHERE topic = 'risk.reports.v1' ORDER BY id")
    return [ReportReady.model_validate_json(row["value"]) for row in rows]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


async def test_stored_tenants_get_their_files_and_are_announced(
    connection: asyncpg.Connection, writer: asyncpg.Connection, report_settings: Settings, pool: Pool
) -> None:
    students = [
        {"student_id": "=1+1", **CRITICAL},
        {"student_id": 'b,"c"', **WELL},
        {"student_id": "d", **NOTHING},
    ]  # fmt: skip
    tenant = BRIGHTON.model_copy(update={"name": "@Brighton, Hill"})
    await store_report(connection, tenant, students)
    await store_report(connection, SEOUL, list(drawn_students(40)))
    await render(writer, report_settings, pool, [told("brighton"), told("seoul-hs"), told("brighton")])

    folder = report_settings.reports_dir / "2026-11-23"
    assert sorted(each.name for each in folder.iterdir()) == [
        *("brighton_metrics.csv", "brighton_report.html"),
        *("seoul-hs_metrics.csv", "seoul-hs_report.html", "summary.csv"),
    ]
    metrics = folder / "brighton_metrics.csv"
    assert metrics.read_bytes().count(b"\r") == 0
    found = rows_of(metrics)
    assert list(found[0]) == [
        *("report_date", "org_id", "student_id", *METRICS),
        *("theta_level", "omit_level", "guess_level", "attendance_level", "level", "rank"),
    ]
    assert [(row["student_id"], row["level"], row["rank"]) for row in found] == [
        ("'=1+1", "CRIT", "1"),
        ('b,"c"', "OK", "2"),
        ("d", "NO_DATA", "3"),
    ]
    assert (found[0]["report_date"], found[0]["org_id"]) == ("2026-11-23", "brighton")
    assert (found[0]["absence_rate_7d"], found[0]["theta"], found[0]["omit_level"]) == ("0.25", "", "WARN")
    assert float(found[1]["theta"]) == 1 / 3
    assert [row["student_id"] for row in rows_of(folder / "seoul-hs_metrics.csv")] == [
        f"S{place:06d}" for place in range(1, 41)
    ]

    summary = rows_of(folder / "summary.csv")
    assert [row["org_id"] for row in summary] == ["brighton", "seoul-hs"]
    assert list(summary[0]) == [
        *("report_date", "org_id", "org_name", "total_students", "crit_count", "crit_pct"),
        *("warn_count", "warn_pct", "ok_count", "insufficient_data", "theta_warn", "theta_crit"),
        *("omit_warn", "omit_crit", "guess_warn", "guess_crit", "attendance_warn", "attendance_crit"),
        *("mean_theta", "mean_delta_theta_7d", "mean_omit_rate", "mean_c_hat"),
        *("mean_absence_rate_7d", "mean_absence_rate_14d"),
    ]
    assert summary[0]["org_name"] == "'@Brighton, Hill"
    numbers = [summary[0][name] for name in ("total_students", "crit_count", "crit_pct", "warn_count")]
    assert numbers == ["3", "1", "50", "0"]
    assert (summary[0]["omit_warn"], summary[0]["attendance_crit"], summary[0]["mean_c_hat"]) == (
        "1",
        "1",
        "",
    )

    assert "7-day absence 25.0% (from 20%: critical)" in (folder / "brighton_report.html").read_text("utf-8")
    assert {org_id: state for org_id, (state, _) in (await states(connection)).items()} == {
        "brighton": "rendered",
        "seoul-hs": "rendered",
    }
    ready = {each.org_id: each for each in await announced(connection)}
    assert len(await announced(connection)) == 2
    assert ready["brighton"].html == "2026-11-23/brighton_report.html"
    assert ready["brighton"].csv == "2026-11-23/brighton_metrics.csv"
    assert (ready["seoul-hs"].job_id, ready["seoul-hs"].report_date) == ("weekly-1", REPORT_DATE)


async def test_a_replay_and_other_events_change_nothing(
    connection: asyncpg.Connection, writer: asyncpg.Connection, report_settings: Settings, pool: Pool
) -> None:
    await store_report(connection, SEOUL, [{"student_id": "a", **WELL}])
    others = [told("seoul-hs", state="progress"), told("unknown"), told("seoul-hs", job_id="deleted")]
    await render(writer, report_settings, pool, others)
    assert not report_settings.reports_dir.exists()

    await render(writer, report_settings, pool, [told("seoul-hs")])
    page = report_settings.reports_dir / "2026-11-23" / "seoul-hs_report.html"
    written = page.stat().st_ino
    await render(writer, report_settings, pool, [told("seoul-hs"), told("seoul-hs")])
    assert page.stat().st_ino == written
    assert len(await announced(connection)) == 1


async def test_a_broken_template_fails_its_tenant_alone(
    connection: asyncpg.Connection, writer: asyncpg.Connection, report_settings: Settings, pool: Pool,
    tmp_path: Path,
) -> None:  # fmt: skip
    (tmp_path / "report.html.j2").write_text(BROKEN)
    settings = report_settings.model_copy(update={"report_templates": tmp_path})
    last = settings.reports_dir / "2026-11-23" / "brighton_report.html"
    last.parent.mkdir(parents=True)
    last.write_text("the report before")
    for tenant in (BRIGHTON, SEOUL):
        await store_report(connection, tenant, [{"student_id": "a", **WELL}])

    await render(writer, settings, pool, [told("brighton"), told("seoul-hs")])

    fault = "template report.html.j2 line 3: 'nobody' is undefined"
    assert await states(connection) == {"brighton": ("failed", fault), "seoul-hs": ("rendered", None)}
    assert [each.org_id for each in await announced(connection)] == ["seoul-hs"]
    assert last.read_text() == "the report before"
    job = await connection.fetchrow("SELECT status, failed_grids, error_message FROM batch_job_logs")
    assert tuple(job) == ("running", 1, f"brighton: {fault}")


async def test_a_tenant_without_a_summary_fails_with_a_sentence(
    connection: asyncpg.Connection, writer: asyncpg.Connection, report_settings: Settings, pool: Pool
) -> None:
    await store_report(connection, SEOUL, [])
    await connection.execute("DELETE FROM tenant_risk_summary")
    await render(writer, report_settings, pool, [told("seoul-hs")])
    fault = "no summary of seoul-hs for 2026-11-23 is stored"
    assert await states(connection) == {"seoul-hs": ("failed", fault)}


async def test_an_unusable_logo_leaves_a_report_without_it(
    connection: asyncpg.Connection, writer: asyncpg.Connection, report_settings: Settings, pool: Pool
) -> None:
    tenant = BRIGHTON.model_copy(update={"logo": "/nowhere/school.svg"})
    await store_report(connection, tenant, [])
    await render(writer, report_settings, pool, [told("brighton")])
    page = (report_settings.reports_dir / "2026-11-23" / "brighton_report.html").read_text("utf-8")
    assert "could not be shown: logo school.svg: No such file or directory." in page
    assert "No data for this report" in page
    assert (await states(connection))["brighton"][0] == "rendered"


async def test_what_is_no_event_becomes_a_dead_letter_and_the_rest_is_rendered(
    connection: asyncpg.Connection, writer: asyncpg.Connection, report_settings: Settings, pool: Pool
) -> None:
    await store_report(connection, SEOUL, [{"student_id": "a", **WELL}])
    bad = told("seoul-hs")
    bad.value = b'{"job_id": "weekly-1"}'
    await render(writer, report_settings, pool, [bad, told("seoul-hs")])
    letter = await connection.fetchrow("SELECT * FROM outbox WHERE topic = 'risk.job-events.v1.dlq'")
    assert letter["value"] == bad.value
    assert (await states(connection))["seoul-hs"] == ("rendered", None)


async def test_a_folder_that_cannot_be_written_is_tried_again(
    connection: asyncpg.Connection, writer: asyncpg.Connection, report_settings: Settings, pool: Pool
) -> None:
    await store_report(connection, SEOUL, [{"student_id": "a", **WELL}])
    report_settings.reports_dir.write_text("a file in its place")
    with pytest.raises(OSError) as caught:  # noqa: PT011 - which OSError is the system's choice
        await render(writer, report_settings, pool, [told("seoul-hs")])
    assert is_passing(caught.value)
    assert (await states(connection))["seoul-hs"] == ("stored", None)

    report_settings.reports_dir.unlink()
    await render(writer, report_settings, pool, [told("seoul-hs")])
    assert (await states(connection))["seoul-hs"] == ("rendered", None)


async def test_two_renderers_of_one_date_lose_no_row_of_the_summary(
    connection: asyncpg.Connection, writer: asyncpg.Connection, report_settings: Settings, pool: Pool
) -> None:
    await store_report(connection, SEOUL, [{"student_id": "a", **WELL}], job_id="one")
    await render(writer, report_settings, pool, [told("seoul-hs", job_id="one")])
    first, second = Renderer(report_settings, pool), Renderer(report_settings, pool)
    transaction = connection.transaction()
    await transaction.start()
    await store_report(connection, BRIGHTON, [{"student_id": "a", **WELL}], job_id="two")
    await first._write_summary(connection, REPORT_DATE)

    async def write_second() -> None:
        async with writer.transaction():
            await second._write_summary(writer, REPORT_DATE)

    waiting = asyncio.create_task(write_second())
    observer = await asyncpg.connect(report_settings.dsn)

    async def blocked() -> bool:
        return bool(await observer.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

    await until(blocked, "the second writer's wait")
    await transaction.commit()
    await waiting
    await observer.close()
    summary = rows_of(report_settings.reports_dir / "2026-11-23" / "summary.csv")
    assert [row["org_id"] for row in summary] == ["brighton", "seoul-hs"]


async def test_of_two_jobs_of_one_date_the_newer_ones_tenant_is_shown(
    connection: asyncpg.Connection, writer: asyncpg.Connection, report_settings: Settings, pool: Pool
) -> None:
    await store_report(connection, SEOUL, [{"student_id": "a", **WELL}], job_id="older")
    await connection.execute("DELETE FROM tenant_risk_summary; DELETE FROM student_risk_metrics")
    newer = SEOUL.model_copy(update={"name": "새 이름"})
    await store_report(connection, newer, [{"student_id": "a", **WELL}], job_id="newer")
    await render(writer, report_settings, pool, [told("seoul-hs", "older"), told("seoul-hs", "newer")])
    page = (report_settings.reports_dir / "2026-11-23" / "seoul-hs_report.html").read_text("utf-8")
    assert "새 이름" in page
    assert {each.job_id for each in await announced(connection)} == {"older", "newer"}


class Watching(Pool):
    """Notes how long the session may idle while the pages are made."""

    def __init__(self, pool: Pool, connection: asyncpg.Connection) -> None:
        super().__init__()
        self._pool, self._connection = pool, connection
        self.limits: list[str] = []

    async def write(self, tasks: Sequence[Task], beat: Callable[[], None] = lambda: None) -> list[Outcome]:
        self.limits.append(await self._connection.fetchval(IDLENESS))
        return await self._pool.write(tasks, beat)


async def test_the_session_may_idle_long_for_the_pages_and_not_with_locks(
    connection: asyncpg.Connection, writer: asyncpg.Connection, report_settings: Settings, pool: Pool
) -> None:
    usual = await writer.fetchval(IDLENESS)
    watching = Watching(pool, writer)
    renderer = Renderer(report_settings, watching)
    for tenant in (BRIGHTON, SEOUL):
        await store_report(connection, tenant, [{"student_id": "a", **WELL}])
    async with writer.transaction():
        # As the loop isolates a poisoned batch: record by record, each in a savepoint.
        for org_id in ("brighton", "seoul-hs"):
            async with writer.transaction():
                await renderer.store(writer, [told(org_id)])
            assert await writer.fetchval(IDLENESS) == "30s"
    assert watching.limits == ["16min", "16min"]
    assert await writer.fetchval(IDLENESS) == usual


async def test_a_place_that_cannot_be_written_fails_its_tenant_alone(
    connection: asyncpg.Connection, writer: asyncpg.Connection, report_settings: Settings, pool: Pool
) -> None:
    folder = report_settings.reports_dir / "2026-11-23"
    taken = folder / "brighton_report.html"
    taken.mkdir(parents=True)
    for tenant in (BRIGHTON, SEOUL):
        await store_report(connection, tenant, [{"student_id": "a", **WELL}])
    await render(writer, report_settings, pool, [told("brighton"), told("seoul-hs")])
    fault = f"{taken} cannot be written: Is a directory"
    assert await states(connection) == {"brighton": ("failed", fault), "seoul-hs": ("rendered", None)}
    assert not list(folder.glob(".*"))


async def test_a_summary_that_cannot_be_written_fails_the_tenants_of_its_date(
    connection: asyncpg.Connection, writer: asyncpg.Connection, report_settings: Settings, pool: Pool
) -> None:
    taken = report_settings.reports_dir / "2026-11-23" / "summary.csv"
    taken.mkdir(parents=True)
    other_day = REPORT_DATE - timedelta(7)
    await store_report(connection, SEOUL, [{"student_id": "a", **WELL}])
    await store_report(
        connection, BRIGHTON, [{"student_id": "a", **WELL}], job_id="other", report_date=other_day
    )
    await render(writer, report_settings, pool, [told("seoul-hs"), told("brighton", "other")])
    fault = f"{taken} cannot be written: Is a directory"
    assert await states(connection) == {"seoul-hs": ("failed", fault), "brighton": ("rendered", None)}


async def test_a_renderer_removes_at_its_start_what_a_killed_one_left(
    writer: asyncpg.Connection, report_settings: Settings, pool: Pool
) -> None:
    left = report_settings.reports_dir / "2026-11-16" / ".seoul-hs_metrics.csv.0123abcd.tmp"
    left.parent.mkdir(parents=True)
    left.touch()
    await Renderer(report_settings, pool).opened(writer)
    assert not left.exists()
