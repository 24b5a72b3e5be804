"""Blocks of arrays: rows and packed months, fresh cells and stored ones."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import numpy as np
import pytest

from ops.load.blocks import copy_indices, copy_months, copy_sites
from schemas.database import connect
from streams.models.inputs import MONTHLY_VARIABLES, AnnualSeries, MonthlySeries, Years

LATITUDE, LONGITUDE = np.array([-0.000001, 37.123456, -89.5]), np.array([-179.25, 0.0, 359.999999])
PACKED = "SELECT * FROM climate_packed ORDER BY latitude"


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    found = await connect(database_url, application="test")
    yield found
    await found.close()


def months(*names: str, first_year: int = 2000, years: int = 2) -> MonthlySeries:
    values = {
        name: np.arange(3 * 12 * years).reshape(3, -1) + number / 8 for number, name in enumerate(names)
    }
    values[names[-1]][1, 5] = np.nan
    return MonthlySeries(first_year, values)


async def test_rows_hold_the_arrays_numbers(connection: asyncpg.Connection) -> None:
    series = months("ta", "rn")
    assert await copy_months(connection, LATITUDE, LONGITUDE, "ssp585", series) == 72
    rows = await connection.fetch("SELECT * FROM climate_data ORDER BY ta")
    assert [float(row["latitude"]) for row in rows[::24]] == LATITUDE.tolist()
    assert [float(row["longitude"]) for row in rows[::24]] == LONGITUDE.tolist()
    assert [row["ta"] for row in rows] == series.values["ta"].ravel().tolist()
    assert [row["rn"] for row in rows][28:31] == [28.125, None, 30.125]
    assert {(row["scenario"], row["tamax"]) for row in rows} == {("ssp585", None)}
    assert [(row["year"], row["month"]) for row in rows[11:14]] == [(2000, 12), (2001, 1), (2001, 2)]
    assert await connection.fetchval("SELECT count(*) FROM grid_cells") == 3


async def test_what_is_packed_here_is_what_repack_would_pack(connection: asyncpg.Connection) -> None:
    await copy_months(connection, LATITUDE, LONGITUDE, "historical", months(*MONTHLY_VARIABLES))
    direct = await connection.fetch(PACKED)
    assert len(direct) == 3
    assert await connection.fetchval("SELECT count(*) FROM climate_stale") == 0
    await connection.execute("DELETE FROM climate_packed")
    await connection.execute(
        "INSERT INTO climate_stale (latitude, longitude, scenario)"
        " SELECT DISTINCT latitude, longitude, scenario FROM climate_data"
    )
    assert await connection.fetchval("SELECT riskflow.repack()") == 3
    assert await connection.fetch(PACKED) == direct


async def test_stored_cells_are_merged(connection: asyncpg.Connection) -> None:
    await copy_months(connection, LATITUDE, LONGITUDE, "historical", months("ta", "rn"))
    await copy_months(connection, LATITUDE, LONGITUDE, "historical", months("ws", first_year=2001))
    row = (await connection.fetch(PACKED))[0]
    packed = np.frombuffer(row["months"], dtype=">f8").reshape(-1, 8)
    assert (row["first_year"], packed.shape) == (2000, (36, 8))
    # The cell in the south is the third of the block.
    np.testing.assert_array_equal(packed[:, 0], [*range(48, 72), *[np.nan] * 12])
    np.testing.assert_array_equal(packed[:, 5], [*[np.nan] * 12, *range(48, 72)])


async def test_notes_of_other_rows_in_the_same_transaction_stay(connection: asyncpg.Connection) -> None:
    async with connection.transaction():
        await connection.execute(
            "INSERT INTO climate_data (latitude, longitude, year, month, ta) VALUES (1, 2, 2000, 1, 9)"
        )
        await copy_months(connection, LATITUDE, LONGITUDE, "historical", months("ta"))
        assert await connection.fetchval("SELECT count(*) FROM climate_stale") == 1
    assert await connection.fetchval("SELECT riskflow.repack()") == 1
    assert await connection.fetchval("SELECT count(*) FROM climate_packed") == 4


async def test_a_failed_block_leaves_nothing(connection: asyncpg.Connection) -> None:
    twice = np.array([1.0, 1.0, 2.0])
    with pytest.raises(asyncpg.UniqueViolationError):
        await copy_months(connection, twice, twice, "historical", months("ta"))
    assert await connection.fetchval("SELECT count(*) FROM climate_data") == 0
    assert await connection.fetchval("SELECT count(*) FROM climate_packed") == 0


async def test_indices_and_sites_are_stored_and_registered(connection: asyncpg.Connection) -> None:
    series = AnnualSeries(
        1991, {"wsdi": np.array([[1.0, np.nan], [3, 4], [5, 6]]), "rx1day": np.full((3, 2), 80.5)}
    )
    valid = np.full((3, 2), 365)
    assert (
        await copy_indices(
            connection,
            LATITUDE,
            LONGITUDE,
            "historical",
            series,
            baseline=Years(1991, 2020),
            valid_days=valid,
        )
        == 6
    )
    rows = await connection.fetch(
        "SELECT * FROM climate_extremes WHERE longitude = 0 OR wsdi IS NULL ORDER BY year, wsdi"
    )
    assert [(row["year"], row["wsdi"], row["rx1day"], row["csdi"], row["valid_days"]) for row in rows] == [
        (1991, 3.0, 80.5, None, 365),
        (1992, 4.0, 80.5, None, 365),
        (1992, None, 80.5, None, 365),
    ]
    assert await connection.fetchval("SELECT count(*) FROM grid_cells") == 3
    labels = {
        "land_cover": ["urban", None, "forest"],
        "station": np.array(["Busan", None, None], dtype=object),
    }
    numbers = {"slope": np.array([0.1, np.nan, 0.3])}
    assert await copy_sites(connection, LATITUDE, LONGITUDE, numbers, labels) == 3
    sites = await connection.fetch(
        "SELECT slope, land_cover, station, basin FROM grid_cells ORDER BY longitude"
    )
    assert [tuple(site) for site in sites] == [
        (0.1, "urban", "Busan", None),
        (None, None, None, None),
        (0.3, "forest", None, None),
    ]
