"""What `riskflow jobs` says of jobs that run, wait, stand still or were overwritten."""

from __future__ import annotations

import io
import itertools
import re
from datetime import timedelta
from typing import Any

import asyncpg
import orjson
import pytest
from flow_samples import GRID, RISKS, as_read, chunk_rows, open_sink, plan_job, result_of, sink
from rich.console import Console
from weekly_rows import weekly_job

from ops import jobs
from ops.show import show_job, show_latest
from ops.standing import Standing, standings
from ops.superseded import superseded
from schemas.errors import RiskflowError
from schemas.settings import Settings

STALLED_AFTER = 15  # minutes


@pytest.fixture
def settings(flow_settings: Settings) -> Settings:
    return flow_settings.model_copy(update={"batch_size": 1, "stalled_after_minutes": STALLED_AFTER})


def page(width: int = 80) -> Console:
    return Console(file=io.StringIO(), width=width)


def shown(console: Console) -> str:
    return console.file.getvalue()


async def standing_of(connection: asyncpg.Connection, *job_ids: str) -> list[Standing]:
    found = [await jobs.find(connection, job_id) for job_id in job_ids]
    standing = await standings(connection, [job for job in found if job], STALLED_AFTER)
    return [standing[job_id] for job_id in job_ids]


async def report(connection: asyncpg.Connection, settings: Settings, job_id: str, *chunks: int) -> None:
    """Store the results of these chunks of a hazard job, or of all."""
    session = await open_sink(settings)
    rows = [row for row in await chunk_rows(connection, job_id) if not chunks or row["chunk"] in chunks]
    await sink(session, settings, *(as_read(result_of(row, "hazard")) for row in rows))
    await session.close()


async def ago(connection: asyncpg.Connection, column: str, job_id: str, minutes: float, **chunk: int) -> None:
    table, name = column.split(".")
    condition = f" AND chunk = {chunk['chunk']}" if chunk else ""
    await connection.execute(
        f"UPDATE {table} SET {name} = now() - $2::interval WHERE job_id = $1{condition}",  # noqa: S608 - names of this file
        job_id,
        timedelta(minutes=minutes),
    )


async def test_jobs_of_one_lane_queue_and_those_of_the_other_do_not(
    connection: asyncpg.Connection, settings: Settings
) -> None:
    for job_id in ("first", "second", "third"):
        await plan_job(connection, settings, job_id, "hazard")
    await weekly_job(connection, "week", ("seoul-hs", 1))
    await weekly_job(connection, "next-week", ("seoul-hs", 1))
    ids = ("first", "second", "third", "week", "next-week")
    assert [each.ahead for each in await standing_of(connection, *ids)] == [0, 1, 2, 0, 1]

    await report(connection, settings, "first")
    await report(connection, settings, "second", 1, 2, 3)
    # Its only part is there, though its mail is still on its way.
    await connection.execute("UPDATE batch_job_chunks SET kinds_left = 0 WHERE job_id = 'week'")
    assert [each.ahead for each in await standing_of(connection, *ids[1:])] == [0, 1, 0, 0]


async def test_the_time_left_follows_from_the_latest_outcomes(
    connection: asyncpg.Connection, settings: Settings
) -> None:
    await plan_job(connection, settings, "running", "hazard")
    await plan_job(connection, settings, "queued", "hazard")
    for chunk, minutes in ((1, 3), (2, 2)):
        await report(connection, settings, "running", chunk)
        await ago(connection, "batch_job_outcomes.recorded_at", "running", minutes, chunk=chunk)
    [standing] = await standing_of(connection, "running")
    assert standing.seconds_left is None, "two outcomes are too few"

    await report(connection, settings, "running", 3)
    await ago(connection, "batch_job_outcomes.recorded_at", "running", 1, chunk=3)
    running, queued = await standing_of(connection, "running", "queued")
    # Two cells in the three minutes since the first outcome; two of the five are left.
    assert running.seconds_left == pytest.approx(180, abs=2)
    assert queued == Standing("queued", 1, None, None)

    await ago(connection, "batch_job_logs.resumed_at", "running", 1.5)
    [resumed] = await standing_of(connection, "running")
    assert resumed.seconds_left is None, "only what came since counts"


async def test_the_time_left_of_a_weekly_job_counts_its_tenants(connection: asyncpg.Connection) -> None:
    await weekly_job(connection, "week", *((f"school-{place}", 1) for place in range(5)), status="running")
    for place, minutes in enumerate((3, 2, 1)):
        await connection.execute(
            "UPDATE batch_job_tenants SET ended_at = now() - $2::interval WHERE org_id = $1",
            f"school-{place}",
            timedelta(minutes=minutes),
        )
    [standing] = await standing_of(connection, "week")
    assert standing.seconds_left == pytest.approx(180, abs=2)


