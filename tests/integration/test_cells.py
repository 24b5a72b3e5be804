"""The bulk read against a real database: series joined, indices of the right baseline, one snapshot."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import numpy as np
import pytest

from streams.cells import input_groups, read_cells, read_chunk, read_tracks
from streams.models.assess import assess_risk
from streams.models.inputs import CellInputs, Years
from streams.models.risks import RISKS
from streams.models.tables import builtin_tables
from streams.packed import CorruptSeriesError
from streams.request import Request
from streams.tracks import JOBS_KEPT, JobTracks, read_fixes

SEOUL, BUSAN, NOWHERE = (37.571, 126.966), (35.104, 129.032), (-10.5, 20.25)
BASELINE = Years(1991, 2020)
FUTURE = Years(2021, 2050)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def months(  # noqa: PLR0913 - a series is named by all of them
    database: asyncpg.Connection,
    cell: tuple[float, float],
    first: int,
    last: int,
    *,
    scenario: str = "historical",
    value: Callable[[int, int], float | None] = lambda year, month: year + month / 100,
) -> None:
    """Mean temperatures by year and month; None leaves the row out."""
    rows = [
        (*cell, scenario, year, month, given)
        for year in range(first, last + 1)
        for month in range(1, 13)
        if (given := value(year, month)) is not None
    ]
    await database.executemany(
        "INSERT INTO climate_data (latitude, longitude, scenario, year, month, ta) "
        "VALUES ($1, $2, $3, $4, $5, $6)",
        rows,
    )
    await database.execute("SELECT riskflow.repack()")


async def extremes(database: asyncpg.Connection, cell: tuple[float, float], *rows: tuple[Any, ...]) -> None:
    """Rows of scenario, year, wsdi, rx1day, baseline_start, baseline_end."""
    await database.executemany(
        "INSERT INTO climate_extremes "
        "(latitude, longitude, scenario, year, wsdi, rx1day, baseline_start, baseline_end) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        [(*cell, *row) for row in rows],
    )


async def read(
    database: asyncpg.Connection, cells: list[tuple[float, float]], scenario: str, *risks: str
) -> CellInputs:
    return await read_cells(
        database,
        cells,
        scenario=scenario,
        window=BASELINE if scenario == "historical" else FUTURE,
        baseline=BASELINE,
        risks=risks or list(RISKS),
    )


async def test_months_come_in_the_order_of_the_cells_with_nan_where_nothing_is_stored(
    database: asyncpg.Connection,
) -> None:
    await months(database, SEOUL, 1985, 2022)
    await months(database, BUSAN, 1991, 2020, value=lambda year, month: None if month == 3 else -year)
    inputs = await read(database, [BUSAN, NOWHERE, SEOUL], "historical", "drought")

    series = inputs.months
    assert series is inputs.baseline_months
    assert series.first_year == 1985
    busan, nowhere, seoul = series.values["ta"]
    # A year more than the window's: the soil heat of its last December looks one month ahead.
    assert len(seoul) == 12 * (2021 - 1985 + 1)
    np.testing.assert_allclose(seoul[[0, 11, -1]], [1985.01, 1985.12, 2021.12])
    assert np.isnan(busan[: 12 * 6]).all()
    np.testing.assert_array_equal(busan[12 * 6 : 12 * 6 + 4], [-1991, -1991, np.nan, -1991])
    assert np.isnan(nowhere).all()
    assert np.isnan(series.values["rn"]).all()


async def test_a_scenario_is_preceded_by_historical_up_to_its_first_month(
    database: asyncpg.Connection,
) -> None:
    await months(database, SEOUL, 1991, 2024, value=lambda *_: 1.0)
    await months(
        database, SEOUL, 2021, 2050, scenario="ssp585",
        value=lambda year, month: None if (year, month) in {(2021, 1), (2021, 2), (2022, 6)} else 2.0,
    )  # fmt: skip
    inputs = await read(database, [SEOUL], "ssp585", "drought")

    joined = inputs.months.values["ta"][0]
    start = 12 * (2021 - inputs.months.first_year)
    assert inputs.months.first_year == 1991
    assert len(joined) == 12 * 61
    np.testing.assert_array_equal(joined[start - 1 : start + 4], [1, 1, 1, 2, 2])
    assert np.isnan(joined[start + 12 + 5])
    assert (inputs.baseline_months.values["ta"] == 1.0).all()
    assert inputs.baseline_months.values["ta"].shape == (1, 12 * 31)


async def test_a_year_has_the_same_drought_in_whatever_window_it_ends(database: asyncpg.Connection) -> None:
    rows = [
        (*SEOUL, year, month, mean, mean + 5, mean - 5, 60.0 + 7 * ((5 * year + 3 * month) % 11))
        for year in range(1991, 2023)
        for month in range(1, 13)
        for mean in [13 - 14 * np.cos(np.pi * (month - 1) / 6) + (year * month) % 5]
    ]
    await database.executemany(
        "INSERT INTO climate_data (latitude, longitude, year, month, ta, tamax, tamin, rn, rhm, ws, si) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 60, 2.5, 14)",
        rows,
    )
    await database.execute(
        "INSERT INTO grid_cells (latitude, longitude, elevation_m) VALUES ($1, $2, 86) "
        "ON CONFLICT (latitude, longitude) DO UPDATE SET elevation_m = 86",
        *SEOUL,
    )
    await database.execute("SELECT riskflow.repack()")

    async def index_of_2020(end: int) -> float:
        inputs = await read_cells(
            database,
            [SEOUL],
            scenario="historical",
            window=Years(end - 29, end),
            baseline=BASELINE,
            risks=["drought"],
        )
        assessment = assess_risk(inputs, RISKS["drought"], builtin_tables())
        assert assessment.basis[0] == "et0: penman-monteith"
        return float(assessment.intensity[0, assessment.years == 2020][0])

    assert await index_of_2020(2020) == await index_of_2020(2022)


async def test_a_cell_without_the_scenario_has_nothing_of_it(database: asyncpg.Connection) -> None:
    await months(database, SEOUL, 1991, 2040)
    await extremes(
        database, SEOUL, *(("historical", year, 5.0, 90.0, None, None) for year in range(1991, 2041))
    )
    inputs = await read(database, [SEOUL], "ssp585", "drought", "inland_flood")

    assert np.isnan(inputs.months.values["ta"]).all()
    assert np.isnan(inputs.indices.values["rx1day"]).all()
    assert np.isfinite(inputs.baseline_months.values["ta"]).all()
    assert (inputs.baseline_indices.values["rx1day"] == 90.0).all()


async def test_indices_join_by_year_and_gaps_stay_missing(database: asyncpg.Connection) -> None:
    await extremes(
        database,
        SEOUL,
        *(("historical", year, 1.0, 10.0, 1991, 2020) for year in range(1991, 2023)),
        *(("ssp585", year, 2.0, 20.0, 1991, 2020) for year in range(2022, 2051) if year != 2030),
    )
    inputs = await read(database, [NOWHERE, SEOUL], "ssp585", "high_temperature")

    rx1day = dict(zip(range(1991, 2051), inputs.indices.values["rx1day"][1].tolist(), strict=True))
    assert [rx1day[2021], rx1day[2022], rx1day[2050]] == [10, 20, 20]
    assert np.isnan(rx1day[2030])
    assert np.isnan(inputs.indices.values["rx1day"][0]).all()
    assert np.isnan(inputs.indices.values["fwi_days"]).all()


async def test_spells_count_only_against_the_thresholds_of_the_jobs_baseline(
    database: asyncpg.Connection,
) -> None:
    await extremes(database, SEOUL, ("historical", 1995, 7.0, 80.0, 1981, 2010))
    await extremes(database, BUSAN, ("historical", 1995, 7.0, 80.0, 1991, 2020))
    await extremes(database, NOWHERE, ("historical", 1995, 7.0, 80.0, None, None))
    inputs = await read(database, [SEOUL, BUSAN, NOWHERE], "historical", "high_temperature")

    place = 1995 - inputs.indices.first_year
    np.testing.assert_array_equal(inputs.indices.values["wsdi"][:, place], [np.nan, 7, 7])
    np.testing.assert_array_equal(inputs.indices.values["rx1day"][:, place], [80, 80, 80])


async def test_site_sea_and_basin_belong_to_their_cells(database: asyncpg.Connection) -> None:
    await database.execute(
        """
        INSERT INTO sea_level_stations VALUES ('Busan', 35, 129, 0.9, 0.12, 0.05),
                                              ('Incheon', 37, 126, 4.5, 0.2, 0.1);
        INSERT INTO sea_level_rise VALUES ('Busan', 'ssp585', 2030, 110), ('Busan', 'ssp585', 2050, 250),
                                          ('Incheon', 'ssp585', 2040, 170), ('Busan', 'ssp126', 2030, 1);
        INSERT INTO water_basins VALUES ('Han', 1000, 400);
        INSERT INTO water_demand VALUES ('ssp585', 2040, 1.2), ('ssp585', 2020, 1.0), ('ssp126', 2020, 9);
        INSERT INTO climate_warming VALUES ('ssp585', 2030, 0.7);
        INSERT INTO grid_cells (latitude, longitude, elevation_m, coast_km, river_km, imperviousness, slope,
                                land_cover, station, basin)
        VALUES (37.571, 126.966, 85.5, 30, 2, 0.8, 0.02, 'urban', 'Incheon', 'Han'),
               (35.104, 129.032, NULL, 1, NULL, NULL, NULL, NULL, 'Busan', 'Nakdong'),
               (-10.5, 20.25, 1, 1, 1, 0.1, 0.1, 'water', 'Lost', NULL)
        """
    )
    inputs = await read(database, [BUSAN, SEOUL, NOWHERE], "ssp585")

    np.testing.assert_array_equal(inputs.site["elevation_m"], [np.nan, 85.5, 1])
    np.testing.assert_array_equal(inputs.site["imperviousness"], [np.nan, 0.8, 0.1])
    assert inputs.land_cover.tolist() == [None, "urban", "water"]
    np.testing.assert_array_equal(inputs.sea_level["location_m"], [0.9, 4.5, np.nan])
    np.testing.assert_array_equal(inputs.basin["withdrawal_mcm"], [np.nan, 400, np.nan])
    rise, demand, warming = inputs.sea_level_rise, inputs.demand, inputs.warming
    assert rise is not None
    assert demand is not None
    assert warming is not None
    assert rise.years.tolist() == [2030, 2040, 2050]
    np.testing.assert_array_equal(rise.values, [[110, np.nan, 250], [np.nan, 170, np.nan], [np.nan] * 3])
    assert (demand.years.tolist(), demand.values.tolist()) == ([2020, 2040], [1.0, 1.2])
    assert (warming.years.tolist(), warming.values.tolist()) == ([2030], [0.7])


async def test_a_scenario_without_tables_has_empty_ones(database: asyncpg.Connection) -> None:
    inputs = await read(database, [SEOUL], "ssp245")
    for table in (inputs.demand, inputs.warming, inputs.sea_level_rise):
        assert table is not None
        assert table.years.size == 0


async def test_only_what_the_risks_read_is_read(database: asyncpg.Connection) -> None:
    await months(database, SEOUL, 1991, 2020)
    inputs = await read(database, [SEOUL], "historical", "high_temperature")

    assert input_groups(["high_temperature"]) == {"indices"}
    assert inputs.months.values["ta"].shape == (1, 0)
    assert inputs.demand is None
    assert input_groups(RISKS) == {group for risk in RISKS.values() for group in risk.inputs}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("months = substring(months for 1000)", "1000 bytes, not a multiple of 64"),
        ("months = ''", "0 bytes, not a multiple of 64"),
        ("first_year = 19910", "first_year is 19910"),
    ],
)
async def test_damaged_months_of_a_cell_are_told_apart(
    database: asyncpg.Connection, change: str, words: str
) -> None:
    for cell in (SEOUL, BUSAN):
        await months(database, cell, 1991, 2020)
    await database.execute(f"UPDATE climate_packed SET {change} WHERE latitude = 37.571")  # noqa: S608
    request = Request([SEOUL, BUSAN], "historical", BASELINE, BASELINE, input_groups(["drought"]))
    reading = await read_chunk(database, request, None)

    assert list(reading.corrupt_months) == [0]
    assert words in reading.corrupt_months[0]
    assert np.isnan(reading.inputs.months.values["ta"][0]).all()
    assert np.isfinite(reading.inputs.months.values["ta"][1, : 12 * len(BASELINE)]).all()
    with pytest.raises(CorruptSeriesError, match=r"cell 37\.571, 126\.966: climate_packed"):
        await read(database, [SEOUL, BUSAN], "historical", "drought")


async def test_the_whole_chunk_is_read_from_one_snapshot(
    database: asyncpg.Connection, database_url: str
) -> None:
    await months(database, SEOUL, 1991, 2020)
    writer = await asyncpg.connect(database_url)
    lock = await asyncpg.connect(database_url)
    transaction = lock.transaction()
    await transaction.start()
    await lock.execute("LOCK TABLE climate_extremes")
    reading = asyncio.create_task(
        read(database, [SEOUL], "historical", "drought", "high_temperature", "wildfire")
    )
    async with asyncio.timeout(20):
        while not await writer.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            continue
    # The months have been read; what is written now must not be seen by the statements that follow.
    await writer.execute("UPDATE grid_cells SET land_cover = 'forest'")
    await transaction.rollback()
    inputs = await reading
    assert inputs.land_cover.tolist() == [None]
    assert (await read(database, [SEOUL], "historical")).land_cover.tolist() == ["forest"]
    await writer.close()
    await lock.close()


async def test_fixes_are_read_from_the_day_before_the_first_year_in_order(
    database: asyncpg.Connection,
) -> None:
    await database.execute(
        """
        INSERT INTO storm_fixes VALUES
            ('b', '1991-01-01T06:00Z', 20, 130, NULL, 980, 40),
            ('b', '1990-12-31T18:00Z', 19, 131, 25, NULL, NULL),
            ('a', '2020-08-01T00:00Z', 30, 125, 40, 950, NULL),
            ('c', '1990-12-30T18:00Z', 10, 140, 30, 970, NULL)
        """
    )
    fixes = await read_fixes(database, 1991)

    assert fixes.storm.tolist() == [0, 1, 1]
    turn = (1991 - 1970) * 365 * 24 + 5 * 24
    assert fixes.hours[1:].tolist() == [turn - 6, turn + 6]
    np.testing.assert_array_equal(fixes.wind, [40, 25, np.nan])
    np.testing.assert_array_equal(fixes.pressure, [950, np.nan, 980])
    np.testing.assert_array_equal(fixes.rmw, [np.nan, np.nan, 40])
    tracks = await read_tracks(database, FUTURE, BASELINE)
    assert (tracks.first_year, tracks.last_year) == (1990, 2020)


async def test_a_database_without_storms_has_no_tracks(database: asyncpg.Connection) -> None:
    tracks = await read_tracks(database, FUTURE, BASELINE)
    assert tracks.hours.size == 0
    assert tracks.last_year < tracks.first_year


async def test_the_tracks_of_a_job_are_read_once_and_few_jobs_are_kept(database: asyncpg.Connection) -> None:
    reads = []

    async def read_them(window: Years, baseline: Years) -> Any:
        reads.append((window, baseline))
        return await read_tracks(database, window, baseline)

    tracks = JobTracks(read_them)
    await asyncio.gather(*(tracks.of_job("one", 1, FUTURE, BASELINE) for _ in range(4)))
    assert len(reads) == 1
    await tracks.of_job("one", 2, FUTURE, BASELINE)
    assert len(reads) == 2
    for number in range(JOBS_KEPT):
        await tracks.of_job(f"later-{number}", 3, FUTURE, BASELINE)
    await tracks.of_job("one", 2, FUTURE, BASELINE)
    assert len(reads) == 2 + JOBS_KEPT + 1


async def test_cells_are_matched_to_six_decimals(database: asyncpg.Connection) -> None:
    await months(database, (37.123456, -0.000001), 1991, 2020)
    inputs = await read(database, [(37.1234561, -0.0000011)], "historical", "drought")
    assert np.isfinite(inputs.months.values["ta"][0, : 12 * len(BASELINE)]).all()


async def test_packed_months_are_big_endian_and_month_major(database: asyncpg.Connection) -> None:
    packed = b"".join(
        struct.pack(">8d", *(100.0 * month + column for column in range(8))) for month in range(12)
    )
    await database.execute(
        "INSERT INTO climate_packed VALUES ($1, $2, 'historical', 2000, $3)", *SEOUL, packed
    )
    values = (await read(database, [SEOUL], "historical", "drought")).months.values
    start = 12 * (2000 - 1991)
    assert values["ta"][0, start + 1] == 100
    assert values["wet_days"][0, start + 11] == 1107
