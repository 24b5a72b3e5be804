"""Typhoon: the highest 10-minute wind of each year over open ground, from best tracks.

Inland winds are weaker than these. Source: METHODS, section 2.
"""

from __future__ import annotations

import numpy as np

from streams.models.estimators import hurdle, hurdle_fit
from streams.models.frame import (
    Annual,
    Estimate,
    baseline_reason,
    blank,
    first_reason,
    label_where,
    no_labels,
    window_reason,
)
from streams.models.holland import GALE, annual_maximum_wind
from streams.models.inputs import Array, CellInputs, Labels, Years, YearTable

WIND_PER_DEGREE = 0.05 / 2.0
"""Rise of the storms' winds with global warming [1/degC]: 5 % for 2 degC, Knutson et al. (2020)."""


def annual(inputs: CellInputs) -> Annual:
    """Highest 10-minute wind of each year, m/s; 0 in a year without a gale.

    A window that ends after the last storm year takes the baseline's years in place of its own, every
    wind multiplied by a factor of the scenario's warming; the whole field is, its size unchanged.
    """
    storms = inputs.storms
    if storms is None or storms.last_year < storms.first_year:
        return _no_number(inputs, "no_data: storms")
    places = inputs.latitude, inputs.longitude
    if inputs.window.end <= storms.last_year:
        wind = annual_maximum_wind(storms, *places, inputs.window)
        return _annual(wind, window_reason(wind, "storms"), {}, "storms: observed")
    factor = wind_factor(inputs.warming, inputs.window)
    if np.isnan(factor):
        return _no_number(inputs, "no_data: warming")
    wind = annual_maximum_wind(storms, *places, inputs.baseline, factor)
    unseen = label_where(np.asarray(np.isnan(wind).all(axis=1)), "no_data: storms")
    return _annual(
        wind,
        first_reason(unseen, baseline_reason(wind)),
        {"wind_factor": np.full(len(wind), factor)},
        f"storms: baseline, wind x {factor:.3f}",
    )


def estimate(inputs: CellInputs, annual: Annual, edges: Array) -> Estimate:
    """Hurdle density over a lower bound of GALE.

    Where the baseline's storms stand in, no year of the window has a wind of its own: `intensity` is
    NaN and the winds of the baseline's years, raised, are the parameter `baseline_wind`.
    """
    cells = len(annual.window)
    stand_in = "wind_factor" in annual.constants
    fit = hurdle_fit(annual.window, GALE)
    parameters = fit.parameters() | dict(annual.constants)
    return Estimate(
        intensity=np.full((cells, len(inputs.window)), np.nan) if stand_in else annual.window,
        edges=np.tile(edges, (cells, 1)),
        probability=blank(hurdle(annual.window, edges, GALE, fit), annual.reason),
        parameters=parameters | ({"baseline_wind": annual.window} if stand_in else {}),
        reason=annual.reason,
    )


def wind_factor(warming: YearTable | None, window: Years) -> float:
    """What the baseline's winds are multiplied by in a later window; NaN where the warming is unknown.

    The warming [degC over the baseline] is linear between the table's years; the window's middle
    must lie within them.
    """
    if warming is None or not warming.years.size:
        return np.nan
    middle = (window.start + window.end) / 2
    warmed = np.interp(middle, warming.years, warming.values, left=np.nan, right=np.nan)
    return float(1.0 + WIND_PER_DEGREE * warmed)


def _annual(wind: Array, reason: Labels, constants: dict[str, Array], basis: str) -> Annual:
    return Annual(
        window=wind,
        baseline=None,
        constants=constants,
        reason=reason,
        basis=np.full(len(wind), basis, dtype=object),
    )


def _no_number(inputs: CellInputs, reason: str) -> Annual:
    cells = len(inputs.latitude)
    return Annual(
        window=np.full((cells, len(inputs.window)), np.nan),
        baseline=None,
        constants={},
        reason=np.full(cells, reason, dtype=object),
        basis=no_labels(cells),
    )
