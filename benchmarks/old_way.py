"""The old access pattern: cell by cell, a connection a query, a statement a row; a program of its own.

What it does is what the replaced batch jobs did, and no more:
- a job per kind walks the grid, four processes with a part of it each;
- of every cell it reads months, site, basin and coastal station, each by a new psycopg2 connection and a
  `SELECT *` into dicts; a station only where the site names one;
- the yearly intensity of a risk is the simplest aggregate of the year's months;
- its probabilities are five `integrate_box_1d` of a `scipy.stats.gaussian_kde`; of a sample without spread,
  which has no such density, the shares of the bins;
- every row is an `INSERT ... ON CONFLICT` with a commit of its own. These go through one connection of the
  process: a connection a row would take twice the time again.

It draws no daily weather and computes neither SPEI nor FWI, nor bootstraps, GEV fits or storm winds.

Lines in: {"dsn", "tables": {"probability", "hazard"}, "scenario", "window": [first, last], "cells":
[[latitude, longitude], ...]}; lines out: {"rows": how many were written}.
"""

from __future__ import annotations

import json
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import groupby, pairwise
from typing import Any

import numpy as np
import psycopg2
from scipy.stats import gaussian_kde

PROCESSES = 4
INFINITY = float("inf")
DAMAGE = (0.0, 0.002, 0.010, 0.020, 0.035)
"""Base damage rate of each of the five bins."""
LEVELS = ("Very Low", "Low", "Medium", "High", "Very High")
NO_DATA = "no_data"

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Cell:
    """What was read of a cell: its months by year, and rows that may be empty."""

    years: Sequence[Sequence[Record]]
    site: Record
    basin: Record
    station: Record


@dataclass(frozen=True, slots=True)
class Grid:
    """A job of one kind on a part of the grid."""

    dsn: str
    kind: str
    table: str
    scenario: str
    window: tuple[int, int]
    cells: Sequence[tuple[float, float]]


def by_month(variable: str, pick: Callable[[Sequence[float]], float], cell: Cell) -> list[float]:
    """One value a year: what `pick` makes of the year's months that are there."""
    years = ([month[variable] for month in year if month[variable] is not None] for year in cell.years)
    return [pick(values) for values in years if values]


def ponding(cell: Cell) -> list[float]:
    """Largest month's rain [mm] on sealed ground."""
    sealed = cell.site.get("imperviousness")
    return [] if sealed is None else [sealed * rain for rain in by_month("rn", max, cell)]


def coast(cell: Cell) -> list[float]:
    """Usual highest water over the ground [m], higher in a year of strong winds."""
    if not cell.station or cell.site.get("elevation_m") is None:
        return []
    depth = cell.station["location_m"] - cell.site["elevation_m"]
    return [depth + cell.station["scale_m"] * wind for wind in by_month("ws", max, cell)]


def scarcity(cell: Cell) -> list[float]:
    """Withdrawal over renewable water, the latter as the year's rain to the mean's."""
    rain = by_month("rn", sum, cell)
    if not cell.basin or not rain or min(rain) <= 0:
        return []
    usual = cell.basin["withdrawal_mcm"] / cell.basin["renewable_mcm"] * sum(rain) / len(rain)
    return [usual / year for year in rain]


RISKS: dict[str, tuple[Callable[[Cell], list[float]], tuple[float, float, float, float]]] = {
    "high_temperature": (partial(by_month, "tamax", max), (28, 31, 34, 37)),
    "cold_wave": (partial(by_month, "tamin", lambda months: -min(months)), (5, 10, 15, 20)),
    "drought": (partial(by_month, "rn", lambda months: -sum(months)), (-1400, -1200, -1000, -800)),
    "wildfire": (partial(by_month, "rhm", lambda months: 100 - min(months)), (40, 50, 60, 70)),
    "inland_flood": (partial(by_month, "rn", max), (200, 300, 400, 600)),
    "urban_flood": (ponding, (50, 100, 200, 300)),
    "coastal_flood": (coast, (0, 0.3, 0.5, 1.0)),
    "typhoon": (partial(by_month, "ws", max), (3, 4, 5, 6)),
    "water_scarcity": (scarcity, (0.25, 0.5, 0.75, 1.0)),
}
"""Yearly intensity and edges of the five bins."""

KEY = ("latitude", "longitude", "risk_type", "scenario", "window_start", "window_end")
VALUES = {
    "probability": ("probability", "bin_data", "aal"),
    "hazard": ("hazard_score", "hazard_score_100", "hazard_level"),
}


def query(dsn: str, statement: str, arguments: Sequence[object]) -> list[Record]:
    """Rows of one statement, on a connection that it does not share."""
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def first(rows: Sequence[Record]) -> Record:
    """The only row there can be, or an empty one."""
    return rows[0] if rows else {}


