"""What drought and water scarcity both take from the months: ET0, and why there may be none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from streams.models.evapotranspiration import Evapotranspiration, monthly_et0
from streams.models.inputs import Array, CellInputs, Labels
from streams.models.months import wholly_missing

BALANCE_YEARS = 5
"""Years of the trailing means of precipitation and ET0: the balance is a long-term one [years]."""


def balance_et0(inputs: CellInputs) -> Evapotranspiration:
    """ET0 from BALANCE_YEARS - 1 years before the baseline and the window on, computed once for a chunk."""
    if "et0" not in inputs.shared:
        inputs.shared["et0"] = monthly_et0(inputs, look_back=BALANCE_YEARS - 1)
    et0: Evapotranspiration = inputs.shared["et0"]
    return et0


def own_et0(inputs: CellInputs) -> Evapotranspiration:
    """ET0 of the years of the baseline and the window alone."""
    et0, before = balance_et0(inputs), 12 * (BALANCE_YEARS - 1)
    return replace(et0, baseline=et0.baseline[:, before:], window=et0.window[:, before:])


def water_reason(inputs: CellInputs, et0: Array) -> Labels:
    """`no_data: rn`, `no_data: ta` or both, where the window has no rain or nothing to take ET0 from."""
    variables = wholly_missing(inputs.months, ("rn", "ta"), inputs.window)
    rain = wholly_missing(inputs.months, ("rn",), inputs.window)
    return np.where(np.isnan(et0).all(axis=1), variables, rain)
