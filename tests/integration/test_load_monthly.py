"""Monthly CSV files: rows, packed months, merged columns, refusals."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import numpy as np
import pytest

from ops.load.loader import load
from ops.load.options import LoadOptions
from schemas.database import connect
from schemas.errors import InvalidFile
from streams.models.inputs import MONTHLY_VARIABLES, Years

OPTIONS = LoadOptions(baseline=Years(1991, 2020))
HEADER = "latitude,longitude,year,month,ta,tamax,tamin,rn\n"


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    found = await connect(database_url, application="test")
    yield found
    await found.close()


def written(folder: Path, text: str, name: str = "months.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


async def packed(connection: asyncpg.Connection, scenario: str = "historical") -> tuple[int, np.ndarray]:
    row = await connection.fetchrow(
        "SELECT first_year, months FROM climate_packed WHERE scenario = $1", scenario
    )
    return row["first_year"], np.frombuffer(row["months"], dtype=">f8").reshape(-1, len(MONTHLY_VARIABLES))


async def test_rows_and_packed_months_hold_the_files_numbers(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    text = HEADER + "-37.25,-6.5,2000,12,1.5,3,-1,80\n-37.25,-6.5,2001,2,,4,0,\n"
    loaded = await load("monthly", [written(tmp_path, text)], connection, OPTIONS)
    assert (loaded.cells, loaded.years, loaded.rows) == (1, Years(2000, 2001), {"climate_data": 2})
    rows = await connection.fetch("SELECT * FROM climate_data ORDER BY year")
    assert [float(rows[0][name]) for name in ("latitude", "longitude")] == [-37.25, -6.5]
    assert [
        [row[name] for name in ("year", "month", "ta", "tamax", "tamin", "rn", "rhm")] for row in rows
    ] == [
        [2000, 12, 1.5, 3.0, -1.0, 80.0, None],
        [2001, 2, None, 4.0, 0.0, None, None],
    ]
    first_year, months = await packed(connection)
    assert (first_year, months.shape) == (2000, (24, 8))
    np.testing.assert_array_equal(months[11], [1.5, 3, -1, 80, *[np.nan] * 4])
    np.testing.assert_array_equal(months[13], [np.nan, 4, 0, *[np.nan] * 5])
    assert np.isnan(months[[0, 10, 12, 14, 23]]).all()
    assert await connection.fetchval("SELECT count(*) FROM climate_stale") == 0
    assert await connection.fetchval("SELECT count(*) FROM grid_cells") == 1


async def test_a_second_load_of_a_file_changes_nothing(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    path = written(tmp_path, HEADER + "37,127,2000,1,1.5,,-1,80\n")
    await load("monthly", [path], connection, OPTIONS)
    before = await connection.fetch("SELECT xmin, * FROM climate_data")
    loaded = await load("monthly", [path], connection, OPTIONS)
    assert (loaded.rows, loaded.changed) == ({"climate_data": 1}, {"climate_data": 0})
    assert await connection.fetch("SELECT xmin, * FROM climate_data") == before


async def test_a_later_file_replaces_its_columns_and_leaves_the_others_and_the_site(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    await load("sites", [written(tmp_path, "latitude,longitude,slope\n37,127,0.1\n")], connection, OPTIONS)
    await load("monthly", [written(tmp_path, HEADER + "37,127,2000,1,1,2,0,80\n")], connection, OPTIONS)
    later = "ws,latitude,longitude,year,month,ta,rhm\n2.5,37,127,2000,1,1.25,60\n"
    loaded = await load("monthly", [written(tmp_path, later)], connection, OPTIONS)
    assert loaded.changed == {"climate_data": 1}
    row = await connection.fetchrow("SELECT ta, tamax, tamin, rn, rhm, ws FROM climate_data")
    assert tuple(row) == (1.25, 2.0, 0.0, 80.0, 60.0, 2.5)
    _, months = await packed(connection)
    np.testing.assert_array_equal(months[0], [1.25, 2, 0, 80, 60, 2.5, np.nan, np.nan])
    assert await connection.fetchval("SELECT slope FROM grid_cells") == 0.1


async def test_scenarios_of_a_file_stay_apart(connection: asyncpg.Connection, tmp_path: Path) -> None:
    text = "scenario,latitude,longitude,year,month,ta\nssp585,37,127,2030,1,3\nhistorical,37,127,2030,1,1\n"
    await load("monthly", [written(tmp_path, text)], connection, OPTIONS)
    assert (await packed(connection, "ssp585"))[1][0, 0] == 3
    assert (await packed(connection))[1][0, 0] == 1


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("37,127,2000,13,1,2,0,1", "column month: 13 is outside 1 to 12"),
        ("37,127,2000,1,abc,2,0,1", "column ta: 'abc' is not a number (degC)"),
        ("37,127,2000,1,inf,2,0,1", "column ta: 'inf' is not a number (degC)"),
        ("37,127,2000,1,1,2,3,1", "column tamax: tamax 2 is lower than tamin 3 degC"),
        ("37,127,2000,1,1,2,0,-1", "column rn: -1 is outside 0 to 10000 mm/month"),
        ("37,127,,1,1,2,0,1", "column year: is empty, but every row needs it"),
        ("37,400,2000,1,1,2,0,1", "column longitude: 400 is outside -180 to 360 degrees"),
    ],
)
async def test_a_bad_row_stores_nothing(
    connection: asyncpg.Connection, tmp_path: Path, row: str, sentence: str
) -> None:
    text = HEADER + "38,127,2000,1,1,2,0,1\n" * 3 + row + "\n"
    with pytest.raises(InvalidFile) as error:
        await load("monthly", [written(tmp_path, text)], connection, OPTIONS)
    assert str(error.value) == f"months.csv line 5, {sentence}\nNothing was stored."
    for table in ("climate_data", "climate_packed", "grid_cells", "climate_stale"):
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0  # noqa: S608 - own names


async def test_wet_days_cannot_be_more_than_the_month_has(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    text = "latitude,longitude,year,month,ta,wet_days\n37,127,2000,4,1,30\n37,127,2001,4,1,31\n"
    with pytest.raises(InvalidFile, match=r"line 3, column wet_days: 31 is more than the days of the month"):
        await load("monthly", [written(tmp_path, text)], connection, OPTIONS)


async def test_repeated_months_count_once_and_contradictions_name_both_lines(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    row = "37,127,2000,1,1,,0,1\n"
    loaded = await load("monthly", [written(tmp_path, HEADER + row * 3)], connection, OPTIONS)
    assert (loaded.read, loaded.duplicates, loaded.rows) == (3, 2, {"climate_data": 1})
    with pytest.raises(InvalidFile) as error:
        await load(
            "monthly", [written(tmp_path, HEADER + row + "37,127,2000,1,1,2,0,1\n")], connection, OPTIONS
        )
    assert str(error.value).startswith("months.csv line 3: has the key of line 2 with other values")


async def test_files_of_one_call_must_carry_the_same_columns(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    one = written(tmp_path, HEADER + "37,127,2000,1,1,,0,1\n", "one.csv")
    two = written(tmp_path, "latitude,longitude,year,month,ta\n37,127,2000,2,1\n", "two.csv")
    with pytest.raises(
        InvalidFile, match=r"two\.csv and one\.csv carry different columns \(rn, tamax, tamin\)"
    ):
        await load("monthly", [one, two], connection, OPTIONS)


async def test_european_months_come_in_whole(connection: asyncpg.Connection, shared_data: Path) -> None:
    path = shared_data / "iberia_monthly_1981_2010.csv.gz"
    loaded = await load("monthly", [path], connection, OPTIONS)
    assert (loaded.read, loaded.cells, loaded.years) == (118_800, 330, Years(1981, 2010))
    with gzip.open(path, "rt") as lines:
        values = [[float(text or "nan") for text in line.split(",")] for line in list(lines)[1:]]
    cell = [row for row in values if row[:2] == [36.25, -6.25]]
    row = await connection.fetchrow(
        "SELECT first_year, months FROM climate_packed WHERE latitude = 36.25 AND longitude = -6.25"
    )
    months = np.frombuffer(row["months"], dtype=">f8").reshape(-1, 8)
    np.testing.assert_array_equal(months[:, :4], np.array(cell)[:, 4:])
    assert np.isnan(months[:, 4:]).all()
