"""The bulk read of a part's students: who belongs to it, and which rows count."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import numpy as np
import pytest
import structlog
from tenant_stage import REPORT_DATE, answer, assess, attend, day, list_students, noon, part, snapshot

from ops.stack.servers import EmbeddedPostgres
from streams.models.students import ABSENT, EXCUSED, LATE, PRESENT
from streams.students import Reading, read_students

ODD_IDS = ["", " ", "0", "10", "2", "A", "B", "a", "b", "ab", "é", "가", "가나", "나", "힣", "😀", "z" * 2000]


TABLES = "students, fact_assessment, fact_assessment_item, attendance, irt_snapshot"


@pytest.fixture(scope="module")
async def shared_connection(
    postgres: EmbeddedPostgres, migrated_template: str
) -> AsyncIterator[asyncpg.Connection]:
    server = await asyncpg.connect(postgres.database_url("postgres"))
    await server.execute(f"CREATE DATABASE students_read TEMPLATE {migrated_template}")
    connection = await asyncpg.connect(postgres.database_url("students_read"))
    yield connection
    await connection.close()
    await server.execute("DROP DATABASE students_read WITH (FORCE)")
    await server.close()


@pytest.fixture
async def connection(shared_connection: asyncpg.Connection) -> asyncpg.Connection:
    await shared_connection.execute(f"TRUNCATE {TABLES}")
    return shared_connection


def days_of(reading: Reading, group: str, student: str) -> list[int]:
    rows = getattr(reading.inputs, group)
    place = reading.student_ids.index(student)
    return sorted(rows.day[rows.student == place].tolist())


@pytest.mark.parametrize("borders", [["B", "가", "가나"], ["0"], ["가"], ["😀", "\U0010ffff"], [""]])
async def test_parts_are_disjoint_and_complete_in_code_point_order(
    connection: asyncpg.Connection, borders: list[str]
) -> None:
    await list_students(connection, "odd", ODD_IDS[::4])
    for student in ODD_IDS[1::4]:
        await attend(connection, "odd", student, day(1), "present")
    for student in ODD_IDS[2::4]:
        await snapshot(connection, "odd", student, day(14), 0.5)
    for place, student in enumerate(ODD_IDS[3::4]):
        if place % 2:
            await assess(connection, "odd", student, noon(14))
        else:
            await answer(connection, "odd", student, noon(14), [(None, None, None, None)])
    await list_students(connection, "other", ["A", "stranger"])

    ends = [None, *borders, None]
    parts = [
        await read_students(connection, part("odd", first_student=first, before_student=before))
        for first, before in itertools.pairwise(ends)
    ]
    assert [one for reading in parts for one in reading.student_ids] == sorted(ODD_IDS)
    for reading, (first, before) in zip(parts, itertools.pairwise(ends), strict=True):
        assert all((first or "") <= one and (before is None or one < before) for one in reading.student_ids)
        assert reading.inputs.students == len(reading.student_ids)


async def test_a_student_belongs_by_a_row_of_any_table_in_the_fourteen_days_only(
    connection: asyncpg.Connection,
) -> None:
    for back in (15, 14, 1, 0, -1):
        await attend(connection, "org", f"attendance {back}", day(back), "present")
        await snapshot(connection, "org", f"snapshot {back}", day(back), 0.0)
        await assess(connection, "org", f"assessment {back}", noon(back), items=1, omitted=0)
        await answer(connection, "org", f"answers {back}", noon(back), [(1, 1.0, 0.0, 0.0)])
    await list_students(connection, "org", ["listed"])

    reading = await read_students(connection, part("org"))
    expected = [
        f"{table} {back}" for table in ("answers", "assessment", "attendance", "snapshot") for back in (1, 14)
    ]
    assert reading.student_ids == sorted([*expected, "listed"])


async def test_rows_of_the_report_date_or_later_and_of_before_do_not_count(
    connection: asyncpg.Connection,
) -> None:
    await list_students(connection, "org", ["ann"])
    for back in (50, 49, 15, 14, 1, 0, -1):
        await snapshot(connection, "org", "ann", day(back), 0.1)
        await assess(connection, "org", "ann", noon(back), theta=0.2, items=10, omitted=1, c_hat=0.3)
        await attend(connection, "org", "ann", day(back), "absent")
        await answer(connection, "org", "ann", noon(back), [(0, 1.0, 0.0, 0.2)])

    reading = await read_students(connection, part("org"))
    assert days_of(reading, "estimates", "ann") == [-49, -49, -15, -15, -14, -14, -1, -1]
    for group in ("assessments", "attendance", "responses"):
        assert days_of(reading, group, "ann") == [-14, -1]
    estimates = reading.inputs.estimates
    assert estimates.theta[estimates.assessed].tolist() == [0.2] * 4
    assert estimates.theta[~estimates.assessed].tolist() == [0.1] * 4


@pytest.mark.parametrize(
    ("zone", "at", "counted"),
    [
        ("Asia/Seoul", datetime(2026, 11, 15, 14, 59, tzinfo=UTC), [-1]),
        # Half past midnight of the 16th in Seoul, the report date.
        ("Asia/Seoul", datetime(2026, 11, 15, 15, 30, tzinfo=UTC), []),
        ("UTC", datetime(2026, 11, 15, 15, 30, tzinfo=UTC), [-1]),
        ("America/Los_Angeles", datetime(2026, 11, 16, 7, 30, tzinfo=UTC), [-1]),
        ("America/Los_Angeles", datetime(2026, 11, 16, 8, 30, tzinfo=UTC), []),
        ("Asia/Seoul", datetime(2026, 11, 1, 15, 0, tzinfo=UTC), [-14]),
        # Half past midnight of 20 October in summer time; for PostgreSQL's own CET an hour before it.
        ("CET", datetime(2026, 10, 19, 22, 30, tzinfo=UTC), [-27]),
    ],
)
async def test_a_day_is_one_of_the_tenants_time_zone(
    connection: asyncpg.Connection, zone: str, at: datetime, counted: list[int]
) -> None:
    await list_students(connection, "org", ["ann"])
    await assess(connection, "org", "ann", at, theta=0.0)

    reading = await read_students(connection, part("org", timezone=zone))
    assert reading.inputs.assessments.day.tolist() == [day for day in counted if day >= -14]
    assert reading.inputs.estimates.day.tolist() == counted


async def test_the_hour_that_comes_twice_at_midnight_belongs_to_its_day(
    connection: asyncpg.Connection,
) -> None:
    # Havana puts its clocks back from 01:00 to 00:00 on 1 November 2026.
    first, second = (datetime(2026, 11, 1, hour, 30, tzinfo=UTC) for hour in (4, 5))
    await assess(connection, "org", "ann", first, items=1, omitted=0)
    await assess(connection, "org", "ann", second, items=1, omitted=0)

    fields = {"timezone": "America/Havana", "report_date": first.date() + timedelta(days=14)}
    assert (await read_students(connection, part("org", **fields))).inputs.assessments.day.tolist() == [
        -14
    ] * 2
    fields["report_date"] = first.date()
    assert (await read_students(connection, part("org", **fields))).student_ids == []


async def test_values_come_as_they_are_stored_and_null_as_nan(connection: asyncpg.Connection) -> None:
    await list_students(connection, "org", ["ann", "bob"])
    await assess(connection, "org", "bob", noon(3), theta=-1.25, items=40, omitted=7, c_hat=0.375)
    await assess(connection, "org", "bob", noon(2))
    await attend(connection, "org", "bob", day(2), "present", "late", "absent", "excused")
    await answer(connection, "org", "bob", noon(3), [(1, 1.5, -0.5, 0.25), (0, 0.75, 2.0, 0.0)])

    inputs = (await read_students(connection, part("org"))).inputs
    for rows in (inputs.estimates, inputs.assessments, inputs.attendance, inputs.responses):
        assert set(rows.student.tolist()) == {1}
    assert (inputs.estimates.theta.tolist(), inputs.estimates.order.tolist()) == (
        [-1.25],
        [noon(3).timestamp()],
    )
    in_order = np.argsort(inputs.assessments.day)
    np.testing.assert_array_equal(inputs.assessments.items[in_order], [40, np.nan])
    np.testing.assert_array_equal(inputs.assessments.omitted[in_order], [7, np.nan])
    np.testing.assert_array_equal(inputs.assessments.c_hat[in_order], [0.375, np.nan])
    assert sorted(inputs.attendance.status.tolist()) == [PRESENT, LATE, ABSENT, EXCUSED]
    responses = inputs.responses
    answered = zip(responses.response, responses.a, responses.b, responses.c, strict=True)
    assert sorted(answered) == [(0, 0.75, 2.0, 0.0), (1, 1.5, -0.5, 0.25)]


async def test_omitted_answers_and_items_without_parameters_are_left_out(
    connection: asyncpg.Connection,
) -> None:
    whole = (1, 1.0, 0.0, 0.2)
    gaps = [tuple(None if place == gap else value for place, value in enumerate(whole)) for gap in range(4)]
    await answer(connection, "org", "ann", noon(1), [whole, *gaps])

    assert days_of(await read_students(connection, part("org")), "responses", "ann") == [-1]


async def test_rows_of_before_the_checks_are_left_out_and_told(connection: asyncpg.Connection) -> None:
    for table, check in (
        ("fact_assessment", "items"),
        ("fact_assessment", "theta"),
        ("fact_assessment", "c_hat"),
        ("attendance", "status"),
        ("fact_assessment_item", "response"),
    ):
        await connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT riskflow_{check}")
    await assess(connection, "org", "ann", noon(1), theta=float("inf"), items=10, omitted=2)
    await assess(connection, "org", "ann", noon(2), theta=0.5, items=10, omitted=11)
    await assess(connection, "org", "ann", noon(3), items=10, omitted=1, c_hat=1.5)
    await attend(connection, "org", "ann", day(1), "present", "asleep", None)
    await answer(connection, "org", "ann", noon(1), [(2, 1.0, 0.0, 0.0), (1, float("inf"), 0.0, 0.0)])

    with structlog.testing.capture_logs() as logs:
        reading = await read_students(connection, part("org"))
    told = {(entry["table"], entry["rows"]) for entry in logs if "left out" in entry["event"]}
    assert told == {
        ("fact_assessment", 1),
        ("fact_assessment", 2),
        ("attendance", 2),
        ("fact_assessment_item", 2),
    }
    assert days_of(reading, "estimates", "ann") == [-2]
    assert days_of(reading, "assessments", "ann") == [-1]
    assert reading.inputs.attendance.status.tolist() == [PRESENT]
    assert reading.inputs.responses.day.size == 0


async def test_a_part_without_students_has_empty_arrays(connection: asyncpg.Connection) -> None:
    await list_students(connection, "org", ["a", "c"])

    reading = await read_students(connection, part("org", first_student="b", before_student="c"))
    assert (reading.student_ids, reading.inputs.students) == ([], 0)
    assert reading.inputs.estimates.theta.shape == reading.inputs.responses.a.shape == (0,)


@pytest.mark.parametrize(
    ("table", "row", "counted", "needed"),
    [
        # The part's 14 days twice: to find who belongs to it, and to read them.
        ("attendance", "'1', 'present'", 1400, 2 * 1400),
        # Its 30 days once, and three looks at each of the 100 students.
        ("fact_assessment", "0.5", 3000, 3000 + 301),
    ],
)
async def test_only_the_parts_rows_are_read_even_before_a_table_is_analyzed(
    connection: asyncpg.Connection, table: str, row: str, counted: int, needed: int
) -> None:
    await connection.execute(
        f"INSERT INTO {table} SELECT 'org', 's' || lpad(n::text, 5, '0'), $1::date - back, {row} "  # noqa: S608 - the cases above
        "FROM generate_series(1, 30) back, generate_series(1, 2000) n",
        REPORT_DATE,
    )
    before = await rows_read(connection, table)
    reading = await read_students(connection, part("org", first_student="s00500", before_student="s00600"))

    assert len(reading.student_ids) == 100
    assert len(reading.inputs.attendance.day) + len(reading.inputs.estimates.day) == counted
    assert counted <= await rows_read(connection, table) - before <= needed


async def rows_read(connection: asyncpg.Connection, table: str) -> int:
    await connection.execute("SELECT pg_stat_force_next_flush()")
    return int(
        await connection.fetchval(
            "SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_user_tables WHERE relname = $1", table
        )
    )
