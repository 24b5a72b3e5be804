"""Inputs of a chunk with only what a test names."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from streams.models.daily import DailyBlock, daily_indices, thresholds
from streams.models.dates import year_lengths
from streams.models.inputs import (
    ANNUAL_INDICES,
    MONTHLY_VARIABLES,
    SITE_NUMBERS,
    AnnualSeries,
    Array,
    CellInputs,
    MonthlySeries,
    Years,
)

BASELINE = Years(1991, 2020)

MakeInputs = Callable[..., CellInputs]


@pytest.fixture(scope="session")
def seoul_indices(shared_data: Path) -> dict[str, Array]:
    """WSDI, CSDI and RX1DAY of Seoul, 1991-2020, each (1, 30), from the daily records."""
    days = np.full((3, int(year_lengths(BASELINE).sum())), np.nan)
    with gzip.open(shared_data / "korea_asos_daily_1991_2020.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            if (row["latitude"], row["longitude"]) == ("37.5714", "126.9658"):
                day = date.fromisoformat(row["date"]) - date(BASELINE.start, 1, 1)
                days[:, day.days] = [float(row[name] or "nan") for name in ("tmax", "tmin", "precip")]
    tmax, tmin, precip = days[:, None, :]
    block = DailyBlock(first_year=BASELINE.start, tmax=tmax, tmin=tmin, precip=precip)
    found = daily_indices(block, np.array([37.5714]), thresholds(block, BASELINE)).annual
    return {name: found[name] for name in ("wsdi", "csdi", "rx1day")}


def _make(  # noqa: PLR0913 - one argument per group of inputs
    indices: Mapping[str, Array],
    *,
    baseline_indices: Mapping[str, Array] | None = None,
    site: Mapping[str, Array] | None = None,
    window: Years = BASELINE,
    scenario: str = "historical",
    latitude: Array | None = None,
) -> CellInputs:
    cells = len(next(iter(indices.values())))
    series = _annual(indices, cells, window)
    historical = series if baseline_indices is None else _annual(baseline_indices, cells, BASELINE)
    months = MonthlySeries(
        BASELINE.start, {name: np.full((cells, 12 * len(BASELINE)), np.nan) for name in MONTHLY_VARIABLES}
    )
    unknown = {name: np.full(cells, np.nan) for name in SITE_NUMBERS}
    return CellInputs(
        latitude=np.linspace(34.0, 38.0, cells) if latitude is None else latitude,
        longitude=np.full(cells, 127.0),
        scenario=scenario,
        window=window,
        baseline=BASELINE,
        baseline_months=months,
        months=months,
        baseline_indices=historical,
        indices=series,
        site=unknown | dict(site or {}),
        land_cover=np.full(cells, None, dtype=object),
    )


@pytest.fixture(scope="session")
def make_inputs() -> MakeInputs:
    """CellInputs of as many cells as the first index has rows; all that is not given is missing."""
    return _make


def _annual(values: Mapping[str, Array], cells: int, years: Years) -> AnnualSeries:
    missing = {name: np.full((cells, len(years)), np.nan) for name in ANNUAL_INDICES}
    return AnnualSeries(years.start, missing | dict(values))
