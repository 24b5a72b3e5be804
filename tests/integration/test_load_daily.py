"""Daily CSV files: months, yearly indices and thresholds, whatever the order of the rows."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import asyncpg
import numpy as np
import pytest

from ops.load.loader import load
from ops.load.options import LoadOptions
from schemas.database import connect
from schemas.errors import InvalidFile
from streams.models.inputs import Years

OPTIONS = LoadOptions(baseline=Years(1991, 2020))
HEADER = "latitude,longitude,date,tmax,tmin,precip"
SEOUL = "latitude BETWEEN 37.5 AND 37.6 AND longitude BETWEEN 126.9 AND 127"


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    found = await connect(database_url, application="test")
    yield found
    await found.close()


def dates(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def weather(days: list[date], row: Callable[[date], str], cell: str = "37.5,127", extra: str = "") -> str:
    return "".join(f"{cell},{day},{row(day)}{extra}\n" for day in days)


def written(folder: Path, text: str, name: str = "days.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def summery(day: date) -> str:
    """A yearly cycle of temperature with its own noise every year; rain on the 1st and 2nd of a month."""
    cycle = 10 - 12 * math.cos((day - date(day.year, 1, 15)).days / 365.25 * 2 * math.pi)
    noise = math.sin(day.toordinal() * 12.9898) * 4
    rain = {1: 0.4, 2: day.month * 10.0}.get(day.day, 0.0)
    return f"{cycle + noise + 5:.2f},{cycle + noise - 5:.2f},{rain}"


async def test_months_are_means_and_sums_of_their_valid_days(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    def row(day: date) -> str:
        missing = {(2001, 1): 3, (2001, 2): 4}.get((day.year, day.month), 0)
        if day.day <= missing:
            return ",,"
        return f"{day.day},{-day.day},{2 if day.day % 2 else 0.9}"

    path = written(tmp_path, f"{HEADER}\n" + weather(dates(date(2001, 1, 1), date(2001, 3, 10)), row))
    loaded = await load("daily", [path], connection, OPTIONS)
    assert (loaded.read, loaded.cells, loaded.years) == (69, 1, Years(2001, 2001))
    assert loaded.rows == {"climate_data": 3, "climate_extremes": 1}
    rows = await connection.fetch(
        "SELECT month, ta, tamax, tamin, rn, wet_days, rhm FROM climate_data ORDER BY month"
    )
    # January: days 4 to 31, mean 17.5; 14 odd days of 2 mm and 14 even ones of 0.9 mm.
    assert [round(value, 9) if value is not None else None for value in rows[0]] == [
        1,
        0,
        17.5,
        -17.5,
        40.6,
        14,
        None,
    ]
    assert list(rows[1].values()) == [2, *[None] * 6]
    assert list(rows[2].values()) == [3, *[None] * 6]
    extremes = await connection.fetchrow(
        "SELECT rx1day, wsdi, valid_days, baseline_start FROM climate_extremes"
    )
    assert tuple(extremes) == (None, None, 28 + 24 + 10, None)
    assert any("no wsdi or csdi for 1 cells" in warning for warning in loaded.warnings)
    assert any("no fwi_days" in warning for warning in loaded.warnings)


async def test_rows_in_any_order_and_packed_give_the_same_numbers(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    days = dates(date(2001, 1, 1), date(2002, 12, 31))
    rows = [
        line
        for cell in ("37.5,127", "-10.25,-60.5", "37.5,126")
        for line in weather(days, summery, cell).splitlines(keepends=True)
    ]
    await load("daily", [written(tmp_path, f"{HEADER}\n" + "".join(rows))], connection, OPTIONS)
    query = "SELECT * FROM climate_data ORDER BY latitude, longitude, year, month"
    before = await connection.fetch(query)
    assert len(before) == 3 * 24
    shuffled = np.random.default_rng(1).permutation(rows)
    again = await load("daily", [written(tmp_path, f"{HEADER}\n" + "".join(shuffled))], connection, OPTIONS)
    assert again.changed == {"climate_data": 0, "climate_extremes": 0}
    assert await connection.fetch(query) == before


async def test_a_scenario_uses_the_thresholds_of_the_history(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    history = weather(dates(date(1991, 1, 1), date(2020, 12, 31)), summery)
    hot = [date(2031, 7, 1) + timedelta(days=number) for number in range(7)]

    def later(day: date) -> str:
        tmax, tmin, rain = summery(day).split(",")
        return f"{float(tmax) + 30 * (day in hot)},{tmin},{rain}"

    scenario = weather(dates(date(2031, 1, 1), date(2031, 12, 31)), later, extra=",ssp585")
    future = written(tmp_path, f"{HEADER},scenario\n{scenario}", "future.csv")
    without = await load("daily", [future], connection, OPTIONS)
    assert without.warnings[0] == (
        "ssp585: no wsdi or csdi for 1 cells: no thresholds of the historical baseline 1991-2020 are stored; "
        "load the historical days first"
    )
    query = (
        "SELECT wsdi, csdi, rx1day, baseline_start, baseline_end FROM climate_extremes"
        " WHERE scenario = 'ssp585'"
    )
    assert tuple(await connection.fetchrow(query)) == (None, None, 120.0, None, None)

    loaded = await load("daily", [written(tmp_path, f"{HEADER}\n{history}")], connection, OPTIONS)
    assert loaded.rows["climate_thresholds"] == 1
    stored = await connection.fetchrow("SELECT tx90, tn10 FROM climate_thresholds")
    tx90, tn10 = (np.frombuffer(stored[name], dtype=">f8") for name in ("tx90", "tn10"))
    assert tx90.shape == tn10.shape == (365,)
    assert (tx90 > tn10 + 10).all()
    await load("daily", [future], connection, OPTIONS)
    wsdi, csdi, rx1day, start, end = await connection.fetchrow(query)
    assert (csdi, rx1day, start, end) == (0, 120.0, 1991, 2020)
    assert 7 <= wsdi <= 12

    other = await load("daily", [future], connection, replace(OPTIONS, baseline=Years(1981, 2010)))
    assert "no thresholds of the historical baseline 1981-2010" in other.warnings[0]


async def test_a_scenario_goes_on_where_the_history_of_its_file_ends(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    # The scenario's rows stand first: its thresholds and moisture codes still come from the history.
    past = dates(date(1991, 1, 1), date(2020, 12, 31))
    future = dates(date(2021, 1, 1), date(2021, 12, 31))
    split = weather(future, summery, extra=",50,3,ssp585") + weather(past, summery, extra=",50,3,historical")
    whole = weather(past + future, summery, extra=",50,3,historical")
    query = "SELECT wsdi, csdi, fwi_days, fwi_max FROM climate_extremes WHERE year = 2021 AND scenario = $1"
    header = f"{HEADER},rh,wind,scenario\n"
    loaded = await load("daily", [written(tmp_path, header + split)], connection, OPTIONS)
    assert loaded.warnings == ()
    joined = await connection.fetchrow(query, "ssp585")
    assert joined["fwi_max"] > 0
    await load("daily", [written(tmp_path, header + whole)], connection, OPTIONS)
    assert await connection.fetchrow(query, "historical") == joined

    alone = header + weather(future, summery, extra=",50,3,ssp126")
    await load("daily", [written(tmp_path, alone)], connection, OPTIONS)
    fresh = await connection.fetchrow(query, "ssp126")
    assert (fresh["wsdi"], fresh["csdi"]) == (joined["wsdi"], joined["csdi"])
    assert fresh["fwi_max"] < joined["fwi_max"]


async def test_a_scenario_from_july_has_the_history_up_to_june_whatever_stands_beside_it(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    past = dates(date(1991, 1, 1), date(2020, 12, 31))
    july, january = date(2019, 7, 1), date(2021, 1, 1)
    early, late = dates(july, date(2021, 12, 31)), dates(january, date(2021, 12, 31))

    def wetter(day: date) -> str:
        tmax, tmin, _ = summery(day).split(",")
        return f"{tmax},{tmin},{300 if (day.month, day.day) == (5, 1) and day.year == 2019 else 7}"

    lines = weather(past, wetter, extra=",50,3,historical")
    lines += weather(early, summery, extra=",50,3,ssp585")
    lines += weather(past, summery, "10,20", extra=",50,3,historical")
    beside = weather(late, summery, "10,20", extra=",50,3,ssp585")
    header = f"{HEADER},rh,wind,scenario\n"
    await load("daily", [written(tmp_path, header + lines + beside)], connection, OPTIONS)
    first = await connection.fetchrow(
        "SELECT rx1day, wsdi, fwi_max, valid_days FROM climate_extremes "
        "WHERE scenario = 'ssp585' AND year = 2019"
    )
    assert (first["rx1day"], first["valid_days"]) == (300.0, 365)
    assert first["wsdi"] is not None
    assert first["fwi_max"] > 0
    months = await connection.fetchval(
        "SELECT min(month) FROM climate_data WHERE scenario = 'ssp585' AND year = 2019"
    )
    assert months == 7

    # The scenario of the second cell begins later than that of the first: its codes go on all the same.
    query = (
        "SELECT fwi_days, fwi_max FROM climate_extremes WHERE latitude = 10 AND year = 2021 AND scenario = $1"
    )
    joined = await connection.fetchrow(query, "ssp585")
    whole = header + weather(past + late, summery, "10,20", extra=",50,3,historical")
    await load("daily", [written(tmp_path, whole)], connection, OPTIONS)
    assert await connection.fetchrow(query, "historical") == joined


async def test_a_later_file_leaves_what_it_does_not_carry(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    days = dates(date(2001, 1, 1), date(2001, 12, 31))
    full = written(tmp_path, f"{HEADER},rh,wind\n" + weather(days, summery, extra=",40,5"))
    await load("daily", [full], connection, OPTIONS)
    before = await connection.fetchrow("SELECT fwi_days, fwi_max FROM climate_extremes")
    assert before["fwi_max"] > 0
    warmer = written(tmp_path, f"{HEADER}\n" + weather(days, lambda day: f"{30 + day.month},0,0"), "warm.csv")
    await load("daily", [warmer], connection, OPTIONS)
    assert await connection.fetchrow("SELECT fwi_days, fwi_max FROM climate_extremes") == before
    row = await connection.fetchrow("SELECT tamax, rn, rhm, ws FROM climate_data WHERE month = 7")
    assert tuple(row) == (37.0, 0.0, 40.0, 5.0)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("37.5,127,2001-02-29,1,0,0", "column date: '2001-02-29' is not a date (YYYY-MM-DD)"),
        ("37.5,127,1066-10-14,1,0,0", "column date: 1066-10-14 is outside 1800 to 2300"),
        ("37.5,127,,1,0,0", "column date: is empty, but every row needs it"),
        ("37.5,127,2001-01-03,abc,0,0", "column tmax: 'abc' is not a number (degC)"),
        ("37.5,127,2001-01-03,71,0,0", "column tmax: 71 is outside -95 to 60 degC"),
        ("37.5,127,2001-01-03,1,2,0", "column tmax: tmax 1 is lower than tmin 2 degC"),
        ("37.5,127,2001-01-03,1,0,2001", "column precip: 2001 is outside 0 to 2000 mm"),
        ("37.5,127,2001-01-02,5,0,0", "has the key of line 3 with other values; keep one of them"),
    ],
)
async def test_a_bad_row_stores_nothing(
    connection: asyncpg.Connection, tmp_path: Path, row: str, sentence: str
) -> None:
    text = f"{HEADER}\n" + weather(dates(date(2001, 1, 1), date(2001, 1, 2)), summery) + row + "\n"
    with pytest.raises(InvalidFile) as error:
        await load("daily", [written(tmp_path, text)], connection, OPTIONS)
    joint = ": " if sentence.startswith("has") else ", "
    assert str(error.value) == f"days.csv line 4{joint}{sentence}\nNothing was stored."
    for table in ("climate_data", "climate_extremes", "climate_thresholds", "grid_cells"):
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0  # noqa: S608 - own names


async def test_equal_days_count_once_also_across_files(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    days = dates(date(2001, 1, 1), date(2001, 1, 31))
    one = written(tmp_path, f"{HEADER}\n" + weather(days, summery), "one.csv")
    two = written(tmp_path, f"{HEADER}\n" + weather(days[:3], summery), "two.csv")
    loaded = await load("daily", [one, two], connection, OPTIONS)
    assert (loaded.read, loaded.duplicates, loaded.rows["climate_data"]) == (34, 3, 1)
    changed = written(tmp_path, f"{HEADER}\n37.5,127,2001-01-02,9,0,0\n", "three.csv")
    with pytest.raises(
        InvalidFile, match=r"three\.csv line 2: has the key of one\.csv line 3 with other values"
    ):
        await load("daily", [one, changed], connection, OPTIONS)


async def test_impossible_days_are_missing_and_listed_on_request(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    days = dates(date(2001, 1, 1), date(2001, 1, 31))
    wrong = {1: "-999,-3,0", 2: "1,2,0", 3: "10,0,-1"}
    text = f"{HEADER},rh\n" + weather(days, lambda day: wrong.get(day.day, "10,0,1"), extra=",104")
    options = replace(OPTIONS, bad_values="missing", bad_values_file=tmp_path / "bad.csv")
    loaded = await load("daily", [written(tmp_path, text)], connection, options)
    assert loaded.bad_values == 4 + 31
    listed = (tmp_path / "bad.csv").read_text().splitlines()
    assert listed[0] == "file,line,column,value,reason"
    assert sorted(line for line in listed[1:] if ",rh," not in line) == [
        "days.csv,2,tmax,-999,'-999 is outside -95 to 60 degC",
        "days.csv,3,tmax,1,tmax 1 is lower than tmin 2 degC",
        "days.csv,3,tmin,2,tmax 1 is lower than tmin 2 degC",
        "days.csv,4,precip,-1,'-1 is outside 0 to 2000 mm",
    ]
    row = await connection.fetchrow("SELECT tamax, tamin, rn, rhm FROM climate_data")
    assert tuple(row) == (10.0, pytest.approx(-3 / 30), 28.0, None)


async def test_korean_stations_give_the_published_indices(
    connection: asyncpg.Connection, shared_data: Path
) -> None:
    loaded = await load("daily", [shared_data / "korea_asos_daily_1991_2020.csv.gz"], connection, OPTIONS)
    assert (loaded.read, loaded.cells, loaded.years) == (381_825, 35, Years(1991, 2020))
    rows = await connection.fetch(
        f"SELECT year, wsdi, rx1day, fwi_days FROM climate_extremes WHERE {SEOUL} ORDER BY year"  # noqa: S608 - own text
    )
    wsdi = {row["year"]: row["wsdi"] for row in rows}
    # METHODS, section 2.
    assert [wsdi[year] for year in (1994, 1998, 1999, 2000, 2002, 2003, 2018, 2020)] == [
        15,
        6,
        6,
        7,
        12,
        0,
        15,
        11,
    ]
    assert sum(wsdi.values()) == 117
    assert np.mean([row["rx1day"] for row in rows]) == pytest.approx(154.406667, abs=1e-6)
    fwi_days = {row["year"]: row["fwi_days"] for row in rows}
    assert [fwi_days[year] for year in (2012, 2015, 2017)] == [24, 19, 15]
    assert sum(fwi_days.values()) == 83
    means = [
        row[0]
        for row in await connection.fetch(
            "SELECT avg(wsdi) FROM climate_extremes GROUP BY latitude, longitude"
        )
    ]
    assert (round(min(means), 1), round(max(means), 1)) == (0.4, 4.6)
    assert await connection.fetchval("SELECT count(*) FROM climate_packed") == 35
