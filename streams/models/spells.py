"""Days a year in spells of at least six days: the warm and the cold one differ by their index only.

The index comes from the loader (TX90, TN10 of the baseline's calendar days; METHODS, section 2).
"""

from __future__ import annotations

import numpy as np

from streams.models.estimators import HALF_DAY, hurdle, hurdle_fit
from streams.models.frame import Annual, Estimate, annual_index, blank, no_labels, window_reason
from streams.models.inputs import Array, CellInputs

SHORTEST_SPELL = 6
"""Days of the shortest spell that counts [days]; climdex (Zhang et al. 2011), WSDI and CSDI."""


def spell_days(inputs: CellInputs, index: str) -> Annual:
    """The window's years of `index` ("wsdi" or "csdi"), days/year."""
    window = annual_index(inputs.indices, index, inputs.window)
    return Annual(
        window=window,
        baseline=None,
        constants={},
        reason=window_reason(window, index),
        basis=no_labels(len(window)),
    )


def estimate_spell_days(_inputs: CellInputs, annual: Annual, edges: Array) -> Estimate:
    """Hurdle over the days, `edges` in days; integers, so edges and bound lie half a day lower."""
    bound = SHORTEST_SPELL - HALF_DAY
    fit = hurdle_fit(annual.window, bound)
    return Estimate(
        intensity=annual.window,
        edges=np.broadcast_to(edges, (len(annual.window), len(edges))),
        probability=blank(hurdle(annual.window, edges - HALF_DAY, bound, fit), annual.reason),
        parameters=fit.parameters(),
        reason=annual.reason,
    )
