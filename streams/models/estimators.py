"""Estimators of bin probabilities from annual samples, vectorised over cells.

A sample has shape (cells, years), NaN marking a missing year; edges are ascending, of shape
(bins - 1,) or (cells, bins - 1). Bins are [lower, upper). Source: METHODS, section 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gamma, ndtr

from streams.models.inputs import Array

GEV_SHAPE_LIMIT = 0.3
"""Largest |k| of a fit [1]; METHODS, section 1: 30 years do not tell steeper tails from chance."""

GUMBEL_LIMIT = 1e-6
"""|k| below which the Gumbel formulas stand in [1]; METHODS, section 1."""

EULER_GAMMA = 0.577216
"""Mean of the standard Gumbel distribution [1], to the digits of METHODS, section 1."""

NORMAL_IQR = 1.349
"""Interquartile range of the standard normal distribution [1]; Silverman (1986), eq. 3.30."""

SILVERMAN_FACTOR = 0.9
"""Factor of the rule-of-thumb bandwidth [1]; Silverman (1986), eq. 3.31."""

L_MOMENT_YEARS = 3
"""Values that the third L-moment takes [years]."""

MIN_POSITIVE = 5
"""Positive values below which `hurdle` counts instead of smoothing [years]; METHODS, section 1."""

HALF_DAY = 0.5
"""Continuity correction of counts of days [days]; METHODS, section 1. Edges are taken this much lower."""


@dataclass(frozen=True, slots=True)
class Gev:
    """Generalised extreme value distributions in Hosking's sign of k; each array (cells,)."""

    location: Array
    scale: Array
    shape: Array

    def parameters(self) -> dict[str, Array]:
        """Location, scale and shape by name."""
        return {"location": self.location, "scale": self.scale, "shape": self.shape}


@dataclass(frozen=True, slots=True)
class HurdleFit:
    """A mass at 0 and a reflected kernel density above it; each array (cells,).

    `share_of_zeros` [1], `positive` [years], `bandwidth` in the unit of the sample (0 where the
    positive values are all equal), `shrinkage` [1].
    """

    share_of_zeros: Array
    positive: NDArray[np.int64]
    bandwidth: Array
    shrinkage: Array

    def parameters(self) -> dict[str, Array]:
        """Share of zeros, positive years, bandwidth and shrinkage by name."""
        return {
            "share_of_zeros": self.share_of_zeros,
            "positive_years": self.positive.astype(float),
            "bandwidth": self.bandwidth,
            "shrinkage": self.shrinkage,
        }


