"""Drought: the negative SPEI-12 of December.

Source: METHODS, section 2; Vicente-Serrano et al. (2010).
"""

from __future__ import annotations

import numpy as np

from streams.models.estimators import shrunk_kde, shrunk_kde_bandwidth
from streams.models.evapotranspiration import et0_basis, monthly_et0
from streams.models.frame import (
    Annual,
    Estimate,
    baseline_reason,
    blank,
    first_reason,
    label_where,
    window_reason,
)
from streams.models.inputs import Array, CellInputs, Labels
from streams.models.months import months_of, wholly_missing, yearly_sums
from streams.models.spei import fit_logistic, standardise


def annual(inputs: CellInputs) -> Annual:
    """Precipitation minus ET0 of the twelve months to December [mm], of the window and the baseline."""
    et0 = monthly_et0(inputs)
    rain = months_of(inputs.months, "rn", inputs.window)
    base_rain = months_of(inputs.baseline_months, "rn", inputs.baseline)
    # Twelve months to December are a calendar year.
    window = yearly_sums(rain - et0.window)
    baseline = yearly_sums(base_rain - et0.baseline)
    reason = first_reason(
        water_reason(inputs, et0.window),
        window_reason(window, "water_balance"),
        baseline_reason(baseline),
    )
    return Annual(window=window, baseline=baseline, constants={}, reason=reason, basis=et0_basis(et0))


def estimate(_inputs: CellInputs, annual: Annual, edges: Array) -> Estimate:
    """Shrunk kernel density of -SPEI; the distribution behind SPEI rests on the baseline."""
    if annual.baseline is None:
        raise ValueError("drought needs the baseline's sums: take them from drought.annual")
    fit = fit_logistic(annual.baseline)
    intensity = -standardise(annual.window, fit)
    reason = first_reason(annual.reason, label_where(np.isnan(fit.scale), "no_data: constant water_balance"))
    _, bandwidth, shrinkage = shrunk_kde_bandwidth(intensity)
    return Estimate(
        intensity=intensity,
        edges=np.broadcast_to(edges, (len(intensity), len(edges))),
        probability=blank(shrunk_kde(intensity, edges), reason),
        parameters={
            "location": fit.location,
            "scale": fit.scale,
            "shape": fit.shape,
            "bandwidth": bandwidth,
            "shrinkage": shrinkage,
        },
        reason=reason,
    )


def water_reason(inputs: CellInputs, et0: Array) -> Labels:
    """`no_data: rn`, `no_data: ta` or both, where the window has no rain or nothing to take ET0 from."""
    variables = wholly_missing(inputs.months, ("rn", "ta"), inputs.window)
    rain = wholly_missing(inputs.months, ("rn",), inputs.window)
    return np.where(np.isnan(et0).all(axis=1), variables, rain)
