"""CF NetCDF files give the rows that the same weather gives as CSV."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np
import pytest

from ops.load.loader import load
from ops.load.options import LoadOptions
from schemas.database import connect
from schemas.errors import InvalidFile
from streams.models.inputs import Years

xr = pytest.importorskip("xarray", reason="the extra [netcdf] is not installed")
pytest.importorskip("h5py", reason="the extra [netcdf] is not installed")

OPTIONS = LoadOptions(baseline=Years(1991, 2020))
NORTH, EAST = np.array([37.5, 37.25]), np.array([126.5, 126.75, 127.0])
DAYS = 730
UNITS = {"tasmax": "K", "tasmin": "K", "pr": "kg m-2 s-1", "hurs": "%", "sfcWind": "m s-1"}


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    found = await connect(database_url, application="test")
    yield found
    await found.close()


def drawn(times: int) -> dict[str, np.ndarray]:
    """Plausible weather in the tables' units, (time, lat, lon)."""
    random = np.random.default_rng(3)
    shape = (times, len(NORTH), len(EAST))
    tasmin = 10 + random.normal(0, 5, shape)
    return {
        "tasmin": tasmin,
        "tasmax": tasmin + random.uniform(1, 12, shape),
        "pr": np.where(random.random(shape) < 0.3, random.uniform(0, 40, shape), 0),
        "hurs": random.uniform(20, 95, shape),
        "sfcWind": random.uniform(0, 12, shape),
    }


def write(  # noqa: PLR0913 - what a file can differ in
    path: Path,
    name: str,
    values: np.ndarray,
    *,
    time: np.ndarray | None = None,
    calendar: str = "standard",
    attributes: Mapping[str, Any] | None = None,
    **variable: str,
) -> Path:
    """One variable in CMIP's form and unit."""
    there = {
        "K": values + 273.15,
        "kg m-2 s-1": values / 86400,
    }
    unit = variable.setdefault("units", UNITS.get(name, "1"))
    days = np.arange(len(values)) + 0.5 if time is None else time
    dataset = xr.Dataset(
        {name: (("time", "lat", "lon"), there.get(unit, values), variable)},
        {
            "time": ("time", days, {"units": "days since 2001-01-01", "calendar": calendar}),
            "lat": ("lat", NORTH, {"standard_name": "latitude"}),
            "lon": ("lon", EAST, {"standard_name": "longitude"}),
        },
        attributes,
    )
    dataset.to_netcdf(path, engine="h5netcdf")
    return path


def as_csv(path: Path, weather: Mapping[str, np.ndarray]) -> Path:
    names = {"tasmax": "tmax", "tasmin": "tmin", "pr": "precip", "hurs": "rh", "sfcWind": "wind"}
    lines = ["latitude,longitude,date," + ",".join(names.values())]
    for day in range(DAYS):
        when = np.datetime64("2001-01-01") + day
        for row, north in enumerate(NORTH):
            for column, east in enumerate(EAST):
                numbers = ",".join(repr(float(weather[name][day, row, column])) for name in names)
                lines.append(f"{north},{east},{when},{numbers}")
    path.write_text("\n".join(lines))
    return path


async def table(connection: asyncpg.Connection, name: str) -> np.ndarray:
    """All numbers of a table, its rows in the order of their keys."""
    rows = sorted([tuple(row) for row in await connection.fetch(f"SELECT * FROM {name}")], key=str)  # noqa: S608 - own names
    numbers = [[value for value in row if not isinstance(value, str)] for row in rows]
    return np.array([[np.nan if value is None else float(value) for value in row] for row in numbers])


async def test_daily_files_give_what_the_csv_gives(connection: asyncpg.Connection, tmp_path: Path) -> None:
    weather = drawn(DAYS)
    files = [write(tmp_path / f"{name}.nc", name, values) for name, values in weather.items()]
    sun = write(tmp_path / "rsds.nc", "rsds", weather["hurs"], units="W m-2")
    loaded = await load("netcdf", [*files, sun], connection, OPTIONS)
    assert "not stored: rsds (daily)" in loaded.warnings
    assert (loaded.cells, loaded.years, loaded.read) == (6, Years(2001, 2002), 6 * DAYS)
    found = [await table(connection, name) for name in ("climate_data", "climate_extremes")]
    assert [array.shape[0] for array in found] == [6 * 24, 6 * 2]
    await connection.execute("TRUNCATE climate_data, climate_extremes, climate_packed, climate_stale")
    await load("daily", [as_csv(tmp_path / "days.csv", weather)], connection, OPTIONS)
    for array, name in zip(found, ("climate_data", "climate_extremes"), strict=True):
        np.testing.assert_allclose(array, await table(connection, name), rtol=1e-9, atol=1e-9)