async def test_a_job_is_stalled_when_nothing_came_of_it_for_long(
    connection: asyncpg.Connection, settings: Settings
) -> None:
    for job_id in ("first", "second"):
        await plan_job(connection, settings, job_id, "hazard")
        await ago(connection, "batch_job_logs.started_at", job_id, 60)
    first, second = await standing_of(connection, "first", "second")
    accepted = await connection.fetchval("SELECT started_at FROM batch_job_logs WHERE job_id = 'first'")
    assert first.stalled_since == accepted, "nobody sends it"
    assert second.stalled_since is None, "it waits for the first"

    await ago(connection, "batch_job_chunks.sent_at", "first", STALLED_AFTER - 1)
    [first] = await standing_of(connection, "first")
    assert first.stalled_since is None
    await ago(connection, "batch_job_chunks.sent_at", "first", STALLED_AFTER + 1)
    [first] = await standing_of(connection, "first")
    assert first.stalled_since == await connection.fetchval("SELECT max(sent_at) FROM batch_job_chunks")

    await report(connection, settings, "first")
    [second] = await standing_of(connection, "second")
    assert second == Standing("second", 0, None, None), "its turn has only just come"


async def overwritten(connection: asyncpg.Connection, job_id: str) -> int:
    job = await jobs.find(connection, job_id)
    assert job is not None
    return await superseded(connection, job)


async def test_cells_that_a_newer_job_has_overwritten_are_counted(
    connection: asyncpg.Connection, settings: Settings
) -> None:
    await plan_job(connection, settings, "old", "hazard")
    await report(connection, settings, "old")
    south = {"min_latitude": 34, "min_longitude": 127, "max_latitude": 36.5, "max_longitude": 128}
    await plan_job(connection, settings, "other-years", "hazard", window={"start": 1981, "end": 2010})
    await plan_job(connection, settings, "new", "hazard", bbox=south)
    assert [await overwritten(connection, each) for each in ("old", "new")] == [0, 0]
    await report(connection, settings, "new", 1)
    assert [await overwritten(connection, each) for each in ("old", "new")] == [1, 0]
    await report(connection, settings, "new", 2)
    assert [await overwritten(connection, each) for each in ("old", "new")] == [2, 0]

    # Resumed, the old one is the newer now; what it has not written again is still not its own.
    await connection.execute(
        "UPDATE batch_job_logs SET job_seq = nextval('riskflow.job_seq'), resumes = 1 WHERE job_id = 'old'"
    )
    assert [await overwritten(connection, each) for each in ("old", "new")] == [2, 0]
    await connection.execute(
        "UPDATE hazard_results SET job_id = 'old' WHERE latitude = $1::float8::numeric", GRID[0][0]
    )
    assert [await overwritten(connection, each) for each in ("old", "new")] == [1, 1]


async def test_a_cell_that_failed_in_the_newer_job_is_not_overwritten(
    connection: asyncpg.Connection, settings: Settings
) -> None:
    await plan_job(connection, settings, "old", "hazard")
    await report(connection, settings, "old")
    new = await plan_job(connection, settings, "new", "hazard")
    session = await open_sink(settings)
    failed = result_of(new[0], "hazard", risks=[], failure="the model broke")
    await sink(session, settings, as_read(failed), as_read(result_of(new[1], "hazard")))
    await session.close()
    assert await overwritten(connection, "old") == 1


async def test_tenants_whose_summary_a_newer_job_wrote_are_counted(connection: asyncpg.Connection) -> None:
    for job_id in ("first", "again"):
        await weekly_job(connection, job_id, ("seoul-hs", 1), ("busan-ms", 1))
    await connection.execute("UPDATE batch_job_tenants SET parts_left = 0, state = 'delivered'")
    counts = await connection.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'tenant_risk_summary'::regclass "
        "AND attnum > 0 AND attnotnull AND atttypid = 'integer'::regtype"
    )
    columns = ", ".join(row["attname"] for row in counts)
    zeros = ", ".join("0" for _ in counts)
    await connection.execute(
        f"INSERT INTO tenant_risk_summary (org_id, report_date, org_name, thresholds, calculated_at, job_id, "  # noqa: S608
        f"job_seq, {columns}) SELECT org_id, report_date, org_id, '{{}}', now(), job_id, 1, {zeros} "
        "FROM batch_job_tenants WHERE (job_id, org_id) IN (('first', 'seoul-hs'), ('again', 'busan-ms'))"
    )
    assert [await overwritten(connection, each) for each in ("first", "again")] == [1, 1]


