"""Learning data: what each table keeps, what refuses a file, and the examples."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import asyncpg
import pytest

from ops.generator.students import draw_tenant
from ops.generator.tenant import DrawnTenant
from ops.generator.tenant_tables import copy_tenant, write_tenant
from ops.load.loader import load
from ops.load.options import LoadOptions
from schemas.database import connect
from schemas.errors import InvalidFile, RiskflowError
from streams.models.inputs import Years

OPTIONS = LoadOptions(baseline=Years(1991, 2020))
TABLES = {
    "assessments": "fact_assessment",
    "items": "fact_assessment_item",
    "attendance": "attendance",
    "snapshots": "irt_snapshot",
    "students": "students",
}
ASSESSMENT = "org_id,student_id,assessed_at,theta,items,omitted,c_hat"
ITEM = "org_id,student_id,assessed_at,item_id,response,a,b,c"
ATTENDANCE = "org_id,student_id,class_date,session,status"
SNAPSHOT = "org_id,student_id,snapshot_date,theta"
STUDENT = "org_id,student_id,display_name,class_name"
NINE = "2026-11-20T09:00:00+09:00"
NINE_UTC = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    found = await connect(database_url, application="test")
    yield found
    await found.close()


def written(folder: Path, *lines: str) -> Path:
    path = folder / "file.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("table", "lines", "rows"),
    [
        (
            "assessments",
            [ASSESSMENT, f"a,S1,{NINE},-0.5,20,3,0.25", "a,S1,2026-11-20 00:00:01.5Z,,0,0,"],
            [
                ("a", "S1", NINE_UTC, -0.5, 20, 3, 0.25),
                ("a", "S1", NINE_UTC.replace(second=1, microsecond=500_000), None, 0, 0, None),
            ],
        ),
        (
            "items",
            [ITEM, f"a,S1,{NINE},Q1,1,1.2,-0.3,0.2", f"a,S1,{NINE},Q2,0,1,0,0", f"a,S1,{NINE},Q3,,,,"],
            [
                ("a", "S1", NINE_UTC, "Q1", 1, 1.2, -0.3, 0.2),
                ("a", "S1", NINE_UTC, "Q2", 0, 1.0, 0.0, 0.0),
                ("a", "S1", NINE_UTC, "Q3", None, None, None, None),
            ],
        ),
        (
            "attendance",
            [ATTENDANCE, "a,S1,2026-11-20,1,late", "a,S1,2026-11-20,2,excused", "a,가,2026-11-20,1,absent"],
            [
                ("a", "S1", date(2026, 11, 20), "1", "late"),
                ("a", "S1", date(2026, 11, 20), "2", "excused"),
                ("a", "가", date(2026, 11, 20), "1", "absent"),
            ],
        ),
        (
            "snapshots",
            [SNAPSHOT, "a,S1,2026-11-20,1.25", "b,S1,2026-11-20,-6"],
            [("a", "S1", date(2026, 11, 20), 1.25), ("b", "S1", date(2026, 11, 20), -6.0)],
        ),
        (
            "students",
            [STUDENT, 'a,S1,"Kim, <b>",1-1', "a,S2,,"],
            [("a", "S1", "Kim, <b>", "1-1"), ("a", "S2", None, None)],
        ),
    ],
)
async def test_a_table_keeps_every_column(
    connection: asyncpg.Connection,
    tmp_path: Path,
    table: str,
    lines: list[str],
    rows: list[tuple[object, ...]],
) -> None:
    path = written(tmp_path, *lines)
    first = await load(table, [path], connection, OPTIONS)
    assert [tuple(row) for row in await connection.fetch(f"TABLE {TABLES[table]}")] == rows
    assert first.changed == {TABLES[table]: len(rows)}
    again = await load(table, [path], connection, OPTIONS)
    assert again.changed == {TABLES[table]: 0}


NO_OFFSET = "2026-11-20T09:00:00 has no offset; write +09:00 or Z behind it, or name its zone by --timezone"


REFUSED = [
    ("assessments", ASSESSMENT, "a,S,2026-11-20T09:00:00,0,1,0,", f"assessed_at: {NO_OFFSET}"),
    ("assessments", ASSESSMENT, "a,S,yesterday,0,1,0,", "assessed_at: yesterday is not a time"),
    ("assessments", ASSESSMENT, "a,S,1700-01-01T00:00Z,0,1,0,", "is outside 1800 to 2300"),
    ("assessments", ASSESSMENT, f"a,S,{NINE},12.1,1,0,", "theta: 12.1 is outside -12 to 12"),
    ("assessments", ASSESSMENT, f"a,S,{NINE},nan,1,0,", "leave the field empty"),
    ("assessments", ASSESSMENT, f"a,S,{NINE},0,1.5,0,", "items: '1.5' is not a whole number"),
    ("assessments", ASSESSMENT, f"a,S,{NINE},0,-1,0,", "items: -1 is outside 0 to 100000"),
    ("assessments", ASSESSMENT, f"a,S,{NINE},0,,0,", "items: is empty"),
    ("assessments", ASSESSMENT, f"a,S,{NINE},0,10,11,", "omitted: 11 is more than the 10 items"),
    ("assessments", ASSESSMENT, f"a,S,{NINE},0,1,0,1.1", "c_hat: 1.1 is outside 0 to 1"),
    ("items", ITEM, f"a,S,{NINE},Q,2,1,0,0", "response: 2 is outside 0 to 1"),
    ("items", ITEM, f"a,S,{NINE},Q,1,0,0,0", "a: 0 is not allowed; allowed: more than 0, at most 10"),
    ("items", ITEM, f"a,S,{NINE},Q,1,1,21,0", "b: 21 is outside -20 to 20"),
    ("items", ITEM, f"a,S,{NINE},Q,1,1,0,1", "c: 1 is not allowed; allowed: 0 or more, less than 1"),
    ("items", ITEM, f"a,S,{NINE},,1,1,0,0", "item_id: is empty"),
    ("attendance", ATTENDANCE, "a,S,20.11.2026,1,absent", "class_date: '20.11.2026' is not a date"),
    (
        "attendance",
        ATTENDANCE,
        "a,S,2026-11-20,1,sick",
        "status: 'sick' is not one of present, late, absent, excused",
    ),
    ("attendance", ATTENDANCE, "a,S,2026-11-20,,absent", "session: is empty"),
    ("snapshots", SNAPSHOT, "a,S,2026-11-20,", "theta: is empty"),
    ("students", STUDENT, "a b,S,,", "org_id: 'a b' is not allowed; allowed: letters, digits and"),
    ("students", STUDENT, "*,S,,", "org_id: '*' is not allowed"),
    (
        "students",
        STUDENT,
        f"a,{'S' * 101},,",
        "is too long or not printable; allowed: up to 100 printable",
    ),
    ("students", STUDENT, "a,S\0,,", "student_id: 'S\\x00' is too long or not printable"),
    ("students", STUDENT, "a,S\u200bT,,", "student_id: 'S\\u200bT' is too long or not printable"),
    ("students", STUDENT, "a,S,Kim\x07,", "display_name: 'Kim\\x07' is too long or not printable"),
    ("students", STUDENT, f"a,S,,{'1' * 201}", "allowed: up to 200 printable characters"),
]
"""Table, header, row and what is said of it."""


async def test_a_bad_value_refuses_the_file_with_line_and_column(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    good = {"assessments": [f"a,G,{NINE},0,1,0,"], "items": [f"a,G,{NINE},Q,1,1,0,0"]}
    for table, header, row, sentence in REFUSED:
        lines = [header, *good.get(table, []), row]
        with pytest.raises(InvalidFile) as refused:
            await load(table, [written(tmp_path, *lines)], connection, OPTIONS)
        assert str(refused.value).startswith(f"file.csv line {len(lines)}, column "), row
        assert sentence in str(refused.value), row
        assert await connection.fetch(f"TABLE {TABLES[table]}") == [], row


async def test_times_without_an_offset_are_in_the_zone_of_the_option(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    path = written(tmp_path, ASSESSMENT, "a,S,2026-11-20T09:00:00,0,1,0,", "a,S,2026-11-20T01:00:00Z,0,1,0,")
    await load("assessments", [path], connection, replace(OPTIONS, timezone="Asia/Seoul"))
    times = await connection.fetch("SELECT assessed_at FROM fact_assessment ORDER BY 1")
    assert [time[0] for time in times] == [NINE_UTC, NINE_UTC.replace(hour=1)]


async def test_the_option_for_zones_goes_with_times_only(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    path = written(tmp_path, ATTENDANCE, "a,S,2026-11-20,1,late")
    with pytest.raises(
        RiskflowError, match="--timezone goes with assessments and items, not with attendance"
    ):
        await load("attendance", [path], connection, replace(OPTIONS, timezone="Asia/Seoul"))
    with pytest.raises(RiskflowError, match="--timezone Asia/Soul: name a time zone"):
        await load("items", [path], connection, replace(OPTIONS, timezone="Asia/Soul"))


async def test_an_impossible_response_never_becomes_an_omitted_one(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    lenient = replace(OPTIONS, bad_values="missing", bad_values_file=tmp_path / "bad.csv")
    with pytest.raises(InvalidFile, match="response: 3 is outside 0 to 1"):
        await load("items", [written(tmp_path, ITEM, f"a,S,{NINE},Q,3,1,0,0")], connection, lenient)
    loaded = await load("items", [written(tmp_path, ITEM, f"a,S,{NINE},Q,1,-1,0,0")], connection, lenient)
    assert loaded.bad_values == 1
    row = await connection.fetchrow("SELECT response, a, b FROM fact_assessment_item")
    assert tuple(row) == (1, None, 0.0)


async def test_a_row_given_twice_counts_once_and_is_told_and_a_contradiction_is_refused(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    row = "a,S,2026-11-20,1,late"
    loaded = await load("attendance", [written(tmp_path, ATTENDANCE, row, row)], connection, OPTIONS)
    assert loaded.sentence == (
        "file.csv: 2 rows read; 1 rows of attendance; all new or changed; 1 repeated rows counted once"
    )
    path = written(tmp_path, ATTENDANCE, row, "a,S,2026-11-20,1,absent")
    with pytest.raises(InvalidFile, match="line 3: has the key of line 2 with other values"):
        await load("attendance", [path], connection, OPTIONS)


async def test_the_same_moment_under_two_offsets_is_the_same_row(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    path = written(tmp_path, ASSESSMENT, f"a,S,{NINE},0,1,0,", "a,S,2026-11-20T00:00:00Z,0,1,0,")
    assert (await load("assessments", [path], connection, OPTIONS)).duplicates == 1


async def test_columns_that_a_file_leaves_out_stay(connection: asyncpg.Connection, tmp_path: Path) -> None:
    await load("students", [written(tmp_path, STUDENT, "a,S,Kim,1-1")], connection, OPTIONS)
    path = written(tmp_path, "class_name,student_id,org_id", "2-1,S,a")
    await load("students", [path], connection, OPTIONS)
    assert tuple(await connection.fetchrow("TABLE students")) == ("a", "S", "Kim", "2-1")


@pytest.mark.parametrize(
    ("table", "rows"),
    [("assessments", 15), ("items", 12), ("attendance", 50), ("snapshots", 14), ("students", 6)],
)
async def test_the_example_loads(
    connection: asyncpg.Connection, request: pytest.FixtureRequest, table: str, rows: int
) -> None:
    loaded = await load(table, [request.config.rootpath / "examples" / f"{table}.csv"], connection, OPTIONS)
    assert (loaded.rows, loaded.changed) == ({TABLES[table]: rows}, {TABLES[table]: rows})


async def test_drawn_students_are_the_same_by_copy_and_by_file_and_never_mix_with_others(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    tenant = DrawnTenant(
        org_id="a", students=30, report_date=date(2026, 11, 23), item_responses=2, language="ko"
    )
    stored = await copy_tenant(connection, "a", draw_tenant(tenant, block=13))
    assert stored == sum(
        [await connection.fetchval(f"SELECT count(*) FROM {target}") for target in TABLES.values()]  # noqa: S608 - own names
    )
    paths = write_tenant(tmp_path, "a", draw_tenant(tenant))
    for table, target in TABLES.items():
        loaded = await load(table, [paths[table]], connection, OPTIONS)
        assert loaded.rows[target] > 0
        assert loaded.changed == {target: 0}
    with pytest.raises(RiskflowError, match="students has rows of a already"):
        await copy_tenant(connection, "a", draw_tenant(tenant))
