"""Damage curves: share of an asset's value lost at a water depth or in a wind.

The base damage rates of coastal flood, urban flood and typhoon are the means of these curves over
the bins of the risk.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from scipy.integrate import fixed_quad

from streams.models.inputs import Array
from streams.models.storms import TEN_MINUTE_OF_ONE

DEPTHS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0)
DEPTH_DAMAGE = (0.0, 0.3266, 0.4941, 0.6166, 0.7207, 0.8695, 0.9315, 0.9836, 1.0)
"""Depth [m] and share of value, Asia, residential buildings: Huizinga et al. (2017), JRC105688."""

ONSET_WIND = 25.7
"""1-minute wind below which nothing is damaged [m/s]: Emanuel (2011)."""

HALF_WIND = 135.6
"""1-minute wind at which half the value is lost [m/s], north-west Pacific: Eberenz et al. (2021)."""

DEEPEST = 2.0
"""Upper end of the top depth bin in its mean [m]; METHODS, section 2."""

STRONGEST = 65.0
"""Upper end of the top bin of 10-minute wind in its mean [m/s]; METHODS, section 2."""


QUADRATURE_POINTS = 20
"""Gauss-Legendre points per smooth piece of a curve; exact to rounding for these."""


def depth_damage(depth: Array) -> Array:
    """Share of value lost at a water depth over ground [m], linear between the published points."""
    return np.interp(depth, DEPTHS, DEPTH_DAMAGE)


def wind_damage(wind: Array, half_wind: float = HALF_WIND) -> Array:
    """Share of value lost in a 1-minute wind [m/s].

    Args:
        wind: 1-minute maximum wind [m/s], any shape.
        half_wind: 1-minute wind at which half the value is lost [m/s].

    Source: Emanuel (2011), equation 1.
    """
    excess = (np.maximum(wind - ONSET_WIND, 0.0) / (half_wind - ONSET_WIND)) ** 3
    damage: Array = excess / (1.0 + excess)
    return damage


def depth_means(edges: Array) -> Array:
    """Mean share of value per bin of water depth, the bin below the first edge included.

    Args:
        edges: Ascending depths [m], (bins - 1,), the first 0, the last below DEEPEST.

    Returns:
        Shape (bins,); nothing is lost in the first.
    """
    return _bin_means(depth_damage, np.array([*edges, DEEPEST]), np.array(DEPTHS))


def wind_means(edges: Array) -> Array:
    """Mean share of value per bin of 10-minute wind, the bin below the first edge included.

    Args:
        edges: Ascending 10-minute winds [m/s], (bins - 1,), the first below the onset of damage,
            the last below STRONGEST.

    Returns:
        Shape (bins,); nothing is lost in the first.
    """
    onset = np.array([ONSET_WIND * TEN_MINUTE_OF_ONE])
    return _bin_means(
        lambda wind: wind_damage(wind / TEN_MINUTE_OF_ONE), np.array([*edges, STRONGEST]), onset
    )


def _bin_means(curve: Callable[[Array], Array], bounds: Array, bends: Array) -> Array:
    """Mean of the curve over each bin, its variable uniform in it; the curve is smooth between `bends`."""
    means = [0.0]
    for lower, upper in pairwise(bounds):
        inside = bends[(bends > lower) & (bends < upper)]
        pieces = pairwise([lower, *inside, upper])
        area = sum(fixed_quad(curve, start, end, n=QUADRATURE_POINTS)[0] for start, end in pieces)
        means.append(area / (upper - lower))
    return np.array(means)
