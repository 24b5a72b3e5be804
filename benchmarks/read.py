"""The bulk read of chunks against a bare binary COPY of the same rows, decoded into the same arrays."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import asyncpg
import numpy as np
import psycopg2
from numpy.typing import NDArray

from benchmarks.outcome import Outcome, speeds
from benchmarks.rounds import Size, alternate
from benchmarks.stage import YEARS, now, stage
from ops.generator.cells import Cells
from schemas.database import session
from streams.cells import input_groups, read_chunk, read_tracks
from streams.models.inputs import ANNUAL_INDICES, HISTORICAL, MONTHLY_VARIABLES, SITE_NUMBERS, CellInputs
from streams.models.risks import RISKS
from streams.places import BASIN, SEA_LEVEL
from streams.request import Request

CHUNK = 64
"""BATCH_SIZE as it is by default."""
PLACE_NUMBERS = (*SITE_NUMBERS, *SEA_LEVEL, *BASIN)
LABELS = ("land_cover", "station")
LABEL_BYTES = 40
HEADER, TRAILER = 19, 2
"""Bytes before and after the rows of a binary COPY without extensions (PostgreSQL, COPY, file formats)."""
YEAR_TABLES = ("sea_level", "demand", "warming")

_ASKED = """
    unnest(%(latitudes)s::numeric[], %(longitudes)s::numeric[])
        WITH ORDINALITY AS asked (latitude, longitude, place)
"""
_MONTHS = f"""
    SELECT asked.place::int4 - 1, first_year, months
    FROM {_ASKED} JOIN climate_packed USING (latitude, longitude) WHERE scenario = %(scenario)s
"""
_INDICES = f"""
    SELECT asked.place::int4 - 1, year, {", ".join(f"coalesce({name}, 'NaN')" for name in ANNUAL_INDICES)}
    FROM {_ASKED} JOIN climate_extremes USING (latitude, longitude)
    WHERE scenario = %(scenario)s AND baseline_start = %(start)s AND baseline_end = %(end)s
"""
_PLACES = f"""
    SELECT asked.place::int4 - 1, {", ".join(f"coalesce({name}, 'NaN')" for name in PLACE_NUMBERS)},
           {", ".join(f"rpad(coalesce(cell.{name}, ''), {LABEL_BYTES})" for name in LABELS)}
    FROM {_ASKED} JOIN grid_cells cell USING (latitude, longitude)
    LEFT JOIN sea_level_stations level USING (station) LEFT JOIN water_basins USING (basin)
"""
_YEARS = """
    SELECT 0, array_position(%(stations)s::text[], station) - 1, year, rise_mm FROM sea_level_rise
    WHERE scenario = %(scenario)s AND station = ANY (%(stations)s::text[])
    UNION ALL SELECT 1, 0, year, ratio FROM water_demand WHERE scenario = %(scenario)s
    UNION ALL SELECT 2, 0, year, dt_c FROM climate_warming WHERE scenario = %(scenario)s
    ORDER BY 1, 2, 3
