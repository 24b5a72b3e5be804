"""Water scarcity: withdrawal over the basin's available renewable water.

Source: METHODS, section 2; Fu (1981) in the form of Zhang et al. (2004) for the runoff.
"""

from __future__ import annotations

import numpy as np

from streams.models.estimators import shrunk_kde, shrunk_kde_bandwidth
from streams.models.evapotranspiration import et0_basis
from streams.models.frame import (
    Annual,
    Estimate,
    baseline_reason,
    blank,
    first_reason,
    label_where,
    window_reason,
)
from streams.models.inputs import HISTORICAL, Array, CellInputs, Labels, MonthlySeries, Years
from streams.models.months import months_of, yearly_sums
from streams.models.spei import trailing_sums
from streams.models.water import BALANCE_YEARS, balance_et0, water_reason

FU_SHAPE = 2.6
"""w of Fu's equation; METHODS, section 2."""

ENVIRONMENTAL_FLOW = 0.37
"""Share of the renewable water that stays in the river; METHODS, section 2."""

DRY = 10.0
"""Withdrawal over available water in a year without any; METHODS, section 2."""

LEAST = 1e-6
"""Ratio from which a logarithm is taken where nothing is withdrawn; expert assumption."""


def annual(inputs: CellInputs) -> Annual:
    """Runoff [mm] per unit of demand of the window's years and the baseline's runoff [mm].

    Runoff rests on the trailing means of BALANCE_YEARS years. A year's ratio of withdrawal to
    available water is that of the basin, times the baseline's mean runoff over these values.
    """
    et0 = balance_et0(inputs)
    baseline = _runoff_years(inputs.baseline_months, et0.baseline, inputs.baseline)
    runoff = _runoff_years(inputs.months, et0.window, inputs.window)
    demand, no_demand = _demand(inputs)
    with np.errstate(divide="ignore", invalid="ignore"):
        window = runoff / demand
    unknown = np.full(len(runoff), np.nan)
    renewable = inputs.basin.get("renewable_mcm", unknown)
    withdrawal = inputs.basin.get("withdrawal_mcm", unknown)
    reason = first_reason(
        label_where(np.isnan(renewable) | np.isnan(withdrawal), "no_data: basin"),
        no_demand,
        water_reason(inputs, et0.window),
        window_reason(runoff, "runoff"),
        baseline_reason(baseline),
    )
    return Annual(
        window=window,
        baseline=baseline,
        constants={"renewable_mcm": renewable, "withdrawal_mcm": withdrawal},
        reason=reason,
        basis=et0_basis(et0),
    )


def estimate(_inputs: CellInputs, annual: Annual, edges: Array) -> Estimate:
    """Shrunk kernel density of the logarithm of withdrawal over available water."""
    if annual.baseline is None:
        raise ValueError("water scarcity needs the baseline's runoff: take it from water_scarcity.annual")
    mean_runoff = _mean(annual.baseline)
    reason = first_reason(annual.reason, label_where(mean_runoff == 0.0, "no_data: runoff"))
    intensity = _scarcity(annual, mean_runoff)
    logs = np.log(np.maximum(intensity, LEAST))
    kernel = shrunk_kde_bandwidth(logs)
    return Estimate(
        intensity=intensity,
        edges=np.broadcast_to(edges, (len(intensity), len(edges))),
        probability=blank(shrunk_kde(logs, np.log(edges), kernel), reason),
        parameters={
            "mean_runoff_mm": mean_runoff,
            "log_mean": kernel[0],
            "log_bandwidth": kernel[1],
            "shrinkage": kernel[2],
        },
        reason=reason,
    )


def runoff(precipitation: Array, et0: Array) -> Array:
    """Long-term runoff [mm/year] from precipitation and ET0 [mm/year] by Fu's equation; 0 without rain."""
    wet = precipitation > 0.0
    dryness = np.divide(np.maximum(et0, 0.0), precipitation, out=np.zeros_like(et0), where=wet)
    share = (1.0 + dryness**FU_SHAPE) ** (1 / FU_SHAPE) - dryness
    known = ~(np.isnan(precipitation) | np.isnan(et0))
    return np.where(known, np.where(wet, precipitation * np.maximum(share, 0.0), 0.0), np.nan)


def _runoff_years(series: MonthlySeries, et0: Array, years: Years) -> Array:
    """Runoff [mm] of `years`, (cells, years), each from the BALANCE_YEARS that end with it."""
    before = BALANCE_YEARS - 1
    rain = months_of(series, "rn", Years(years.start - before, years.end))
    means = (trailing_sums(yearly_sums(part), BALANCE_YEARS) / BALANCE_YEARS for part in (rain, et0))
    return runoff(*means)[:, before:]


def _demand(inputs: CellInputs) -> tuple[Array, Labels]:
    """Withdrawal of the window's years over the baseline's, (years,), and why it is not known."""
    years = np.arange(inputs.window.start, inputs.window.end + 1)
    cells = len(inputs.latitude)
    if inputs.scenario == HISTORICAL:
        return np.ones(len(years)), label_where(np.zeros(cells, dtype=bool), "")
    if inputs.demand is None or not inputs.demand.years.size:
        return np.full(len(years), np.nan), label_where(np.ones(cells, dtype=bool), "no_data: demand")
    ratio = np.interp(years, inputs.demand.years, inputs.demand.values)
    return ratio, label_where(np.zeros(cells, dtype=bool), "")


def _mean(values: Array) -> Array:
    """Mean of the valid years, (cells,); NaN without any."""
    count = np.count_nonzero(~np.isnan(values), axis=1)
    unknown = np.full(len(values), np.nan)
    return np.asarray(np.divide(np.nansum(values, axis=1), count, out=unknown, where=count > 0))


def _scarcity(annual: Annual, mean_runoff: Array) -> Array:
    """Withdrawal over available water, (cells, years); DRY in a year without any."""
    relative = annual.window / np.where(mean_runoff > 0.0, mean_runoff, np.nan)[:, None]
    renewable = annual.constants["renewable_mcm"][:, None]
    available = renewable * relative * (1 - ENVIRONMENTAL_FLOW)
    withdrawal = np.broadcast_to(annual.constants["withdrawal_mcm"][:, None], available.shape)
    return np.divide(
        withdrawal, available, out=np.where(available == 0.0, DRY, np.nan), where=available > 0.0
    )
