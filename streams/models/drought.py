"""Drought: the negative SPEI-12 of December.

Source: METHODS, section 2; Vicente-Serrano et al. (2010).
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
from streams.models.inputs import Array, CellInputs
from streams.models.months import months_of, yearly_sums
from streams.models.spei import fit_logistic, standardise
from streams.models.water import own_et0, water_reason


def annual(inputs: CellInputs) -> Annual:
    """Precipitation minus ET0 of the twelve months to December [mm], of the window and the baseline."""
    et0 = own_et0(inputs)
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
    kernel = shrunk_kde_bandwidth(intensity)
    return Estimate(
        intensity=intensity,
        edges=np.broadcast_to(edges, (len(intensity), len(edges))),
        probability=blank(shrunk_kde(intensity, edges, kernel), reason),
        parameters={
            "location": fit.location,
            "scale": fit.scale,
            "shape": fit.shape,
            "bandwidth": kernel[1],
            "shrinkage": kernel[2],
        },
        reason=reason,
    )