def l_moments(sample: Array) -> tuple[Array, Array, Array]:
    """Sample L-moments l1, l2 and the ratio t3, each (cells,); NaN below three valid years.

    t3 is NaN where l2 is 0. Source: Hosking and Wallis (1997), eqs. 2.48-2.62.
    """
    n = _valid(sample)[:, None].astype(float)
    # Deviations from the least value make a constant sample's l2 exactly 0.
    lowest = np.fmin.reduce(sample, axis=1)
    ordered = np.sort(sample - lowest[:, None], axis=1)
    ordered[np.isnan(ordered)] = 0.0
    rank = np.arange(sample.shape[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        b0, b1, b2 = (
            np.sum(ordered * weight, axis=1) / n[:, 0]
            for weight in (
                np.ones_like(n),
                rank / (n - 1),
                rank * (rank - 1) / ((n - 1) * (n - 2)),
            )
        )
        l2 = 2 * b1 - b0
        t3 = (6 * b2 - 6 * b1 + b0) / l2
    few = n[:, 0] < L_MOMENT_YEARS
    return np.where(few, np.nan, lowest + b0), np.where(few, np.nan, l2), np.where(few, np.nan, t3)


def gev_fit(sample: Array) -> Gev:
    """Fit a GEV by L-moments; NaN where the sample is constant or has fewer than three valid years."""
    return gev_of_l_moments(*l_moments(sample))


def gev_of_l_moments(l1: Array, l2: Array, t3: Array) -> Gev:
    """GEV with the given L-moments, each (cells,); NaN where l2 <= 0.

    The shape is clipped before the scale is taken. Source: Hosking and Wallis (1997), appendix A.6.
    """
    l2 = np.where(l2 > 0, l2, np.nan)
    c = 2 / (3 + t3) - np.log(2) / np.log(3)
    k = np.clip(7.8590 * c + 2.9554 * c**2, -GEV_SHAPE_LIMIT, GEV_SHAPE_LIMIT)
    gumbel = np.abs(k) < GUMBEL_LIMIT
    safe = np.where(gumbel, 1.0, k)
    scale = np.where(gumbel, l2 / np.log(2), l2 * safe / (-np.expm1(-safe * np.log(2)) * gamma(1 + safe)))
    mean = np.where(gumbel, EULER_GAMMA, (1 - gamma(1 + safe)) / safe)
    return Gev(location=l1 - scale * mean, scale=scale, shape=k)


def gev_cdf(gev: Gev, values: Array) -> Array:
    """F of `values`, shape (cells, ...); exactly 0 or 1 outside the support."""
    location, scale, k = (_columns(part, values.ndim) for part in (gev.location, gev.scale, gev.shape))
    gumbel = np.abs(k) < GUMBEL_LIMIT
    safe = np.where(gumbel, 1.0, k)
    reduced = (values - location) / scale
    with np.errstate(divide="ignore", over="ignore"):
        tail = np.where(gumbel, np.exp(-reduced), np.maximum(1 - safe * reduced, 0.0) ** (1 / safe))
        return np.asarray(np.exp(-tail))


def gev_return_level(gev: Gev, periods: Array) -> Array:
    """Levels exceeded once in `periods` years, (T,) or (cells, T); shape (cells, T)."""
    location, scale, k = (part[:, None] for part in (gev.location, gev.scale, gev.shape))
    gumbel = np.abs(k) < GUMBEL_LIMIT
    safe = np.where(gumbel, 1.0, k)
    rate = -np.log1p(-1 / periods)
    return np.asarray(location + scale * np.where(gumbel, -np.log(rate), (1 - rate**safe) / safe))


def gev_bins(gev: Gev, edges: Array) -> Array:
    """Probability of each bin between `edges`, shape (cells, bins)."""
    return bins_of_cdf(gev_cdf(gev, np.broadcast_to(edges, (len(gev.shape), edges.shape[-1]))))


def bins_of_cdf(cdf: Array) -> Array:
    """Differences of a CDF at the edges, (cells, bins - 1), with 0 before and 1 after: (cells, bins)."""
    missing = np.isnan(cdf).any(axis=1, keepdims=True)
    probability = np.diff(cdf, axis=1, prepend=0.0, append=1.0)
    # Equal CDF values may differ in the last bit; a probability is never below 0.
    return np.where(missing, np.nan, np.maximum(probability, 0.0))


Bandwidth = tuple[Array, Array, Array]
"""Mean, Scott bandwidth and shrinkage, each (cells,)."""


def shrunk_kde_bandwidth(sample: Array) -> Bandwidth:
    """Mean, Scott bandwidth and shrinkage of each cell, each (cells,); bandwidth 0 for a constant sample.

    Source: Scott (1992), eq. 6.42; Silverman (1986), section 6.4.1.
    """
    n = _valid(sample)
    mean, spread = _mean_and_spread(sample, n)
    with np.errstate(divide="ignore"):
        bandwidth = spread * n.astype(float) ** -0.2
        shrinkage = (1 + n.astype(float) ** -0.4) ** -0.5
    return mean, bandwidth, shrinkage


def shrunk_kde(sample: Array, edges: Array, fit: Bandwidth | None = None) -> Array:
    """Bin probabilities, (cells, bins), of a Gaussian kernel density that keeps the sample's variance.

    `fit` is what `shrunk_kde_bandwidth` says of the sample, where it is known already.

    The sample is shrunk to its mean before it is smoothed; the mass is a closed form, so no tail is
    cut. NaN below two valid years. Source: Silverman (1986), section 6.4.1.
    """
    mean, bandwidth, shrinkage = fit or shrunk_kde_bandwidth(sample)
    centres = mean[:, None] + shrinkage[:, None] * (sample - mean[:, None])
    smooth = bandwidth > 0
    width = np.where(smooth, shrinkage * bandwidth, 1.0)[:, None, None]
    each = ndtr((_at_cells(edges, sample)[:, :, None] - centres[:, None, :]) / width)
    smoothed = bins_of_cdf(_mean_over_years(each, _valid(sample)))
    probability = np.where(smooth[:, None], smoothed, count_bins(sample, edges))
    return np.where(np.isnan(bandwidth)[:, None], np.nan, probability)


def hurdle_fit(sample: Array, bound: float) -> HurdleFit:
    """Mass at 0 and Silverman bandwidth of the positive values over their lower `bound`.

    Source: Silverman (1986), eq. 3.31 and section 2.10 (reflection).
    """
    excess = np.where(sample > 0, sample - bound, np.nan)
    m = _valid(excess)
    _, spread = _mean_and_spread(excess, m)
    ordered = np.sort(excess, axis=1)
    iqr = _quantile(ordered, m, 0.75) - _quantile(ordered, m, 0.25)
    robust = np.where(iqr > 0, np.minimum(spread, iqr / NORMAL_IQR), spread)
    with np.errstate(divide="ignore", invalid="ignore"):
        bandwidth = SILVERMAN_FACTOR * robust * m.astype(float) ** -0.2
        second_moment = _sum(excess**2) / m
        shrinkage = (1 + bandwidth**2 / second_moment) ** -0.5
        zeros = 1 - m / _valid(sample)
    return HurdleFit(share_of_zeros=zeros, positive=m, bandwidth=bandwidth, shrinkage=shrinkage)


def hurdle(sample: Array, edges: Array, bound: float, fit: HurdleFit | None = None) -> Array:
    """Bin probabilities, (cells, bins), of a variable with a mass at 0.

    Args:
        sample: Annual values, (cells, years), 0 or above `bound`.
        edges: In the sample's unit; for counts of days half a day lower than the printed edges.
        bound: Lower bound L of the positive values.
        fit: What `hurdle_fit` says of the sample, where it is known already.

    Returns:
        Counts / n where fewer than MIN_POSITIVE years are positive or all positive values are
        equal; NaN without a valid year.
    """
    fit = fit or hurdle_fit(sample, bound)
    smooth = (fit.positive >= MIN_POSITIVE) & (fit.bandwidth > 0)
    smoothed = bins_of_cdf(_hurdle_cdf(sample, edges, bound, fit, smooth))
    return np.where(smooth[:, None], smoothed, count_bins(sample, edges))


def _hurdle_cdf(
    sample: Array, edges: Array, bound: float, fit: HurdleFit, smooth: NDArray[np.bool_]
) -> Array:
    at = _at_cells(edges, sample)
    above = np.maximum(at - bound, 0.0)[:, :, None]
    excess = np.where(sample > 0, sample - bound, np.nan)
    centres = (fit.shrinkage[:, None] * excess)[:, None, :]
    width = np.where(smooth, fit.shrinkage * fit.bandwidth, 1.0)[:, None, None]
    each = ndtr((above - centres) / width) + ndtr((above + centres) / width) - 1
    positive = _mean_over_years(each, fit.positive)
    zeros = fit.share_of_zeros[:, None]
    return np.asarray(np.where(at > 0, zeros, 0.0) + (1 - zeros) * positive)


def count_bins(sample: Array, edges: Array) -> Array:
    """Share of the valid years in each bin [lower, upper), (cells, bins); NaN without a valid year."""
    n = _valid(sample)
    reached = np.count_nonzero(sample[:, None, :] < _at_cells(edges, sample)[:, :, None], axis=2)
    with np.errstate(invalid="ignore"):
        return bins_of_cdf(reached / n[:, None])


def _valid(sample: Array) -> NDArray[np.int64]:
    return np.asarray(np.count_nonzero(~np.isnan(sample), axis=1))


def _columns(part: Array, dimensions: int) -> Array:
    return part.reshape(part.shape + (1,) * (dimensions - 1))


def _at_cells(edges: Array, sample: Array) -> Array:
    return np.broadcast_to(edges, (len(sample), edges.shape[-1]))


def _mean_over_years(each: Array, n: NDArray[np.int64]) -> Array:
    with np.errstate(invalid="ignore"):
        return np.asarray(_sum(each) / n[:, None])


def _mean_and_spread(sample: Array, n: NDArray[np.int64]) -> tuple[Array, Array]:
    with np.errstate(divide="ignore", invalid="ignore"):
        # Deviations from the least value keep a constant sample's spread exactly 0.
        lowest = np.fmin.reduce(sample, axis=1)
        above = sample - lowest[:, None]
        shift = _sum(above) / n
        squares = _sum((above - shift[:, None]) ** 2)
        spread = np.where(n > 1, np.sqrt(squares / (n - 1)), np.nan)
    return lowest + shift, spread


def _sum(values: Array) -> Array:
    """Sum of the valid values along the last axis, 0 where there is none."""
    return np.asarray(np.where(np.isnan(values), 0.0, values).sum(axis=-1))


def _quantile(ordered: Array, n: NDArray[np.int64], share: float) -> Array:
    """Linear quantile (Hyndman and Fan type 7) of the `n` first values, ascending, (cells,)."""
    position = np.maximum(n - 1, 0) * share
    lower = np.floor(position).astype(np.int64)
    upper = np.minimum(lower + 1, np.maximum(n - 1, 0))
    rows = np.arange(len(ordered))
    return np.asarray(
        ordered[rows, lower] + (position - lower) * (ordered[rows, upper] - ordered[rows, lower])
    )
