"""Urban flood: street ponding of the one-hour storm that RX1DAY stands for.

The map from RX1DAY to depth is monotone, so the depth edges are carried back to RX1DAY and the
probabilities come from its GEV. Source: METHODS, section 2.
"""

from __future__ import annotations

import numpy as np

from streams.models.estimators import gev_bins, gev_fit
from streams.models.frame import (
    Annual,
    Estimate,
    annual_index,
    blank,
    first_reason,
    label_where,
    no_labels,
    site_number,
    window_reason,
)
from streams.models.inland_flood import constant_rx1day
from streams.models.inputs import Array, CellInputs

HOURLY_SHARE = 24 ** (2 / 3) / 24
"""One-hour rain over the day's rain [1/h]; Mononobe's formula with exponent 2/3."""

RUNOFF_BASE = 0.05
RUNOFF_SLOPE = 0.9
"""Runoff coefficient of bare ground, and its rise to full imperviousness [1]; Schueler (1987)."""

DRAINAGE_IMPERVIOUSNESS = np.array([0.3, 0.7])
"""Imperviousness at which the next drainage class begins [1]; expert assumption."""

DRAINAGE_CAPACITY = np.array([25.0, 40.0, 60.0])
"""Drainage capacity by class of imperviousness [mm/h]; expert assumption."""

FLAT_SLOPE, FLAT_FACTOR = 0.01, 0.8
STEEP_SLOPE, STEEP_FACTOR = 0.03, 1.2
"""Slopes [m/m] under and over which the drainage takes less and more [1]; expert assumption."""

PONDED_SHARE = 0.1
"""Low-lying share of the cell that the excess gathers on [1]; expert assumption."""

MM_PER_M = 1000.0


def annual(inputs: CellInputs) -> Annual:
    """RX1DAY of the window's years, mm, with the runoff coefficient and the drainage of the site."""
    window = annual_index(inputs.indices, "rx1day", inputs.window)
    imperviousness = site_number(inputs, "imperviousness")
    slope = site_number(inputs, "slope")
    return Annual(
        window=window,
        baseline=None,
        constants={
            "runoff_coefficient": runoff_coefficient(imperviousness),
            "drainage_mm_h": drainage_capacity(imperviousness, slope),
        },
        reason=first_reason(
            window_reason(window, "rx1day"),
            label_where(np.isnan(imperviousness), "no_data: imperviousness"),
            label_where(np.isnan(slope), "no_data: slope"),
        ),
        basis=no_labels(len(window)),
    )


def estimate(_inputs: CellInputs, annual: Annual, edges: Array) -> Estimate:
    """GEV of RX1DAY between the depth `edges` [m] carried back to mm a day."""
    runoff = annual.constants["runoff_coefficient"]
    drainage = annual.constants["drainage_mm_h"]
    gev = gev_fit(annual.window)
    reason = first_reason(annual.reason, constant_rx1day(gev))
    carried = rain_of_depth(edges, runoff, drainage)
    return Estimate(
        intensity=blank(ponding_depth(annual.window, runoff, drainage), annual.reason),
        edges=blank(carried, reason),
        probability=blank(gev_bins(gev, carried), reason),
        parameters=gev.parameters()
        | dict(annual.constants)
        | {"depth_edges_m": np.broadcast_to(edges, carried.shape)},
        reason=reason,
    )


def runoff_coefficient(imperviousness: Array) -> Array:
    """Share of the rain that runs off, (cells,); Schueler (1987)."""
    return RUNOFF_BASE + RUNOFF_SLOPE * imperviousness


def drainage_capacity(imperviousness: Array, slope: Array) -> Array:
    """Rain that the drains take, mm/h, (cells,); NaN where imperviousness or slope is unknown."""
    capacity = DRAINAGE_CAPACITY[np.digitize(imperviousness, DRAINAGE_IMPERVIOUSNESS)]
    factor = np.select([slope < FLAT_SLOPE, slope > STEEP_SLOPE], [FLAT_FACTOR, STEEP_FACTOR], 1.0)
    unknown = np.isnan(imperviousness) | np.isnan(slope)
    return np.where(unknown, np.nan, capacity * factor)


def ponding_depth(rx1day: Array, runoff: Array, drainage: Array) -> Array:
    """Depth on the low-lying tenth, m, of `rx1day`, (cells, years), mm."""
    excess = np.maximum(runoff[:, None] * rx1day * HOURLY_SHARE - drainage[:, None], 0.0)
    return excess / MM_PER_M / PONDED_SHARE


def rain_of_depth(depth: Array, runoff: Array, drainage: Array) -> Array:
    """RX1DAY, mm, (cells, depths), at which the ponding reaches each `depth`, (depths,), m."""
    excess = depth * PONDED_SHARE * MM_PER_M
    return (excess + drainage[:, None]) / runoff[:, None] / HOURLY_SHARE