async def every_state(connection: asyncpg.Connection, settings: Settings) -> None:
    """A stalled job, one that waits for it, a refused one of a hostile name, and a weekly one at work."""
    await plan_job(connection, settings, "climate-2026-korea-ssp245-stalled", "hazard")
    await plan_job(connection, settings, "climate-2026-korea-ssp585-queued", "climate")
    await report(connection, settings, "climate-2026-korea-ssp245-stalled", 1, 2)
    await connection.execute("UPDATE batch_job_outcomes SET recorded_at = now() - interval '3 hours'")
    await connection.execute("UPDATE batch_job_logs SET started_at = now() - interval '4 hours'")
    await weekly_job(connection, "week", *((f"school-{place}", 1) for place in range(3)), status="running")
    await connection.execute("UPDATE batch_job_logs SET processed_grids = 2 WHERE job_id = 'week'")
    await connection.execute(
        "INSERT INTO batch_job_logs (job_id, job_type, status, completed_at, requested_by, error_message, "
        "total_grids) VALUES ('notify-1', $1, 'failed', now(), 'NOTIFY', $1, 0)",
        "[/red]\x1b[2J" + "x" * 7000,
    )


async def test_the_list_holds_eighty_columns_whatever_the_jobs_are_called(
    connection: asyncpg.Connection, settings: Settings
) -> None:
    await every_state(connection, settings)
    for width in (80, 140):
        console = page(width)
        await show_latest(settings, 20, console)
        text = shown(console)
        assert max(map(len, text.splitlines())) <= width
        assert "\x1b" not in text
        told = " ".join(text.split())
        for part in ("stalled", "1 ahead", "2/5 cells", "40 %", "2/3 tenants", "66 %", "[/red]"):
            assert part in told, part
        assert len(text) < 5000


async def test_one_job_says_how_it_stands(connection: asyncpg.Connection, settings: Settings) -> None:
    await every_state(connection, settings)
    since = await connection.fetchval("SELECT max(recorded_at) FROM batch_job_outcomes")
    expected = {
        "climate-2026-korea-ssp245-stalled": [
            "cells 2 of 5, 0 failed",
            "progress 40 %",
            f"stalled nothing has come of it since {since:%Y-%m-%d %H:%M:%S}Z",
        ],
        "climate-2026-korea-ssp585-queued": ["queue 1 job is computed before it"],
        "week": ["tenants 2 of 3, 0 failed", "progress 66 %"],
        "notify-1": ["asked for by NOTIFY", "status failed"],
    }
    for job_id, lines in expected.items():
        console = page()
        await show_job(settings, job_id, console)
        told = [re.sub(r" +", " ", line.strip()) for line in shown(console).splitlines()]
        assert set(lines) <= set(told)
        assert max(map(len, shown(console).splitlines())) <= 80
    with pytest.raises(RiskflowError, match="there is no job none; riskflow jobs lists the latest"):
        await show_job(settings, "none", page())


async def test_scripts_get_the_same_as_json(connection: asyncpg.Connection, settings: Settings) -> None:
    await every_state(connection, settings)
    console = page(20)
    await show_latest(settings, 20, console, as_json=True)
    listed: dict[str, dict[str, Any]] = {each["job_id"]: each for each in orjson.loads(shown(console))}
    assert len(listed) == 4
    keys = ("counted", "total", "processed", "percent", "jobs_ahead", "seconds_left", "refused")
    facts = {job_id: tuple(each[key] for key in keys) for job_id, each in listed.items()}
    assert facts == {
        "climate-2026-korea-ssp245-stalled": ("cells", 5, 2, 40, 0, None, False),
        "climate-2026-korea-ssp585-queued": ("cells", 5, 0, 0, 1, None, False),
        "week": ("tenants", 3, 2, 66, 0, None, False),
        "notify-1": ("cells", 0, 0, None, None, None, True),
    }
    assert listed["climate-2026-korea-ssp245-stalled"]["stalled_since"].endswith("+00:00")

    console = page(20)
    await show_job(settings, "climate-2026-korea-ssp245-stalled", console, as_json=True)
    one = orjson.loads(shown(console))
    assert {name: one[name] for name in listed[one["job_id"]]} == listed[one["job_id"]]
    assert (one["superseded"], one["tenants"], len(one["risk_counts"])) == (0, [], len(RISKS))
    assert one["risk_counts"][0] == {
        "risk_type": RISKS[0],
        "reported": 2,
        "without_number": 0,
        "failed": 0,
    }
    assert set(itertools.chain(one)) - set(listed[one["job_id"]]) == {
        "superseded",
        "tenants",
        "risk_counts",
        "failures",
    }
