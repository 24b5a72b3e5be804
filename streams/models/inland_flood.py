"""Inland flood: RX1DAY of the window against the return levels of the cell's own baseline.

So the risk speaks of change: in its own baseline every cell has the same probabilities. Two
30-year samples of one climate give AALs that differ threefold. Source: METHODS, section 2.
"""

from __future__ import annotations

import numpy as np

from streams.models.estimators import Gev, gev_bins, gev_fit, gev_return_level
from streams.models.frame import (
    Annual,
    Estimate,
    annual_index,
    baseline_reason,
    blank,
    first_reason,
    label_where,
    no_labels,
    site_number,
    window_reason,
)
from streams.models.inputs import Array, CellInputs, Labels

CONSTANT_RX1DAY = "no_data: constant rx1day"

RIVER_NEAR = 1.0
RIVER_FAR = 5.0
"""Distances to the nearest river at which the susceptibility changes [km]; expert assumption."""

RIVER_SUSCEPTIBILITY = (1.2, 1.0, 0.8)
"""Factor on the score nearer than RIVER_NEAR, than RIVER_FAR, and beyond [1]; expert assumption."""


def annual(inputs: CellInputs) -> Annual:
    """RX1DAY of the window's and the baseline's years, mm."""
    window = annual_index(inputs.indices, "rx1day", inputs.window)
    baseline = annual_index(inputs.baseline_indices, "rx1day", inputs.baseline)
    return Annual(
        window=window,
        baseline=baseline,
        constants={},
        reason=first_reason(window_reason(window, "rx1day"), baseline_reason(baseline)),
        basis=no_labels(len(window)),
    )


def estimate(_inputs: CellInputs, annual: Annual, edges: Array) -> Estimate:
    """GEV of the window over the baseline's return levels; `edges` are return periods, years."""
    if annual.baseline is None:
        raise ValueError("inland_flood cuts its bins by the baseline: Annual.baseline is missing")
    window, baseline = gev_fit(annual.window), gev_fit(annual.baseline)
    levels = gev_return_level(baseline, edges)
    reason = first_reason(annual.reason, constant_rx1day(window), constant_rx1day(baseline))
    return Estimate(
        intensity=annual.window,
        edges=blank(levels, reason),
        probability=blank(gev_bins(window, levels), reason),
        parameters=window.parameters()
        | {f"baseline_{name}": value for name, value in baseline.parameters().items()}
        | {"return_periods": np.broadcast_to(edges, levels.shape)},
        reason=reason,
    )


def constant_rx1day(gev: Gev) -> Labels:
    """The reason of the cells whose sample gave no fit because all its years are alike, (cells,)."""
    return label_where(np.isnan(gev.scale), CONSTANT_RX1DAY)


def susceptibility(inputs: CellInputs) -> Array:
    """By distance to the nearest river, (cells,); 1.0 where unknown."""
    river_km = site_number(inputs, "river_km")
    near, middle, far = RIVER_SUSCEPTIBILITY
    return np.select(
        [river_km < RIVER_NEAR, river_km < RIVER_FAR, river_km >= RIVER_FAR], [near, middle, far], 1.0
    )
