"""The sink of students' metrics on a real PostgreSQL: rows, ranks, summaries, each tenant completed once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest
from flow_samples import RISKS, as_read, hazard_columns, job_row, open_sink, running, sink
from waiting import until
from weekly_samples import (
    CALCULATED_AT,
    REPORT_DATE,
    attend,
    events,
    failure_of,
    letters,
    list_students,
    metrics_of,
    open_tenant_sink,
    parts_of_job,
    plan_weekly_job,
    read,
    store,
    student,
    tenant_row,
    weekly,
)

import consumers.service
from consumers.tenant_ledger import TenantEnd, end_tenants
from consumers.tenant_sink import TenantSink
from producers.publisher import Publisher
from schemas.codec import encode
from schemas.messages import HazardResult, Trigger, Window
from schemas.settings import Settings
from schemas.tenant_messages import TenantMetrics
from schemas.topics import TENANT_METRICS, TRIGGERS

IDS = tuple(f"s{number}" for number in range(1, 9))
STUDENTS = [
    student("s1", "OK", delta_theta_7d=0.1, absence_rate_7d=0, theta=1, c_hat=0.2),
    student("s2", "CRIT", delta_theta_7d=-0.35, omit_rate=0.02, theta=-0.5, omit_level="WARN"),
    student("s3", "WARN", omit_rate=0.10, absence_rate_7d=0.05, absence_rate_14d=0.25),
    # More at risk by the score than any other, but OK.
    student("s4", "OK", delta_theta_7d=-2, omit_rate=0, absence_rate_7d=0.1, guess_level="WARN"),
    student("s5", "NO_DATA", omit_level="NO_DATA", guess_level="NO_DATA", attendance_level="NO_DATA"),
    student("s6", "WARN", delta_theta_7d=-0.2, absence_rate_7d=0),
    student("s7", "CRIT", delta_theta_7d=-0.31, omit_rate=0.1, absence_rate_7d=0.2, c_hat=0.4)
    | {"guess_level": "CRIT", "attendance_level": "CRIT", "consecutive_absences": 2, "theta_basis": "eap"},
    student("s8", "WARN", delta_theta_7d=-0.2, absence_rate_7d=0),
]
RANKS = {"s7": 1, "s2": 2, "s6": 3, "s8": 4, "s3": 5, "s4": 6, "s1": 7, "s5": 8}


@pytest.fixture
async def writer(flow_settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    writer = await open_tenant_sink(flow_settings)
    yield writer
    await writer.close()


@pytest.fixture
def plain_settings(flow_settings: Settings, tmp_path: Path) -> Settings:
    """Two tenants with parts of three students."""
    return weekly(flow_settings, tmp_path, "a", "b", size=3)


async def plan_job(
    connection: asyncpg.Connection, settings: Settings, job_id: str = "job", *ids: str, **fields: Any
) -> list[asyncpg.Record]:
    """A job over tenant a's students, listed anew, and b's two."""
    await connection.execute("TRUNCATE students, attendance")
    await list_students(connection, "a", *(ids or IDS))
    await list_students(connection, "b", "b1", "b2")
    await attend(connection, "a", "s1", day=REPORT_DATE.replace(day=5))
    await plan_weekly_job(connection, settings, job_id, **fields)
    return await parts_of_job(connection, job_id)


def whole_of_a(parts: list[asyncpg.Record], students: list[dict[str, Any]] = STUDENTS) -> list[TenantMetrics]:
    own = [part for part in parts if part["org_id"] == "a"]
    cut = [students[at : at + 3] for at in range(0, len(students), 3)]
    return [metrics_of(part, *each) for part, each in zip(own, cut, strict=True)]


async def ranks(connection: asyncpg.Connection, org_id: str = "a") -> dict[str, int | None]:
    rows = await connection.fetch(
        "SELECT student_id, rank FROM student_risk_metrics WHERE org_id = $1 ORDER BY student_id", org_id
    )
    return {row["student_id"]: row["rank"] for row in rows}


async def everything(connection: asyncpg.Connection) -> list[list[asyncpg.Record]]:
    """All that the sink writes."""
    tables = ("student_risk_metrics", "tenant_risk_summary", "batch_job_tenants", "batch_job_logs")
    tables += ("batch_job_chunks", "batch_job_outcomes", "outbox")
    return [await connection.fetch(f"SELECT t.* FROM {name} t ORDER BY t") for name in tables]  # noqa: S608 - names above


async def test_equal_scores_are_ranked_by_student_though_their_sums_differ_in_the_last_bit(
    connection: asyncpg.Connection, writer: asyncpg.Connection, plain_settings: Settings
) -> None:
    same = [student("s1", "WARN", delta_theta_7d=-0.15), student("s2", "WARN", delta_theta_7d=-0.1)]
    same[1]["omit_rate"] = 0.1
    assert 2 * 0.1 + 0.1 > 2 * 0.15
    parts = await plan_job(connection, plain_settings, "job", "s1", "s2")
    await store(writer, plain_settings, *whole_of_a(parts, same))
    assert await ranks(connection) == {"s1": 1, "s2": 2}


async def test_a_tenant_whose_parts_are_all_there_is_ranked_summarised_and_announced(
    connection: asyncpg.Connection, writer: asyncpg.Connection, plain_settings: Settings
) -> None:
    parts = await plan_job(connection, plain_settings)
    first, second, third = whole_of_a(parts)
    await store(writer, plain_settings, third, first)
    assert set((await ranks(connection)).values()) == {None}
    assert await connection.fetchval("SELECT count(*) FROM tenant_risk_summary") == 0
    row = await tenant_row(connection, "job", "a")
    assert (row["parts_left"], row["state"]) == (1, "pending")

    await store(writer, plain_settings, second)
    assert await ranks(connection) == RANKS
    row = await tenant_row(connection, "job", "a")
    assert (row["parts_left"], row["state"], row["ended_at"]) == (0, "stored", None)
    job = await job_row(connection, "job")
    assert (job["status"], job["chunks_done"], job["chunks_total"]) == ("pending", 3, 4)
    assert (job["total_grids"], job["processed_grids"], job["failed_grids"]) == (2, 0, 0)
    outcomes = await connection.fetch("SELECT chunk, kind, error FROM batch_job_outcomes ORDER BY chunk")
    assert [tuple(each) for each in outcomes] == [(n, "metrics", None) for n in (1, 2, 3)]
    assert [each["kinds_left"] for each in await parts_of_job(connection, "job")] == [0, 0, 0, 1]
    told = await events(connection, "job")
    assert [(event.state, event.org_id, event.total_grids) for event in told] == [
        ("accepted", None, 2),
        ("tenant_stored", "a", 2),
    ]
    stored = await connection.fetchrow("SELECT * FROM student_risk_metrics WHERE student_id = 's7'")
    assert (stored["theta"], stored["delta_theta_7d"], stored["consecutive_absences"]) == (None, -0.31, 2)
    assert (stored["level"], stored["omit_level"], stored["guess_level"]) == ("CRIT", "OK", "CRIT")
    assert (stored["calculated_at"], stored["job_id"], stored["theta_basis"]) == (CALCULATED_AT, "job", "eap")


async def test_the_summary_holds_counts_percentages_and_means_worked_out_by_hand(
    connection: asyncpg.Connection, writer: asyncpg.Connection, plain_settings: Settings
) -> None:
    await store(writer, plain_settings, *whole_of_a(await plan_job(connection, plain_settings)))
    summary = dict(await connection.fetchrow("SELECT * FROM tenant_risk_summary WHERE org_id = 'a'"))
    counted = {
        "total_students": 8,
        "crit_count": 2,
        "warn_count": 3,
        "ok_count": 2,
        "insufficient_data": 1,
        "theta_warn": 3,
        "theta_crit": 2,
        "omit_warn": 1,
        "omit_crit": 0,
        "guess_warn": 1,
        "guess_crit": 1,
        "attendance_warn": 0,
        "attendance_crit": 1,
    }
    assert {name: summary[name] for name in counted} == counted
    # Seven students have data; a mean is of the students that have the number.
    worked_out = {
        "crit_pct": 28.571428571428573,
        "warn_pct": 42.857142857142854,
        "mean_theta": 0.25,
        "mean_delta_theta_7d": -2.96 / 6,
        "mean_omit_rate": 0.22 / 4,
        "mean_c_hat": 0.3,
        "mean_absence_rate_7d": 0.35 / 6,
        "mean_absence_rate_14d": 0.25,
    }
    assert {name: summary[name] for name in worked_out} == pytest.approx(worked_out, rel=1e-12)
    assert (summary["org_name"], summary["report_date"], summary["job_id"]) == ("A", REPORT_DATE, "job")
    assert orjson.loads(summary["thresholds"])["attendance"]["consecutive_days_crit"] == 5


async def test_one_student_at_crit_does_not_make_the_school_crit(
    connection: asyncpg.Connection, writer: asyncpg.Connection, plain_settings: Settings
) -> None:
    ids = [f"p{number:03}" for number in range(200)]
    settings = plain_settings.model_copy(update={"students_per_part": 1000})
    part, _ = await plan_job(connection, settings, "job", *ids)
    await store(
        writer, settings, metrics_of(part, student("p117", "CRIT"), *map(student, ids[:117] + ids[118:]))
    )
    summary = await connection.fetchrow("SELECT * FROM tenant_risk_summary WHERE org_id = 'a'")
    counts = ("total_students", "crit_count", "crit_pct", "warn_count", "warn_pct", "ok_count", "theta_crit")
    assert [summary[name] for name in counts] == [200, 1, 0.5, 0, 0, 199, 1]
    assert (await ranks(connection))["p117"] == 1


async def test_a_tenant_without_students_or_without_data_has_no_percentages(
    connection: asyncpg.Connection, writer: asyncpg.Connection, plain_settings: Settings
) -> None:
    nothing = {f"{risk}_level": "NO_DATA" for risk in ("theta", "omit", "guess", "attendance")}
    part, other = await plan_job(connection, plain_settings, "job", "s1")
    unseen = [student(student_id, "NO_DATA", **nothing) for student_id in ("b1", "b2")]
    await store(writer, plain_settings, metrics_of(part), metrics_of(other, *unseen))
    rows = await connection.fetch("SELECT * FROM tenant_risk_summary ORDER BY org_id")
    wanted = ("total_students", "insufficient_data", "crit_count", "crit_pct", "warn_pct", "mean_theta")
    assert [[row[name] for name in wanted] for row in rows] == [
        [0, 0, 0, None, None, None],
        [2, 2, 0, None, None, None],
    ]
    assert await ranks(connection, "b") == {"b1": 1, "b2": 2}
    assert [event.org_id for event in await events(connection, "job")] == [None, "a", "b"]


async def test_repeats_change_nothing(
    connection: asyncpg.Connection, writer: asyncpg.Connection, plain_settings: Settings
) -> None:
    results = whole_of_a(await plan_job(connection, plain_settings))
    await store(writer, plain_settings, results[0], results[0])
    await store(writer, plain_settings, *results, *results)
    before = await everything(connection)
    other = metrics_of((await parts_of_job(connection, "job"))[0], *map(student, IDS[:3]))
    for again in (
        results,
        results[1:2],
        [other],
        [failure_of((await parts_of_job(connection, "job"))[1], "late")],
    ):
        await store(writer, plain_settings, *again)
    assert await everything(connection) == before
    assert len(await events(connection, "job")) == 2


async def test_a_part_that_failed_ends_its_tenant_once_and_the_others_go_on(
    connection: asyncpg.Connection, writer: asyncpg.Connection, plain_settings: Settings
) -> None:
    await store(writer, plain_settings, *whole_of_a(await plan_job(connection, plain_settings, "last")))
    last = await connection.fetch("SELECT * FROM student_risk_metrics ORDER BY student_id")
    parts = await plan_job(connection, plain_settings)
    again = whole_of_a(parts, [{**each, "level": "CRIT"} for each in STUDENTS])
    # The good part of the failed one's batch is left out too.
    await store(writer, plain_settings, again[0], failure_of(parts[1], "disk full"))
    await store(writer, plain_settings, again[2])
    await store(writer, plain_settings, metrics_of(parts[3], student("b1"), student("b2", "CRIT")))

    row = await tenant_row(connection, "job", "a")
    assert (row["state"], row["error"], row["parts_left"]) == ("failed", "disk full", 0)
    assert row["ended_at"] is not None
    # It keeps the rows of its last report, and gets no new one.
    assert (
        await connection.fetch("SELECT * FROM student_risk_metrics WHERE org_id = 'a' ORDER BY student_id")
        == last
    )
    summaries = await connection.fetch(
        "SELECT org_id, job_id, crit_pct FROM tenant_risk_summary ORDER BY org_id"
    )
    assert [tuple(each) for each in summaries] == [("a", "last", pytest.approx(200 / 7)), ("b", "job", 50)]
    job = await job_row(connection, "job")
    assert (job["status"], job["chunks_done"], job["processed_grids"], job["failed_grids"]) == (
        "pending",
        4,
        1,
        1,
    )
    assert job["error_message"] == "a: disk full"
    await end_tenants(connection, [TenantEnd("job", "b", "delivered")])
    assert (await job_row(connection, "job"))["status"] == "completed_with_failures"
    assert [(event.state, event.org_id, event.failed_grids) for event in await events(connection, "job")] == [
        ("accepted", None, 0),
        ("progress", None, 1),
        ("tenant_stored", "b", 1),
        ("completed_with_failures", None, 1),
    ]


async def test_a_tenant_fails_even_when_its_last_part_is_the_failed_one(
    connection: asyncpg.Connection, writer: asyncpg.Connection, plain_settings: Settings
) -> None:
    parts = await plan_job(connection, plain_settings, tenants=["a"])
    await store(writer, plain_settings, whole_of_a(parts)[0])
    await store(writer, plain_settings, failure_of(parts[2], "killed five times"))
    await store(writer, plain_settings, failure_of(parts[1], "disk full"))
    assert (await tenant_row(connection, "job", "a"))["state"] == "failed"
    assert await connection.fetchval("SELECT count(*) FROM tenant_risk_summary") == 0
    job = await job_row(connection, "job")
    assert (job["status"], job["error_message"]) == ("failed", "a: killed five times")


MISFITS: list[tuple[dict[str, Any], str]] = [
    ({"org_id": "b"}, "asks for org_id a; its metrics have b"),
    (
        {"report_date": REPORT_DATE.replace(day=4)},
        "asks for report_date 2024-03-11; its metrics have 2024-03-04",
    ),
    ({"part": 3}, "asks for part 2; its metrics have 3"),
    ({"parts": 2}, "asks for parts 3; its metrics have 2"),
    ({"students": ["s4", "s3"]}, "student_id 1 of its metrics is not of its range"),
    ({"students": ["s7"]}, "student_id 0 of its metrics is not of its range"),
    ({"students": ["s5", "s4", "s5"]}, "its metrics have 1 students twice"),
    ({"students": ["s4\x00"]}, "invalid byte sequence"),
]


async def test_metrics_that_do_not_fit_their_part_are_dead_letters_and_fail_it(
    connection: asyncpg.Connection, writer: asyncpg.Connection, plain_settings: Settings
) -> None:
    for number, (changes, reason) in enumerate(MISFITS):
        parts = await plan_job(connection, plain_settings, f"job-{number}")
        ids = changes.get("students", ["s4", "s6", "s5"])
        wrong = metrics_of(
            parts[1],
            *map(student, ids),
            **{**changes, "students": metrics_of(parts[1], *map(student, ids)).students},
        )
        first, *_ = whole_of_a(parts)
        # What comes later in the batch must not touch the tenant that is complete.
        await store(writer, plain_settings, metrics_of(parts[3], student("b1")), first, wrong)
        assert await ranks(connection, "b") == {"b1": 1}
        row = await tenant_row(connection, f"job-{number}", "a")
        assert (row["state"], row["parts_left"]) == ("failed", 1)
        assert reason in row["error"]
        assert (await letters(connection))[number] == ("risk.tenant-metrics.v1.dlq", row["error"])
        assert (await tenant_row(connection, f"job-{number}", "b"))["state"] == "stored"
    assert await connection.fetchval("SELECT count(*) FROM student_risk_metrics WHERE student_id > 's3'") == 0


async def test_a_number_beyond_its_column_is_a_dead_letter_and_fails_its_tenant_only(
    connection: asyncpg.Connection, writer: asyncpg.Connection, plain_settings: Settings
) -> None:
    parts = await plan_job(connection, plain_settings)
    good = metrics_of(parts[0], student("s1"))
    absences = orjson.loads(read(good).value)
    absences["students"]["consecutive_absences"] = [10**12]
    await store(writer, plain_settings, read(good, value=orjson.dumps(absences | {"job_seq": 1e30})))
    assert (await tenant_row(connection, "job", "a"))["state"] == "pending", "it is of no run that there is"
    await store(writer, plain_settings, read(good, value=orjson.dumps(absences)))
    assert (await tenant_row(connection, "job", "a"))["state"] == "failed"
    assert (await tenant_row(connection, "job", "b"))["state"] == "pending"
    assert len(await letters(connection)) == 2


async def test_the_part_of_an_unreadable_record_is_told_by_its_value_or_a_header(
    connection: asyncpg.Connection, writer: asyncpg.Connection, plain_settings: Settings
) -> None:
    parts = await plan_job(connection, plain_settings)
    good = metrics_of(parts[0])
    silent = read(good, value=b"{")
    older = read(good, value=b'{"chunk_id": "job:1", "job_seq": 0}')
    unknown = read(good, value=b'{"chunk_id": "gone\\u0000:1"}', headers=())
    await store(writer, plain_settings, silent, older, unknown, read(good, value=None, headers=None))
    assert await connection.fetchval("SELECT count(*) FROM batch_job_outcomes") == 0
    await store(writer, plain_settings, read(good, value=b'{"chunk_id": "job:1"}'))
    await store(writer, plain_settings, read(good, value=b"{", headers=(("chunk-id", b"job:4"),)))

    rows = [await tenant_row(connection, "job", org_id) for org_id in "ab"]
    assert [row["state"] for row in rows] == ["failed", "failed"]
    assert rows[0]["error"].startswith("TenantMetrics: job_id: Field required")
    assert rows[1]["error"].startswith("TenantMetrics: not JSON")
    assert len(await letters(connection)) == 6
    assert (await job_row(connection, "job"))["status"] == "failed"


async def test_metrics_of_unknown_jobs_and_older_runs_are_left_out(
    connection: asyncpg.Connection, writer: asyncpg.Connection, plain_settings: Settings
) -> None:
    part, *_ = await plan_job(connection, plain_settings)
    before = await everything(connection)
    three = [student(each) for each in IDS[:3]]
    await store(
        writer,
        plain_settings,
        metrics_of(part, *three, job_seq=part["job_seq"] - 1),
        metrics_of(part, *three, chunk_id="gone:1", job_id="gone"),
        metrics_of(part, *three, chunk=2),
    )
    assert await everything(connection) == before


async def test_a_later_job_replaces_the_rows_and_removes_students_that_have_left(
    connection: asyncpg.Connection, writer: asyncpg.Connection, plain_settings: Settings
) -> None:
    await store(writer, plain_settings, *whole_of_a(await plan_job(connection, plain_settings, "one")))
    first, second = (await plan_job(connection, plain_settings, "two", "s1", "s3", "s6", "s9"))[:2]
    await store(
        writer, plain_settings, metrics_of(first, student("s1", "CRIT"), student("s3"), student("s6"))
    )
    assert await ranks(connection) == RANKS | {"s1": None, "s3": None, "s6": None}
    await store(writer, plain_settings, metrics_of(second, student("s9", "WARN")))
    assert await ranks(connection) == {"s1": 1, "s9": 2, "s3": 3, "s6": 4}
    rows = await connection.fetch("SELECT total_students, crit_count, job_id FROM tenant_risk_summary")
    assert [tuple(row) for row in rows] == [(4, 1, "two")]


async def test_an_earlier_jobs_late_metrics_change_no_row_but_its_tenants_state(
    connection: asyncpg.Connection, writer: asyncpg.Connection, plain_settings: Settings
) -> None:
    early = whole_of_a(await plan_job(connection, plain_settings, "one"))
    first, _ = await plan_job(connection, plain_settings, "two", "s1", "s3")
    await store(writer, plain_settings, early[0])
    await store(writer, plain_settings, metrics_of(first, student("s1", "WARN"), student("s3", "CRIT")))
    assert await ranks(connection) == {"s3": 1, "s1": 2}
    rows = (await everything(connection))[:2]
    await store(writer, plain_settings, *early[1:])

    assert (await everything(connection))[:2] == rows
    assert (await tenant_row(connection, "one", "a"))["state"] == "stored"
    assert [event.state for event in await events(connection, "one")] == ["accepted", "tenant_stored"]


async def test_an_earlier_jobs_metrics_never_replace_those_of_a_later_one_that_is_not_complete(
    connection: asyncpg.Connection, writer: asyncpg.Connection, plain_settings: Settings
) -> None:
    early = whole_of_a(await plan_job(connection, plain_settings, "one"))
    first, second, _ = await plan_job(connection, plain_settings, "two", "s1", "s2", "s3", "s9")
    await store(writer, plain_settings, metrics_of(first, *map(student, ("s1", "s2", "s3"))))
    await store(writer, plain_settings, *early)
    rows = await connection.fetch(
        "SELECT student_id, level, job_id FROM student_risk_metrics ORDER BY student_id"
    )
    assert [tuple(row) for row in rows[:4]] == [
        ("s1", "OK", "two"),
        ("s2", "OK", "two"),
        ("s3", "OK", "two"),
        ("s4", "OK", "one"),
    ]
    await store(writer, plain_settings, metrics_of(second, student("s9", "CRIT")))
    assert await ranks(connection) == {"s9": 1, "s1": 2, "s2": 3, "s3": 4}


async def test_two_sinks_with_the_last_two_parts_at_once_complete_the_tenant_once(
    connection: asyncpg.Connection, writer: asyncpg.Connection, plain_settings: Settings
) -> None:
    other = await open_tenant_sink(plain_settings)
    try:
        for turn in range(12):
            job_id = f"job-{turn}"
            first, second, third = whole_of_a(await plan_job(connection, plain_settings, job_id))
            await store(writer, plain_settings, first)
            await asyncio.gather(store(writer, plain_settings, second), store(other, plain_settings, third))
            assert (await tenant_row(connection, job_id, "a"))["state"] == "stored"
            assert [event.state for event in await events(connection, job_id)] == [
                "accepted",
                "tenant_stored",
            ]
            assert await ranks(connection) == RANKS
            summary = await connection.fetchrow("SELECT total_students, job_id FROM tenant_risk_summary")
            assert tuple(summary) == (8, job_id)
    finally:
        await other.close()


async def test_a_sink_waiting_for_another_sees_the_part_that_one_committed(
    connection: asyncpg.Connection, writer: asyncpg.Connection, plain_settings: Settings
) -> None:
    first, second, third = whole_of_a(await plan_job(connection, plain_settings))
    await store(writer, plain_settings, first)
    slow = await open_tenant_sink(plain_settings)
    transaction = slow.transaction()
    await transaction.start()
    await TenantSink().store(slow, [read(second)])
    waiting = asyncio.create_task(store(writer, plain_settings, third))

    async def blocked() -> bool:
        return bool(await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

    await until(blocked, "the second sink's wait")
    assert (await tenant_row(connection, "job", "a"))["parts_left"] == 2
    await transaction.commit()
    await waiting
    await slow.close()
    assert await ranks(connection) == RANKS
    assert [event.state for event in await events(connection, "job")] == ["accepted", "tenant_stored"]


async def test_the_sink_of_climate_results_leaves_weekly_jobs_alone(
    connection: asyncpg.Connection, plain_settings: Settings
) -> None:
    part, *_ = await plan_job(connection, plain_settings)
    before = (await everything(connection))[:-1]
    climate = await open_sink(plain_settings)
    result = HazardResult(
        job_id="job",
        job_seq=part["job_seq"],
        chunk_id="job:1",
        chunk=1,
        scenario="historical",
        window=Window(start=1991, end=2020),
        cells=[(35.0, 127.5)] * 3,
        risk_table="built-in",
        risks=[hazard_columns(risk, 3) for risk in RISKS],
    )
    await sink(climate, plain_settings, as_read(result), as_read(result, value=b"{"))
    await climate.close()
    assert (await everything(connection))[:-1] == before
    assert [topic for topic, _ in await letters(connection)] == ["risk.hazards.v1.dlq"]


async def test_the_sinks_process_takes_a_weekly_job_from_trigger_to_stored_tenants(
    connection: asyncpg.Connection, settings: Settings, tmp_path: Path
) -> None:
    await list_students(connection, "a", *IDS)
    await attend(connection, "a", "s1", day=REPORT_DATE.replace(day=5))
    served = weekly(settings, tmp_path, "a", size=3)

    async def planned() -> list[asyncpg.Record]:
        return await parts_of_job(connection, "job")

    async def stored() -> bool:
        return (await tenant_row(connection, "job", "a"))["state"] == "stored"

    async with (
        Publisher(served) as publisher,
        running(lambda stop: consumers.service.run(served, stop)),
    ):
        trigger = Trigger(job_type="weekly", job_id="job", report_date=REPORT_DATE)
        await publisher.send(encode(TRIGGERS, trigger, source="test"))
        for metrics in whole_of_a(await until(planned, "the job")):
            for _ in range(2):
                await publisher.send(encode(TENANT_METRICS, metrics, source="test"))
        await until(stored, "the tenant")
    assert await ranks(connection) == RANKS
