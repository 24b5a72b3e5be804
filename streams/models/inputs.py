"""What the models read: arrays of a chunk of cells, NaN where a value is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.object_]

HISTORICAL = "historical"
"""The scenario of the climate that has been; every other one continues it."""

MONTHLY_VARIABLES = ("ta", "tamax", "tamin", "rn", "rhm", "ws", "si", "wet_days")
"""Columns of climate_data: degC, degC, degC, mm/month, %, m/s at 10 m, MJ/m2/day, days of 1 mm and more."""

ANNUAL_INDICES = ("wsdi", "csdi", "rx1day", "fwi_days", "fwi_max")
"""Columns of climate_extremes: days, days, mm, days with FWI >= 38, FWI."""

SITE_NUMBERS = ("elevation_m", "coast_km", "river_km", "imperviousness", "slope")
"""Numeric columns of grid_cells: m, km, km, share 0-1, m/m."""


@dataclass(frozen=True, slots=True)
class Years:
    """A span of calendar years, both ends included."""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start + 1


@dataclass(frozen=True, slots=True)
class MonthlySeries:
    """Months of a chunk's cells from January of `first_year` on, without a gap in the axis.

    `values` maps each of MONTHLY_VARIABLES to shape (cells, 12 * years).
    """

    first_year: int
    values: Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class AnnualSeries:
    """Annual indices of a chunk's cells from `first_year` on.

    `values` maps each of ANNUAL_INDICES to shape (cells, years).
    """

    first_year: int
    values: Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class YearTable:
    """A scenario's values by year, ascending; empty where the scenario has no rows.

    `values` has shape (n,), or (cells, n) where each cell has its own.
    """

    years: Array
    values: Array


@dataclass(frozen=True, slots=True)
class StormFixes:
    """Best-track fixes, sorted by storm and time; every array has shape (fixes,).

    `storm` numbers the storms from 0; `hours` counts from 1970-01-01 00:00 UTC; `wind` is the
    10-minute wind [m/s], `pressure` the central pressure [hPa], `rmw` the radius of maximum
    wind [km]; the last three NaN where missing.
    """

    storm: NDArray[np.int64]
    hours: Array
    latitude: Array
    longitude: Array
    wind: Array
    pressure: Array
    rmw: Array


@dataclass(frozen=True, slots=True)
class HourlyTracks:
    """Storms at whole hours with what the wind profile needs, sorted by latitude.

    Every array but `observed` has shape (hours,). `hours` counts from 1970-01-01 00:00 UTC, `year` is its
    calendar year; `longitude` lies in -180..180; `wind` is the 10-minute maximum [m/s],
    `pressure_drop` the environment's pressure less the centre's [Pa], `rmw` the radius of maximum
    wind [km], `shape` Holland's B, `coriolis` its parameter at the centre [1/s].

    `observed` tells, shape (basins, years from `first_year` on), whether the best tracks have any
    fix in a basin in a year; basins are numbered as in streams.models.storms.
    """

    hours: NDArray[np.int32]
    year: NDArray[np.int32]
    latitude: Array
    longitude: Array
    wind: Array
    pressure_drop: Array
    rmw: Array
    shape: Array
    coriolis: Array
    observed: NDArray[np.bool_]
    first_year: int

    @property
    def last_year(self) -> int:
        """The last year with a fix; the year before `first_year` where there are no fixes."""
        return self.first_year + len(self.observed.T) - 1


@dataclass(frozen=True, slots=True)
class CellInputs:
    """Everything the nine risks read for the cells of one chunk.

    `baseline_months` and `baseline_indices` are the `historical` series; `months` and `indices`
    the scenario's, preceded by `historical` up to the scenario's first month or year (METHODS,
    section 1). For the scenario `historical` both are the same objects.
    """

    latitude: Array
    longitude: Array
    scenario: str
    window: Years
    baseline: Years
    baseline_months: MonthlySeries
    months: MonthlySeries
    baseline_indices: AnnualSeries
    indices: AnnualSeries
    site: Mapping[str, Array]
    land_cover: Labels
    sea_level: Mapping[str, Array] = field(default_factory=dict)
    """GEV of the cell's coastal station: location_m, scale_m, shape, each (cells,)."""
    sea_level_rise: YearTable | None = None
    """rise_mm of the cell's station over 1995-2014, values (cells, n)."""
    basin: Mapping[str, Array] = field(default_factory=dict)
    """renewable_mcm, withdrawal_mcm of the cell's basin, each (cells,)."""
    demand: YearTable | None = None
    warming: YearTable | None = None
    storms: HourlyTracks | None = None
    shared: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What several risks derive from these inputs, kept by the first."""