"""

Arrays = dict[str, NDArray[Any]]


async def read(size: Size) -> list[Outcome]:
    """Cells a second of both, one chunk after the other on one connection each."""
    count = size.of(4_000, 2 * CHUNK)
    async with stage() as here:
        grid = await here.draw(count, indices=True)
        dsn = here.settings.dsn
        async with session(dsn, application="bench") as connection:
            bulk = BulkRead(connection, requests(grid), await read_tracks(connection, YEARS, YEARS))
            with closing(psycopg2.connect(dsn)) as other:
                bare = BareCopy(other, bulk.requests)
                for request in bulk.requests:
                    agree(await bulk.of(request), bare.of(request))
                a, b = await alternate(size, bulk.speed, bare.speed)
    note = (
        f"{len(bulk.requests)} chunks of {CHUNK} cells, one connection each: 360 packed months, 30 years of "
        "annual indices, sites and the small tables. B is COPY in binary through libpq, its rows of fixed "
        "layout decoded by NumPy; it has no common snapshot, and all series must be of one length. "
        "Before the rounds all numbers of both are compared."
    )
    return [speeds("read", "bulk read / bare binary COPY, decoded", "cells/s", a, b, 0.90, note)]


def requests(grid: Cells) -> list[Request]:
    """Whole chunks of the grid, for all nine risks."""
    cells = list(zip(grid.latitude.tolist(), grid.longitude.tolist(), strict=True))
    groups = input_groups(RISKS)
    return [
        Request(cells[start : start + CHUNK], HISTORICAL, YEARS, YEARS, groups)
        for start in range(0, len(cells) - CHUNK + 1, CHUNK)
    ]


@dataclass
class BulkRead:
    """What the worker does for each chunk."""

    connection: asyncpg.Connection
    requests: Sequence[Request]
    tracks: Any

    async def of(self, request: Request) -> CellInputs:
        """The inputs of a chunk."""
        return (await read_chunk(self.connection, request, self.tracks)).inputs

    async def speed(self) -> float:
        """Cells a second."""
        begun = now()
        for request in self.requests:
            await self.of(request)
        return len(self.requests) * CHUNK / (now() - begun)


class BareCopy:
    """The same numbers by four COPY statements a chunk."""

    def __init__(self, connection: Any, wanted: Sequence[Request]) -> None:
        connection.autocommit = True
        self._connection = connection
        self._cursor = connection.cursor()
        self._requests = wanted

    def of(self, request: Request) -> Arrays:
        """The arrays of a chunk."""
        latitudes, longitudes = request.coordinates
        asked: dict[str, object] = {
            "latitudes": latitudes,
            "longitudes": longitudes,
            "scenario": request.scenario,
        }
        baseline: dict[str, object] = {"start": request.baseline.start, "end": request.baseline.end}
        cells = len(request.cells)
        arrays = months(self._copied(_MONTHS, asked), cells)
        arrays |= indices(self._copied(_INDICES, asked | baseline), cells)
        arrays |= places(self._copied(_PLACES, asked), cells)
        stations = sorted(set(arrays["station"]) - {None})
        of_years = self._copied(_YEARS, {"stations": stations, "scenario": request.scenario})
        return arrays | year_tables(of_years, stations, arrays["station"])

    async def speed(self) -> float:
        """Cells a second."""
        begun = now()
        for request in self._requests:
            self.of(request)
        return len(self._requests) * CHUNK / (now() - begun)

    def _copied(self, query: str, values: Mapping[str, object]) -> memoryview:
        copied = io.BytesIO()
        told = self._cursor.mogrify(query, values).decode()
        self._cursor.copy_expert(f"COPY ({told}) TO STDOUT (FORMAT BINARY)", copied, 1 << 16)
        return copied.getbuffer()


def rows(data: memoryview, **columns: str | tuple[str, tuple[int, ...]]) -> NDArray[Any]:
    """Rows of a binary COPY in which every row has the same layout and no null."""
    fields: list[Any] = [("", ">i2")]
    for name, kind in columns.items():
        fields += [(f"{name} bytes", ">i4"), (name, *([kind] if isinstance(kind, str) else kind))]
    layout = np.dtype(fields)
    found = np.frombuffer(data, layout, (len(data) - HEADER - TRAILER) // layout.itemsize, HEADER)
    for name in columns:
        if (found[f"{name} bytes"] != found.dtype[name].itemsize).any():
            raise ValueError(f"the rows differ in the width of {name}")
    return found


def months(data: memoryview, cells: int) -> Arrays:
    """Variables from January of the first year, each (cells, months)."""
    at = HEADER + 2 + 4 + 4 + 4 + 4
    width = int.from_bytes(data[at : at + 4])
    steps = width // 8 // len(MONTHLY_VARIABLES)
    found = rows(data, place=">i4", first=">i4", months=(">f8", (steps, len(MONTHLY_VARIABLES))))
    block = np.full((len(MONTHLY_VARIABLES), cells, steps), np.nan)
    for place, of_cell in zip(found["place"].tolist(), found["months"], strict=True):
        block[:, place] = of_cell.copy().T  # a copy, because NumPy is slow where numbers are not aligned
    return dict(zip(MONTHLY_VARIABLES, block, strict=True))


def indices(data: memoryview, cells: int) -> Arrays:
    """Annual indices from the first year, each (cells, years)."""
    found = rows(data, place=">i4", year=">i4", **dict.fromkeys(ANNUAL_INDICES, ">f8"))
    year = found["year"].astype(int)
    year -= year.min()
    block = np.full((len(ANNUAL_INDICES), cells, year.max() + 1), np.nan)
    for variable, name in zip(block, ANNUAL_INDICES, strict=True):
        variable[found["place"], year] = found[name]
    return dict(zip(ANNUAL_INDICES, block, strict=True))


def places(data: memoryview, cells: int) -> Arrays:
    """Site, coast and basin of the cells, each (cells,)."""
    text = dict.fromkeys(LABELS, f"S{LABEL_BYTES}")
    found = rows(data, place=">i4", **dict.fromkeys(PLACE_NUMBERS, ">f8"), **text)
    arrays: Arrays = {}
    for name in PLACE_NUMBERS:
        arrays[name] = np.full(cells, np.nan)
        arrays[name][found["place"]] = found[name]
    for name in LABELS:
        arrays[name] = np.full(cells, None, dtype=object)
        arrays[name][found["place"]] = [label.decode().rstrip() or None for label in found[name].tolist()]
    return arrays


def year_tables(data: memoryview, stations: list[str], of_cells: NDArray[Any]) -> Arrays:
    """Years and values of each table, those of the sea (cells, years)."""
    found = rows(data, table=">i4", station=">i4", year=">i4", value=">f8")
    arrays: Arrays = {}
    for number, name in enumerate(YEAR_TABLES):
        table = found[found["table"] == number]
        arrays[f"{name} years"], at = np.unique(table["year"], return_inverse=True)
        values = np.full((len(stations) + 1, len(arrays[f"{name} years"])), np.nan)
        values[table["station"], at] = table["value"]
        arrays[name] = values[0]
        if name == "sea_level":
            arrays[name] = values[[stations.index(each) if each else -1 for each in of_cells]]
    return arrays


def agree(inputs: CellInputs, arrays: Arrays) -> None:
    """Both sides hold the same numbers.

    Raises:
        AssertionError: They do not; names the array.
    """
    told: dict[str, NDArray[Any]] = {}
    for series in (inputs.months, inputs.indices):
        for name, values in series.values.items():
            steps = arrays[name].shape[1]
            # The bulk read goes on to the end of what the models ask for.
            np.testing.assert_array_equal(values[:, steps:], np.nan, name)
            told[name] = values[:, :steps]
    told |= (
        dict(inputs.site) | dict(inputs.sea_level) | dict(inputs.basin) | {"land_cover": inputs.land_cover}
    )
    tables = zip(YEAR_TABLES, (inputs.sea_level_rise, inputs.demand, inputs.warming), strict=True)
    for name, table in tables:
        if table is None:
            raise AssertionError(f"{name} was not read")
        told |= {name: table.values, f"{name} years": table.years}
    for name in told:
        np.testing.assert_array_equal(told[name], arrays[name], name)
