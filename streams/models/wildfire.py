"""Wildfire: days a year with FWI >= 38.

Source: METHODS, section 2; Van Wagner and Pickett (1985); EFFIS classes of fire danger.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streams.models import fwi, weather
from streams.models.estimators import HALF_DAY, hurdle, hurdle_fit
from streams.models.frame import Annual, Estimate, annual_index, blank, first_reason, no_labels, window_reason
from streams.models.inputs import Array, CellInputs, Labels, Years
from streams.models.months import months_of, wholly_missing

LOOK_BACK = 1
"""Years before the window over which the moisture codes of drawn weather settle [years]."""

FEWEST = 1
"""The fewest days of a year that has any [days]."""

LAND_COVER = {"forest": 1.3, "grassland": 1.2, "cropland": 0.8, "water": 0.0}
"""Factor on the hazard score by land cover, 1 for any other; METHODS, section 2 (expert assumption)."""


def annual(inputs: CellInputs) -> Annual:
    """Days with FWI >= 38 of the window's years: from daily weather where stored, else drawn."""
    stored = annual_index(inputs.indices, "fwi_days", inputs.window)
    drawn = np.full(stored.shape, np.nan)
    lacking = np.flatnonzero(np.isnan(stored).any(axis=1) & _drawable(inputs))
    if lacking.size:
        drawn[lacking] = _drawn_days(inputs, lacking)
    window = np.where(np.isnan(stored), drawn, stored)
    unknown = wholly_missing(inputs.months, weather.NEEDED, inputs.window)
    unknown[~np.isnan(window).all(axis=1)] = None
    return Annual(
        window=window,
        baseline=None,
        constants={},
        reason=first_reason(unknown, window_reason(window, "fwi_days")),
        basis=_basis(stored, drawn),
    )


def estimate(_inputs: CellInputs, annual: Annual, edges: Array) -> Estimate:
    """Hurdle over the days, `edges` in days; integers, so edges and bound lie half a day lower."""
    bound = FEWEST - HALF_DAY
    fit = hurdle_fit(annual.window, bound)
    return Estimate(
        intensity=annual.window,
        edges=np.broadcast_to(edges, (len(annual.window), len(edges))),
        probability=blank(hurdle(annual.window, edges - HALF_DAY, bound, fit), annual.reason),
        parameters=fit.parameters(),
        reason=annual.reason,
    )


def susceptibility(inputs: CellInputs) -> Array:
    """Factor by land cover, (cells,); 1.0 where unknown."""
    return np.array([LAND_COVER.get(cover, 1.0) for cover in inputs.land_cover])


def compile_kernels() -> None:
    """Compile the kernels of drawn weather and fire danger, or load them from the cache."""
    fwi.compile_kernels()
    weather.compile_kernels()


def _drawable(inputs: CellInputs) -> NDArray[np.bool_]:
    """Which cells have a month with every variable that a day is drawn from, (cells,)."""
    there = [~np.isnan(months_of(inputs.months, name, inputs.window)) for name in weather.NEEDED]
    return np.asarray(np.logical_and.reduce(there).any(axis=1))


def _drawn_days(inputs: CellInputs, cells: NDArray[np.int64]) -> Array:
    """Days with FWI >= 38 in the window's years of drawn weather, (cells, years)."""
    years = Years(inputs.window.start - LOOK_BACK, inputs.window.end)
    latitude, longitude = inputs.latitude[cells], inputs.longitude[cells]
    months = {name: months_of(inputs.months, name, years)[cells] for name in (*weather.NEEDED, "wet_days")}
    days = np.empty((len(cells), len(years)))
    codes = None
    for position, days_of_year in enumerate(weather.drawn_years(latitude, longitude, months, years)):
        year = Years(years.start + position, years.start + position)
        seasons, codes = fwi.fire_seasons(days_of_year, year, latitude, codes)
        days[:, position] = seasons.days[:, 0]
    return days[:, LOOK_BACK:]


def _basis(stored: Array, drawn: Array) -> Labels:
    """What each cell's days rest on, (cells,): `fwi: daily`, `fwi: drawn`, both or None."""
    daily = ~np.isnan(stored).all(axis=1)
    made = (np.isnan(stored) & ~np.isnan(drawn)).any(axis=1)
    basis = no_labels(len(stored))
    basis[daily] = "fwi: daily"
    basis[made] = "fwi: drawn"
    basis[daily & made] = "fwi: daily, drawn"
    return basis