def read(grid: Grid, cell: tuple[float, float]) -> Cell:
    """Everything the risks take of a cell."""
    ask = partial(query, grid.dsn)
    months = ask(
        "SELECT * FROM climate_data WHERE latitude = %s AND longitude = %s AND scenario = %s "
        "AND year BETWEEN %s AND %s ORDER BY year, month",
        (*cell, grid.scenario, *grid.window),
    )
    site = first(ask("SELECT * FROM grid_cells WHERE latitude = %s AND longitude = %s", cell))
    basin, station = site.get("basin"), site.get("station")
    return Cell(
        years=[list(year) for _, year in groupby(months, key=lambda month: month["year"])],
        site=site,
        basin=first(ask("SELECT * FROM water_basins WHERE basin = %s", (basin,))) if basin else {},
        station=first(ask("SELECT * FROM sea_level_stations WHERE station = %s", (station,)))
        if station
        else {},
    )


def probabilities(intensity: Sequence[float], edges: Sequence[float]) -> list[float]:
    """Mass of the five bins between -infinity, the edges and infinity."""
    bins = list(pairwise((-INFINITY, *edges, INFINITY)))
    values = np.array(intensity)
    if np.ptp(values) == 0:
        return [float(np.mean((values >= lower) & (values < upper))) for lower, upper in bins]
    density = gaussian_kde(values)
    return [float(density.integrate_box_1d(lower, upper)) for lower, upper in bins]


def probability_values(probability: Sequence[float], edges: Sequence[float]) -> tuple[object, ...]:
    """Columns of VALUES["probability"]."""
    bounds = (None, *edges, None)
    bins = [
        {"bin": place + 1, "lower": lower, "upper": upper, "probability": mass, "base_damage_rate": rate}
        for place, ((lower, upper), mass, rate) in enumerate(
            zip(pairwise(bounds), probability, DAMAGE, strict=True)
        )
    ]
    loss = sum(mass * rate for mass, rate in zip(probability, DAMAGE, strict=True))
    return json.dumps(probability), json.dumps(bins), loss


def hazard_values(probability: Sequence[float], _edges: Sequence[float]) -> tuple[object, ...]:
    """Columns of VALUES["hazard"]: the mean bin, 0 to 1."""
    score = sum(mass * place for place, mass in enumerate(probability)) / (len(probability) - 1)
    return score, 100 * score, LEVELS[min(int(score * len(LEVELS)), len(LEVELS) - 1)]


def rows(kind: str, cell: Cell) -> Iterator[tuple[object, ...]]:
    """Per risk its name, the columns of VALUES and the reason why they are empty."""
    values_of = probability_values if kind == "probability" else hazard_values
    for name, (intensity, edges) in RISKS.items():
        sample = intensity(cell)
        if sample:
            yield name, *values_of(probabilities(sample, edges), edges), None
        else:
            yield name, None, None, None, NO_DATA


def upsert(table: str, kind: str) -> str:
    """Statement of one row."""
    values = (*VALUES[kind], "reason")
    columns = ("latitude", "longitude", "scenario", "window_start", "window_end", "risk_type", *values)
    changed = ", ".join(f"{column} = excluded.{column}" for column in (*values, "calculated_at"))
    return (
        f"INSERT INTO {table} ({', '.join(columns)}, job_seq, calculated_at) "
        f"VALUES ({', '.join(['%s'] * len(columns))}, 0, now()) "
        f"ON CONFLICT ({', '.join(KEY)}) DO UPDATE SET {changed}"
    )


def walk(grid: Grid) -> int:
    """Read, compute and store cell by cell; returns the rows written."""
    statement, written = upsert(grid.table, grid.kind), 0
    with closing(psycopg2.connect(grid.dsn)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for cell in grid.cells:
            for row in rows(grid.kind, read(grid, cell)):
                cursor.execute(statement, (*cell, grid.scenario, *grid.window, *row))
                written += cursor.rowcount
    return written


def parts(order: Mapping[str, Any], kind: str) -> list[Grid]:
    """A kind's job for each process."""
    cells = [(latitude, longitude) for latitude, longitude in order["cells"]]
    start, end = order["window"]
    return [
        Grid(order["dsn"], kind, order["tables"][kind], order["scenario"], (start, end), cells[i::PROCESSES])
        for i in range(PROCESSES)
    ]


def main() -> None:
    """Answer orders until there are none."""
    with multiprocessing.Pool(PROCESSES) as pool:
        # Only now: the pool's processes end by the default, this one takes them along.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        for line in sys.stdin:
            order = json.loads(line)
            written = sum(sum(pool.map(walk, parts(order, kind), chunksize=1)) for kind in VALUES)
            sys.stdout.write(json.dumps({"rows": written}) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