async def test_monthly_files_become_months_with_rain_summed(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    middle = np.array([15.5, 45.0, 74.5])
    months = np.full((3, 2, 3), 4.0)
    months[:, 1, 2] = np.nan
    sea = {"scenario": "ssp585"}
    files = [
        write(tmp_path / "x.nc", "t", months + 6, time=middle, attributes=sea, units="degC",
              standard_name="air_temperature", cell_methods="time: maximum within days time: mean over days"),
        write(tmp_path / "n.nc", "tasmin", months, time=middle, attributes=sea),
        write(tmp_path / "p.nc", "pr", months, time=middle, attributes=sea),
        write(tmp_path / "r.nc", "rsds", months * 25, time=middle, attributes=sea, units="W m-2"),
    ]  # fmt: skip
    loaded = await load("netcdf", files, connection, OPTIONS)
    assert (loaded.cells, loaded.rows, loaded.years) == (5, {"climate_data": 15}, Years(2001, 2001))
    rows = await connection.fetch(
        "SELECT scenario, month, ta, tamax, tamin, rn, si, ws FROM climate_data"
        " WHERE latitude = 37.5 AND longitude = 127 ORDER BY month"
    )
    expected = [
        ("ssp585", 1, 7, 10, 4, 124, 8.64, None),
        ("ssp585", 2, 7, 10, 4, 112, 8.64, None),
        ("ssp585", 3, 7, 10, 4, 124, 8.64, None),
    ]
    for row, numbers in zip(rows, expected, strict=True):
        assert tuple(row)[:2] == numbers[:2]
        assert tuple(row)[2:-1] == pytest.approx(numbers[2:-1], rel=1e-9)
        assert row["ws"] is None


async def test_a_year_without_leap_days_lacks_29_february(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    weather = drawn(4 * 365)
    files = [
        write(tmp_path / f"{name}.nc", name, weather[name], calendar="noleap")
        for name in ("tasmax", "tasmin", "pr")
    ]
    await load("netcdf", files, connection, replace(OPTIONS, scenario="ssp126"))
    days = await connection.fetch(
        "SELECT DISTINCT scenario, year, valid_days FROM climate_extremes ORDER BY year"
    )
    assert [tuple(row) for row in days] == [("ssp126", year, 365) for year in (2001, 2002, 2003, 2004)]
    february = "year = 2004 AND month = 2 AND latitude = 37.5 AND longitude = 126.5"
    rain = await connection.fetchval(f"SELECT rn FROM climate_data WHERE {february}")  # noqa: S608 - own text
    assert rain == pytest.approx(weather["pr"][3 * 365 + 31 : 3 * 365 + 59, 0, 0].sum(), rel=1e-9)


async def test_what_cannot_be_understood_is_refused(connection: asyncpg.Connection, tmp_path: Path) -> None:
    weather = drawn(40)
    good = {name: write(tmp_path / f"{name}.nc", name, weather[name]) for name in ("tasmax", "tasmin", "pr")}
    text = tmp_path / "text.nc"
    text.write_text("no netcdf")
    short = write(tmp_path / "short.nc", "pr", weather["pr"], calendar="360_day")
    hourly = write(tmp_path / "hourly.nc", "pr", weather["pr"], time=np.arange(40) / 24)
    unit = write(tmp_path / "unit.nc", "pr", weather["pr"], units="inches")
    twice = write(tmp_path / "again.nc", "pr", weather["pr"][:1].repeat(2, 0))
    height = write(tmp_path / "other.nc", "orog", weather["pr"])
    cases = [
        ([good["tasmax"], good["pr"]], "historical: no tasmin; daily NetCDF needs tasmax, tasmin and pr"),
        ([text], "text.nc cannot be read as NetCDF"),
        ([good["tasmax"], good["tasmin"], short], "short.nc, variable pr: daily values in the calendar 360"),
        ([hourly], "hourly.nc, variable pr: the times lie 0.0416667 days apart; daily and monthly"),
        ([unit], "unit.nc, variable pr: unit 'inches' is unknown; allowed: kg m-2 s-1"),
        ([*good.values(), twice], "again.nc and pr.nc both hold pr for 2001-01-01"),
        ([height], "other.nc: no variable is known by name or standard_name"),
    ]  # fmt: skip
    for files, sentence in cases:
        with pytest.raises(InvalidFile) as error:
            await load("netcdf", files, connection, OPTIONS)
        assert str(error.value).startswith(sentence)
    assert await connection.fetchval("SELECT count(*) FROM climate_data") == 0


async def test_impossible_values_refuse_or_are_missing(
    connection: asyncpg.Connection, tmp_path: Path
) -> None:
    weather = drawn(31)
    weather["tasmax"][3, 0, 2] = 75
    weather["tasmin"][5, 1, 1] = 40
    weather["tasmax"][5, 1, 1] = 30
    weather["pr"][0] = -1e-7
    files = [write(tmp_path / f"{name}.nc", name, weather[name]) for name in ("tasmax", "tasmin", "pr")]
    with pytest.raises(InvalidFile) as error:
        await load("netcdf", files, connection, OPTIONS)
    assert str(error.value).splitlines()[0] == (
        "tasmax.nc at 37.5, 127 in 2001-01-04, variable tasmax: 75 is outside -95 to 60 degC"
    )
    options = replace(OPTIONS, bad_values="missing", bad_values_file=tmp_path / "bad.csv")
    loaded = await load("netcdf", files, connection, options)
    assert loaded.bad_values == 2
    tamax = await connection.fetchval(
        "SELECT tamax FROM climate_data WHERE latitude = 37.5 AND longitude = 127"
    )
    assert tamax == pytest.approx(np.delete(weather["tasmax"][:, 0, 2], 3).mean(), rel=1e-9)
    tamin = await connection.fetchval(
        "SELECT tamin FROM climate_data WHERE latitude = 37.25 AND longitude = 126.75"
    )
    assert tamin == pytest.approx(np.delete(weather["tasmin"][:, 1, 1], 5).mean(), rel=1e-9)
    rain = await connection.fetchval(
        "SELECT rn FROM climate_data WHERE latitude = 37.5 AND longitude = 126.5"
    )
    assert rain == pytest.approx(weather["pr"][1:, 0, 0].sum(), rel=1e-9)
