"""The bulk read of a chunk: what its risks need of all its cells, in one snapshot and few statements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import asyncpg
import numpy as np

from streams.models.inputs import (
    ANNUAL_INDICES,
    HISTORICAL,
    MONTHLY_VARIABLES,
    AnnualSeries,
    Array,
    CellInputs,
    HourlyTracks,
    MonthlySeries,
    Years,
)
from streams.models.risks import RISKS
from streams.packed import (
    CorruptSeriesError,
    Parts,
    Series,
    annual_series,
    join,
    monthly_series,
    unpack_months,
    unpack_years,
)
from streams.places import read_places, read_year_tables
from streams.request import ASKED, SAME_CELL, Request
from streams.tracks import read_tracks

__all__ = ["Reading", "input_groups", "read_cells", "read_chunk", "read_tracks"]

Joined = TypeVar("Joined", MonthlySeries, AnnualSeries)

_MONTHS = f"""
SELECT asked.place - 1 AS place, stored.scenario, stored.first_year, stored.months
FROM {ASKED} JOIN climate_packed stored ON (stored.latitude, stored.longitude) = {SAME_CELL}
WHERE stored.scenario = ANY ($3::text[])
"""  # noqa: S608 - composed of constants only

# Spells count against the thresholds of one baseline; those of another are not this job's.
_INDICES = f"""
SELECT asked.place - 1 AS place, stored.scenario, string_agg(
           float8send(stored.year)
        || float8send(coalesce(CASE WHEN same_baseline THEN stored.wsdi END, 'NaN'))
        || float8send(coalesce(CASE WHEN same_baseline THEN stored.csdi END, 'NaN'))
        || float8send(coalesce(stored.rx1day, 'NaN'))
        || float8send(coalesce(stored.fwi_days, 'NaN'))
        || float8send(coalesce(stored.fwi_max, 'NaN')), '' ORDER BY stored.year) AS years
FROM {ASKED} JOIN climate_extremes stored ON (stored.latitude, stored.longitude) = {SAME_CELL}
CROSS JOIN LATERAL (SELECT coalesce(stored.baseline_start, $4) = $4
                       AND coalesce(stored.baseline_end, $5) = $5 AS same_baseline) AS thresholds
WHERE stored.scenario = ANY ($3::text[])
GROUP BY 1, 2
"""  # noqa: S608 - as above


@dataclass(frozen=True, slots=True)
class Reading:
    """Inputs of a chunk's cells, and by place what could not be read of the input group `months`."""

    inputs: CellInputs
    corrupt_months: Mapping[int, str]


def input_groups(risks: Iterable[str]) -> frozenset[str]:
    """Input groups that any of the risks reads."""
    return frozenset(group for risk in risks for group in RISKS[risk].inputs)


async def read_cells(  # noqa: PLR0913 - each named at the call
    connection: asyncpg.Connection,
    cells: Sequence[tuple[float, float]],
    *,
    scenario: str,
    window: Years,
    baseline: Years,
    risks: Sequence[str],
    tracks: HourlyTracks | None = None,
) -> CellInputs:
    """What the risks need of the cells, as (latitude, longitude) in degrees.

    Groups that no risk reads are NaN or empty. Series begin with the first stored year.

    Raises:
        CorruptSeriesError: A cell's packed months cannot be read; names the cell.
    """
    request = Request(cells, scenario, window, baseline, input_groups(risks))
    reading = await read_chunk(connection, request, tracks)
    for place, fault in reading.corrupt_months.items():
        raise CorruptSeriesError(f"cell {cells[place][0]}, {cells[place][1]}: {fault}")
    return reading.inputs


async def read_chunk(
    connection: asyncpg.Connection, request: Request, tracks: HourlyTracks | None
) -> Reading:
    """As `read_cells`; a cell whose months are damaged has none and is told apart."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        months, corrupt = await _months(connection, request)
        indices = await _indices(connection, request)
        places = await read_places(connection, request)
        tables = await read_year_tables(connection, request, places.stations)
    inputs = CellInputs(
        latitude=np.array(request.coordinates[0]),
        longitude=np.array(request.coordinates[1]),
        scenario=request.scenario,
        window=request.window,
        baseline=request.baseline,
        baseline_months=months[0],
        months=months[1],
        baseline_indices=indices[0],
        indices=indices[1],
        site=places.site,
        land_cover=places.land_cover,
        sea_level=places.sea_level,
        basin=places.basin,
        sea_level_rise=tables.get("sea_level"),
        demand=tables.get("demand"),
        warming=tables.get("warming"),
        storms=tracks,
    )
    return Reading(inputs, corrupt)


async def _months(
    connection: asyncpg.Connection, request: Request
) -> tuple[tuple[MonthlySeries, MonthlySeries], dict[int, str]]:
    if "months" not in request.groups:
        nothing = MonthlySeries(request.baseline.start, _nothing(MONTHLY_VARIABLES, len(request.cells)))
        return (nothing, nothing), {}
    stored: dict[str, dict[int, Series]] = {name: {} for name in request.scenarios}
    corrupt: dict[int, str] = {}
    for row in await connection.fetch(_MONTHS, *request.coordinates, request.scenarios):
        try:
            stored[row["scenario"]][row["place"]] = unpack_months(row["first_year"], row["months"])
        except CorruptSeriesError as error:
            corrupt[row["place"]] = f"{error} (scenario {row['scenario']})"
    return _both(request, stored, monthly_series), corrupt


async def _indices(connection: asyncpg.Connection, request: Request) -> tuple[AnnualSeries, AnnualSeries]:
    if "indices" not in request.groups:
        nothing = AnnualSeries(request.baseline.start, _nothing(ANNUAL_INDICES, len(request.cells)))
        return nothing, nothing
    stored: dict[str, dict[int, Series]] = {name: {} for name in request.scenarios}
    baseline = request.baseline
    rows = await connection.fetch(
        _INDICES, *request.coordinates, request.scenarios, baseline.start, baseline.end
    )
    for row in rows:
        stored[row["scenario"]][row["place"]] = unpack_years(row["years"])
    return _both(request, stored, annual_series)


def _both(
    request: Request,
    stored: Mapping[str, Mapping[int, Series]],
    build: Callable[[int, Parts, Years], Joined],
) -> tuple[Joined, Joined]:
    """The `historical` series and the scenario's; the same object where they are one."""
    cells, historical = len(request.cells), stored[HISTORICAL]
    alone = {place: (series,) for place, series in historical.items()}
    if request.scenario == HISTORICAL:
        whole = build(cells, alone, request.whole_span)
        return whole, whole
    joined = join(historical, stored[request.scenario])
    return build(cells, alone, request.baseline), build(cells, joined, request.whole_span)


def _nothing(variables: Iterable[str], cells: int) -> dict[str, Array]:
    return {name: np.empty((cells, 0)) for name in variables}
