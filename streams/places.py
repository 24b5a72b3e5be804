"""What the cells are: site, coast and basin, and the tables by year that go with them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg
import numpy as np

from streams.models.inputs import SITE_NUMBERS, Array, Labels, YearTable
from streams.request import ASKED, SAME_CELL, Request

SEA_LEVEL = ("location_m", "scale_m", "shape")
"""Columns of sea_level_stations: GEV of annual maxima, m, m, 1."""

BASIN = ("renewable_mcm", "withdrawal_mcm")
"""Columns of water_basins, million m3 a year."""

_PLACES = f"""
SELECT asked.place - 1 AS place, cell.elevation_m, cell.coast_km, cell.river_km, cell.imperviousness,
       cell.slope, cell.land_cover, cell.station, level.location_m, level.scale_m, level.shape,
       basin.renewable_mcm, basin.withdrawal_mcm
FROM {ASKED} JOIN grid_cells cell ON (cell.latitude, cell.longitude) = {SAME_CELL}
LEFT JOIN sea_level_stations level ON level.station = cell.station
LEFT JOIN water_basins basin ON basin.basin = cell.basin
"""  # noqa: S608 - composed of constants only

_YEAR_TABLES = """
SELECT 'sea_level' AS quantity, station, year, rise_mm AS value FROM sea_level_rise
WHERE scenario = $1 AND station = ANY ($2::text[])
UNION ALL SELECT 'demand', NULL, year, ratio FROM water_demand WHERE scenario = $1
UNION ALL SELECT 'warming', NULL, year, dt_c FROM climate_warming WHERE scenario = $1
"""


@dataclass(frozen=True, slots=True)
class Places:
    """Attributes of the chunk's cells, each (cells,); NaN or None where unknown."""

    site: Mapping[str, Array]
    land_cover: Labels
    stations: Labels
    sea_level: Mapping[str, Array]
    basin: Mapping[str, Array]


async def read_places(connection: asyncpg.Connection, request: Request) -> Places:
    """Site, coastal station and basin of each cell, if any risk reads one of them."""
    rows: list[Mapping[str, object]] = [{} for _ in request.cells]
    if not request.groups.isdisjoint({"site", "sea_level", "basins"}):
        for row in await connection.fetch(_PLACES, *request.coordinates):
            rows[row["place"]] = row
    return Places(
        site={name: _numbers(rows, name) for name in SITE_NUMBERS},
        land_cover=_labels(rows, "land_cover"),
        stations=_labels(rows, "station"),
        sea_level={name: _numbers(rows, name) for name in SEA_LEVEL},
        basin={name: _numbers(rows, name) for name in BASIN},
    )


async def read_year_tables(
    connection: asyncpg.Connection, request: Request, stations: Labels
) -> dict[str, YearTable]:
    """The scenario's rise (key `sea_level`; per cell), demand and warming, as far as a risk reads them."""
    wanted = request.groups & {"sea_level", "demand", "warming"}
    if not wanted:
        return {}
    named = sorted({station for station in stations if station is not None})
    found: dict[str, dict[str | None, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in await connection.fetch(_YEAR_TABLES, request.scenario, named):
        found[row["quantity"]][row["station"]][row["year"]] = row["value"]
    tables = {name: _table(found[name][None]) for name in wanted - {"sea_level"}}
    if "sea_level" in wanted:
        tables["sea_level"] = _table_of_cells(found["sea_level"], stations)
    return tables


def _table(values: Mapping[int, float]) -> YearTable:
    years = sorted(values)
    return YearTable(np.array(years, float), np.array([values[year] for year in years], float))


def _table_of_cells(values: Mapping[str | None, Mapping[int, float]], stations: Labels) -> YearTable:
    """On the years of all stations; NaN in those that a cell's own station has not."""
    years = sorted({year for of_station in values.values() for year in of_station})
    rows = {
        station: [of_station.get(year, np.nan) for year in years] for station, of_station in values.items()
    }
    unknown = [np.nan] * len(years)
    cells = [rows.get(station, unknown) for station in stations]
    return YearTable(np.array(years, float), np.array(cells, float).reshape(len(stations), len(years)))


def _numbers(rows: Sequence[Mapping[str, object]], name: str) -> Array:
    return np.array([row.get(name) for row in rows], dtype=np.float64)


def _labels(rows: Sequence[Mapping[str, object]], name: str) -> Labels:
    labels = np.full(len(rows), None, dtype=object)
    labels[:] = [row.get(name) for row in rows]
    return labels
