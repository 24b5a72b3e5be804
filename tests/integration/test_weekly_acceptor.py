"""Weekly triggers become tenants cut into parts, or refusals that say what is allowed."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from flow_samples import accept, as_read, chunk_rows, job_row
from weekly_samples import (
    REPORT_DATE,
    attend,
    events,
    letters,
    list_students,
    plan_weekly_job,
    tenant_row,
    tenants_file,
    weekly,
)

from consumers.acceptor import plan, plan_weekly, request_hash
from schemas.errors import RefusedTrigger
from schemas.messages import Bbox, Trigger, Window
from schemas.settings import Settings
from schemas.tenants import Tenant

DAY = timedelta(days=1)


def held_by(parts: list[asyncpg.Record], student_id: str) -> list[int]:
    """Parts whose range holds a student, compared by code point."""
    return [
        part["part"]
        for part in parts
        if (part["first_student"] is None or part["first_student"] <= student_id)
        and (part["before_student"] is None or student_id < part["before_student"])
    ]


async def test_a_weekly_trigger_becomes_tenants_and_parts(
    connection: asyncpg.Connection, flow_settings: Settings, tmp_path: Path
) -> None:
    settings = weekly(flow_settings, tmp_path, "seoul-hs", "busan-ms", "jeju-es")
    await list_students(connection, "seoul-hs", "s1", "s2", "s3", "s4", "s5")
    await attend(connection, "busan-ms", "b1", day=REPORT_DATE - DAY)
    chunks = await plan_weekly_job(connection, settings, "job", requested_by="tests")

    job = await job_row(connection, "job")
    assert (job["job_type"], job["status"], job["report_date"]) == ("weekly", "pending", REPORT_DATE)
    assert (job["total_grids"], job["processed_grids"], job["failed_grids"]) == (3, 0, 0)
    assert (job["chunks_total"], job["chunks_done"], job["kinds"], job["risks"]) == (5, 0, ["metrics"], [])
    climate = ("scenario", "window_start", "window_end", "baseline_start", "baseline_end")
    assert {job[column] for column in climate} == {None}
    assert (job["requested_by"], job["job_seq"], job["uncertainty"]) == ("tests", 1, False)
    assert [
        (each["chunk_id"], each["topic"], each["org_id"], each["part"], each["cells"], each["kinds_left"])
        for each in chunks
    ] == [
        ("job:1", "risk.tenant-chunks.v1", "seoul-hs", 1, 2, 1),
        ("job:2", "risk.tenant-chunks.v1", "seoul-hs", 2, 2, 1),
        ("job:3", "risk.tenant-chunks.v1", "seoul-hs", 3, 1, 1),
        ("job:4", "risk.tenant-chunks.v1", "busan-ms", 1, 1, 1),
        ("job:5", "risk.tenant-chunks.v1", "jeju-es", 1, 0, 1),
    ]
    assert [(each["first_student"], each["before_student"]) for each in chunks] == [
        (None, "s3"),
        ("s3", "s5"),
        ("s5", None),
        (None, None),
        (None, None),
    ]
    row = await tenant_row(connection, "job", "seoul-hs")
    assert (row["students"], row["parts"], row["parts_left"], row["state"]) == (5, 3, 3, "pending")
    assert (row["report_date"], row["ended_at"], row["error"]) == (REPORT_DATE, None, None)
    frozen = Tenant.model_validate_json(row["tenant"])
    assert (frozen.name, frozen.timezone, frozen.thresholds.omit.warn) == ("SEOUL-HS", "Asia/Seoul", 0.08)
    [event] = await events(connection, "job")
    assert (event.state, event.job_type, event.total_grids) == ("accepted", "weekly", 3)


async def test_students_are_those_listed_or_with_a_row_in_the_tenants_fourteen_days(
    connection: asyncpg.Connection, flow_settings: Settings, tmp_path: Path
) -> None:
    settings = weekly(flow_settings, tmp_path, "org", size=1)
    first, last = datetime(2024, 2, 25, 15, tzinfo=UTC), datetime(2024, 3, 10, 14, 59, tzinfo=UTC)
    minute = timedelta(minutes=1)
    await list_students(connection, "org", "listed")
    await list_students(connection, "other", "foreign")
    moments = {"a-first": first, "a-last": last, "x-before": first - minute, "x-after": last + minute}
    for student_id, moment in moments.items():
        await connection.execute(
            "INSERT INTO fact_assessment (org_id, student_id, assessed_at) VALUES ('org', $1, $2)",
            student_id,
            moment,
        )
        await connection.execute(
            "INSERT INTO fact_assessment_item (org_id, student_id, assessed_at, item_id) "
            "VALUES ('org', $1, $2, 'i')",
            f"i{student_id}",
            moment,
        )
    days = {"a-first": 14, "a-last": 1, "x-before": 15, "x-after": 0}
    for student_id, back in days.items():
        await attend(connection, "org", f"c{student_id}", day=REPORT_DATE - back * DAY)
        await connection.execute(
            "INSERT INTO irt_snapshot (org_id, student_id, snapshot_date) VALUES ('org', $1, $2)",
            f"s{student_id}",
            REPORT_DATE - back * DAY,
        )
    chunks = await plan_weekly_job(connection, settings, "job")
    wanted = ["a-first", "a-last", "ca-first", "ca-last", "ia-first", "ia-last"]
    wanted += ["listed", "sa-first", "sa-last"]
    assert [each["first_student"] for each in chunks] == [None, *wanted[1:]]
    assert [each["before_student"] for each in chunks] == [*wanted[1:], None]
    assert (await tenant_row(connection, "job", "org"))["students"] == 9


async def test_parts_are_disjoint_and_hold_every_id(
    connection: asyncpg.Connection, flow_settings: Settings, tmp_path: Path
) -> None:
    settings = weekly(flow_settings, tmp_path, "org", size=3)
    # By UTF-16 units the last two would change places, by most languages' rules nearly all would.
    ids = ["", "1", "10", "9", "B", "Zoe", "a", "b", "zoe", "\u00e9", "\uac00", "\uff5e", "\U0001f600"]
    await list_students(connection, "org", *reversed(ids))
    await attend(connection, "org", *ids, day=REPORT_DATE - DAY)
    chunks = await plan_weekly_job(connection, settings, "job")
    assert [each["cells"] for each in chunks] == [3, 3, 3, 3, 1]
    assert [held_by(chunks, each) for each in ids] == [[n // 3 + 1] for n in range(len(ids))]
    for later in ("\x01", "5", "M", "aa", "zz", "\U0010ffff"):
        assert len(held_by(chunks, later)) == 1


async def test_the_days_are_those_of_the_tenants_zone(
    connection: asyncpg.Connection, flow_settings: Settings, tmp_path: Path
) -> None:
    # The clocks went forward on 10 March 2024: the last day ended at 4:00 UTC, not at 5:00.
    path = tenants_file(tmp_path, "org", zone="America/New_York")
    settings = flow_settings.model_copy(update={"tenants_file": path, "students_per_part": 1})
    moments = {"in": datetime(2024, 3, 11, 3, 59, tzinfo=UTC), "out": datetime(2024, 3, 11, 4, tzinfo=UTC)}
    await connection.executemany(
        "INSERT INTO fact_assessment (org_id, student_id, assessed_at) VALUES ('org', $1, $2)",
        list(moments.items()),
    )
    await plan_weekly_job(connection, settings, "job")
    assert (await tenant_row(connection, "job", "org"))["students"] == 1


async def test_the_date_left_out_is_the_latest_monday_of_the_schedules_zone(
    connection: asyncpg.Connection, flow_settings: Settings, tmp_path: Path
) -> None:
    settings = weekly(flow_settings, tmp_path, "org")
    for at, monday in (
        (datetime(2024, 3, 10, 14, 59, tzinfo=UTC), date(2024, 3, 4)),
        (datetime(2024, 3, 10, 15, 0, tzinfo=UTC), date(2024, 3, 11)),
        (datetime(2024, 3, 17, 14, 59, tzinfo=UTC), date(2024, 3, 11)),
    ):
        await connection.execute("DELETE FROM attendance")
        await attend(connection, "org", "s", day=monday - DAY)
        planned = await plan_weekly(connection, Trigger(job_type="weekly"), settings, at=at)
        assert planned.report_date == monday


async def test_named_tenants_alone_count_once_and_inactive_ones_are_left_out(
    connection: asyncpg.Connection, flow_settings: Settings, tmp_path: Path
) -> None:
    path = tenants_file(tmp_path, "b", "a", "c", inactive=["gone"])
    settings = flow_settings.model_copy(update={"tenants_file": path})
    await attend(connection, "c", "s", day=REPORT_DATE - DAY)
    await plan_weekly_job(connection, settings, "all")
    await plan_weekly_job(connection, settings, "named", tenants=["a", "b", "a"])
    rows = await connection.fetch(
        "SELECT c.job_id, c.org_id FROM batch_job_chunks c JOIN batch_job_logs j USING (job_id) "
        "ORDER BY j.job_seq, chunk"
    )
    assert [tuple(row) for row in rows] == [
        ("all", "b"),
        ("all", "a"),
        ("all", "c"),
        ("named", "b"),
        ("named", "a"),
    ]
    assert (await job_row(connection, "named"))["total_grids"] == 2


REFUSALS = [
    (
        {"scenario": "ssp245", "risks": ["drought"]},
        "scenario, risks: only for climate jobs; job type weekly takes tenants, report_date",
    ),
    (
        {
            "window": Window(start=2001, end=2020),
            "bbox": Bbox(min_latitude=0, min_longitude=0, max_latitude=1, max_longitude=1),
            "uncertainty": True,
        },
        "window, bbox, uncertainty: only for climate jobs; job type weekly takes tenants, report_date",
    ),
    (
        {"report_date": date(2024, 3, 13)},
        "report_date 2024-03-13 is in the future; today is 2024-03-12 in Asia/Seoul",
    ),
    (
        {"report_date": date(1, 1, 3)},
        "report_date 0001-01-03 is too early; allowed: 1900-01-01 to 2024-03-12",
    ),
    ({"tenants": ["org", "zoo", "ark"]}, "unknown tenant ark, zoo; known: org, old"),
    (
        {"tenants": ["org", "old"]},
        "tenant old is not active; set active: true in TENANTS_FILE, or leave it out",
    ),
    (
        {"report_date": date(2024, 2, 26)},
        (
            "report_date 2024-02-26 has no data: no active tenant has assessments, items, attendance "
            "or snapshots dated 2024-02-12 to 2024-02-25"
        ),
    ),
]


async def test_a_refusal_names_what_is_allowed(
    connection: asyncpg.Connection, flow_settings: Settings, tmp_path: Path
) -> None:
    path = tenants_file(tmp_path, "org", inactive=["old"])
    settings = flow_settings.model_copy(update={"tenants_file": path})
    # Of the inactive tenant, of the last day before and the first day after: none is data of 26 February.
    await attend(connection, "old", "s", day=date(2024, 2, 20))
    await attend(connection, "org", "s", day=date(2024, 2, 11))
    await attend(connection, "org", "s", day=date(2024, 2, 26))
    for fields, sentence in REFUSALS:
        trigger = Trigger(**({"job_type": "weekly", "report_date": REPORT_DATE} | fields))
        with pytest.raises(RefusedTrigger) as refusal:
            await plan_weekly(connection, trigger, settings, at=datetime(2024, 3, 12, tzinfo=UTC))
        assert str(refusal.value) == sentence


async def test_what_is_wrong_with_the_tenants_file_is_the_refusal(
    connection: asyncpg.Connection, flow_settings: Settings, tmp_path: Path
) -> None:
    trigger = Trigger(job_type="weekly", job_id="job", report_date=REPORT_DATE)

    async def refusal(settings: Settings) -> str:
        with pytest.raises(RefusedTrigger) as refused:
            await plan_weekly(connection, trigger, settings)
        return str(refused.value)

    assert (await refusal(flow_settings)).startswith("TENANTS_FILE is not set; ")
    path = tenants_file(tmp_path, inactive=["org"])
    settings = flow_settings.model_copy(update={"tenants_file": path})
    assert await refusal(settings) == f"{path} has no active tenant; set active: true for one"
    path.write_text("tenants:\n  - {org_id: org, name: Org, timezone: Asia/Soul, language: ko}\n")
    assert "line 2" in await refusal(settings)
    assert "Asia/Soul" in await refusal(settings)
    path.unlink()
    sentence = await refusal(settings)
    assert str(path) in sentence

    await accept(connection, settings, as_read(trigger), as_read(trigger))
    job = await job_row(connection, "job")
    assert (job["status"], job["job_type"], job["error_message"]) == ("failed", "weekly", sentence)
    assert await letters(connection) == [("risk.triggers.v1.dlq", sentence)]
    assert [event.state for event in await events(connection, "job")] == ["refused"]
    assert await connection.fetchval("SELECT count(*) FROM batch_job_tenants") == 0

    # The file is read anew at every trigger.
    tenants_file(tmp_path, "org")
    await attend(connection, "org", "s", day=REPORT_DATE - DAY)
    assert len(await plan_weekly_job(connection, settings, "next")) == 1


async def test_a_climate_plan_refuses_weekly_triggers_and_a_climate_trigger_takes_no_tenants(
    connection: asyncpg.Connection, flow_settings: Settings
) -> None:
    with pytest.raises(RefusedTrigger, match="job type weekly is no climate job; allowed: probability, "):
        await plan(connection, Trigger(job_type="weekly"), flow_settings)
    await accept(
        connection,
        flow_settings,
        as_read(Trigger(job_type="climate", job_id="job", report_date=REPORT_DATE)),
    )
    assert (await job_row(connection, "job"))["error_message"].startswith(
        "tenants and report_date belong to job type weekly; climate takes "
    )


async def test_the_same_request_again_changes_nothing_and_another_is_a_dead_letter(
    connection: asyncpg.Connection, flow_settings: Settings, tmp_path: Path
) -> None:
    settings = weekly(flow_settings, tmp_path, "a", "b")
    await attend(connection, "a", "s", day=REPORT_DATE - DAY)
    await plan_weekly_job(connection, settings, "job", tenants=["a", "b"], requested_by="one")
    before = await job_row(connection, "job"), await chunk_rows(connection, "job")
    tenants = await connection.fetch("SELECT * FROM batch_job_tenants ORDER BY org_id")
    # Not even what the file says now: the plan of a job is frozen.
    tenants_file(tmp_path, "a", inactive=["b"])
    await plan_weekly_job(connection, settings, "job", tenants=["b", "a", "b"], requested_by="two")

    assert (await job_row(connection, "job"), await chunk_rows(connection, "job")) == before
    assert await connection.fetch("SELECT * FROM batch_job_tenants ORDER BY org_id") == tenants
    assert await letters(connection) == []
    assert len(await events(connection, "job")) == 1
    await plan_weekly_job(connection, settings, "job", tenants=["a"])
    sentence = "job_id job belongs to another request; choose another id, or leave it out"
    assert await letters(connection) == [("risk.triggers.v1.dlq", sentence)]
    assert await job_row(connection, "job") == before[0]


async def test_two_acceptors_at_once_make_one_job(
    connection: asyncpg.Connection, flow_settings: Settings, tmp_path: Path
) -> None:
    settings = weekly(flow_settings, tmp_path, "org")
    await list_students(connection, "org", "s1", "s2", "s3")
    await attend(connection, "org", "s1", day=REPORT_DATE - DAY)
    other = await asyncpg.connect(flow_settings.dsn)
    try:
        for turn in range(5):
            jobs = (plan_weekly_job(each, settings, f"job-{turn}") for each in (connection, other))
            for chunks in await asyncio.gather(*jobs):
                assert [each["cells"] for each in chunks] == [2, 1]
            assert len(await events(connection, f"job-{turn}")) == 1
    finally:
        await other.close()


def test_a_tenant_named_twice_is_the_same_request() -> None:
    def digest(*tenants: str) -> str:
        return request_hash(Trigger(job_type="weekly", tenants=list(tenants)))

    assert digest("a", "b") == digest("b", "a", "b") != digest("a")
