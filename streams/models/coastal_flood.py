"""Coastal flood: still-water depth over a cell's ground from extreme sea levels and the sea's rise.

Source: METHODS, section 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streams.models.estimators import Gev, bins_of_cdf, gev_cdf, gev_return_level
from streams.models.frame import (
    Annual,
    Estimate,
    blank,
    first_reason,
    label_where,
    no_labels,
    site_number,
    window_reason,
)
from streams.models.inputs import HISTORICAL, Array, CellInputs, Labels, YearTable

INLAND_KM = 10.0
"""Distance from the coast from which the sea does not reach a cell [km]; METHODS, section 2."""

HIGH_M = 20.0
"""Ground level above which the sea does not reach a cell [m]; METHODS, section 2."""

REFERENCE_YEAR = 2005
"""Year up to which the rise is 0: the centre of 1995-2014, over which AR6 counts it."""

METRE = 1e-3
"""One millimetre [m]."""

MEDIAN_PERIOD = 2.0
"""Return period of the median annual maximum [years]."""


def annual(inputs: CellInputs) -> Annual:
    """Relative sea-level rise of each year of the window, m, and the cell's ground and station.

    `constants["reached"]` is 0 where the sea cannot reach the cell, 10 km or more from the coast or
    over 20 m high: such a cell has a number, with no flood, whatever else it lacks.
    """
    elevation, coast = site_number(inputs, "elevation_m"), site_number(inputs, "coast_km")
    dry = (coast >= INLAND_KM) | (elevation > HIGH_M)
    location, scale, shape = (
        inputs.sea_level.get(name, np.full(len(dry), np.nan)) for name in ("location_m", "scale_m", "shape")
    )
    rise = sea_level_rise(inputs)
    reason = first_reason(
        label_where(np.isnan(elevation), "no_data: elevation_m"),
        label_where(np.isnan(coast), "no_data: coast_km"),
        label_where(np.isnan(location + scale + shape), "no_data: station"),
        _rise_reason(rise),
    )
    reason[dry] = None
    return Annual(
        window=rise,
        baseline=None,
        constants={
            "ground": elevation,
            "reached": np.where(dry, 0.0, 1.0),
            "location": location,
            "scale": scale,
            "shape": shape,
        },
        reason=reason,
        basis=no_labels(len(dry)),
    )


def estimate(_inputs: CellInputs, annual: Annual, edges: Array) -> Estimate:
    """Mean over the window's years of the chance that the year's highest water exceeds each depth.

    `intensity` is the median depth of each year's own distribution [m], 0 where the median water
    stays below the ground; the years differ by the sea's rise only.
    """
    ground, station = annual.constants["ground"], _station(annual)
    reached = annual.constants["reached"] > 0
    cdf = np.where(reached[:, None], _depth_cdf(station, ground, annual.window, edges), 1.0)
    median = gev_return_level(station, np.array([MEDIAN_PERIOD]))
    depth = np.maximum(median + annual.window - ground[:, None], 0.0)
    return Estimate(
        intensity=blank(np.where(reached[:, None], depth, 0.0), annual.reason),
        edges=np.tile(edges, (len(ground), 1)),
        probability=blank(bins_of_cdf(cdf), annual.reason),
        parameters=dict(annual.constants) | {"rise": annual.window},
        reason=annual.reason,
    )


def sea_level_rise(inputs: CellInputs) -> Array:
    """Relative rise over 1995-2014 in each year of the window, m, (cells, years).

    0 for `historical` and up to REFERENCE_YEAR, from there linear to the table's first year and
    between its years; NaN after a station's last, and where it has none.
    """
    years = np.arange(inputs.window.start, inputs.window.end + 1)
    cells = len(inputs.latitude)
    if inputs.scenario == HISTORICAL:
        return np.zeros((cells, years.size))
    table = inputs.sea_level_rise
    if table is None:
        return np.where(years <= REFERENCE_YEAR, 0.0, np.full((cells, years.size), np.nan))
    return METRE * _interpolated(_from_reference(table, cells), years)


def _from_reference(table: YearTable, cells: int) -> YearTable:
    """The rise from REFERENCE_YEAR on, where it is 0, for each cell."""
    later = table.years > REFERENCE_YEAR
    rise = np.broadcast_to(table.values, (cells, table.years.size))[:, later]
    return YearTable(
        years=np.append(float(REFERENCE_YEAR), table.years[later]),
        values=np.column_stack([np.zeros(cells), rise]),
    )


def _interpolated(table: YearTable, years: NDArray[np.int64]) -> Array:
    """Values at `years`, (cells, years), linear between the known years of each cell; NaN after its last."""
    wanted = np.maximum(years, table.years[0])
    known = ~np.isnan(table.values)[:, :, None]
    column = np.arange(table.years.size)[:, None]
    before = np.where(known & (table.years[:, None] <= wanted), column, 0).max(axis=1)
    after = np.where(known & (table.years[:, None] >= wanted), column, table.years.size).min(axis=1)
    beyond = after == table.years.size
    after = np.where(beyond, before, after)
    low, high = (np.take_along_axis(table.values, index, axis=1) for index in (before, after))
    span = np.maximum(table.years[after] - table.years[before], 1.0)
    value = low + (high - low) * (wanted - table.years[before]) / span
    return np.where(beyond, np.nan, value)


def _rise_reason(rise: Array) -> Labels:
    """No year of the window may lie beyond the table: the mean over its first years would be too low."""
    beyond = label_where(np.asarray(np.isnan(rise).any(axis=1)), "no_data: sea_level_rise")
    return first_reason(beyond, window_reason(rise, "sea_level_rise"))


def _station(annual: Annual) -> Gev:
    return Gev(*(annual.constants[name] for name in ("location", "scale", "shape")))


def _depth_cdf(station: Gev, ground: Array, rise: Array, depths: Array) -> Array:
    """Share of the years' distributions at or below each depth over ground, (cells, depths)."""
    level = (ground[:, None] - rise)[:, :, None] + depths
    return np.asarray(gev_cdf(station, level).mean(axis=1))
