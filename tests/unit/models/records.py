"""Real records of the shared folder as arrays, and inputs with only what a test names."""

import csv
import gzip
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from streams.models.daily import DailyBlock, DailyIndices, daily_indices, thresholds
from streams.models.inputs import (
    ANNUAL_INDICES,
    MONTHLY_VARIABLES,
    AnnualSeries,
    CellInputs,
    MonthlySeries,
    Years,
)

NORMALS = Years(1991, 2020)


@dataclass(frozen=True)
class Stations:
    names: list[str]
    latitude: np.ndarray
    longitude: np.ndarray
    days: DailyBlock

    def index(self, name: str) -> int:
        return self.names.index(name)


@cache
def korea(folder: Path) -> Stations:
    """The 35 stations' days of 1991-2020."""
    with gzip.open(folder / "korea_asos_daily_1991_2020.csv.gz", "rt") as file:
        columns = file.readline().strip().split(",")
        table = np.array([line.rstrip("\n").split(",") for line in file])
    first = np.datetime64("1991-01-01")
    day = (table[:, 2].astype("datetime64[D]") - first).astype(np.int64)
    places, station = np.unique(table[:, :2], axis=0, return_inverse=True)
    values = {}
    for position, column in enumerate(columns[3:], 3):
        known = table[:, position] != ""
        values[column] = np.full((len(places), 10958), np.nan)
        values[column][station[known], day[known]] = table[known, position].astype(np.float64)
    with (folder / "korea_stations.csv").open() as file:
        names = {(row["latitude"], row["longitude"]): row["name"] for row in csv.DictReader(file)}
    latitude, longitude = places.astype(np.float64).T
    return Stations(
        [names[north, east] for north, east in places], latitude, longitude, DailyBlock(1991, **values)
    )


@cache
def korea_indices(folder: Path) -> DailyIndices:
    """What the loader would store of the 35 stations."""
    stations = korea(folder)
    return daily_indices(stations.days, stations.latitude, thresholds(stations.days, NORMALS))


@cache
def iberia(folder: Path) -> CellInputs:
    """The 330 cells' months of 1981-2010, which are the window and the baseline."""
    with gzip.open(folder / "iberia_monthly_1981_2010.csv.gz", "rt") as file:
        columns = file.readline().strip().split(",")
        table = np.loadtxt(file, delimiter=",")
    places, cell = np.unique(table[:, :2], axis=0, return_inverse=True)
    month = (12 * (table[:, 2] - 1981) + table[:, 3] - 1).astype(np.int64)
    values = {}
    for position, column in enumerate(columns[4:], 4):
        values[column] = np.full((len(places), 360), np.nan)
        values[column][cell, month] = table[:, position]
    years = Years(1981, 2010)
    inputs = chunk(values, first_year=1981, window=years, baseline=years)
    return replace(inputs, latitude=places[:, 0], longitude=places[:, 1])


def chunk(
    months: Mapping[str, np.ndarray],
    *,
    first_year: int = 1991,
    window: Years = NORMALS,
    baseline: Years = NORMALS,
    indices: Mapping[str, np.ndarray] | None = None,
) -> CellInputs:
    """Cells of the scenario `historical`; what is not given is missing."""
    cells, count = next(iter(months.values())).shape
    every = {name: np.full((cells, count), np.nan) for name in MONTHLY_VARIABLES} | dict(months)
    missing = {name: np.full((cells, len(window)), np.nan) for name in ANNUAL_INDICES}
    monthly = MonthlySeries(first_year, every)
    annual = AnnualSeries(window.start, missing | dict(indices or {}))
    return CellInputs(
        latitude=np.full(cells, 37.0),
        longitude=np.linspace(126.0, 129.0, cells),
        scenario="historical",
        window=window,
        baseline=baseline,
        baseline_months=monthly,
        months=monthly,
        baseline_indices=annual,
        indices=annual,
        site={"elevation_m": np.full(cells, 50.0)},
        land_cover=np.full(cells, None, dtype=object),
    )


def plausible_months(cells: int, years: int, seed: int = 3) -> dict[str, np.ndarray]:
    """Months of a temperate climate with every variable but si and wet_days."""
    random = np.random.default_rng(seed)
    season = np.tile(-np.cos(2 * np.pi * np.arange(12) / 12), years)
    mean = 13 + 12 * season + random.normal(0, 1.2, (cells, 12 * years))
    return {
        "ta": mean,
        "tamax": mean + 5,
        "tamin": mean - 5,
        "rn": random.gamma(2.0, 55.0, (cells, 12 * years)),
        "rhm": np.clip(60 + 12 * season + random.normal(0, 5, (cells, 12 * years)), 20, 95),
        "ws": random.gamma(20.0, 0.12, (cells, 12 * years)),
    }
