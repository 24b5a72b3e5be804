"""SPEI: the standardised precipitation evapotranspiration index.

Source: Vicente-Serrano et al. (2010); Begueria et al. (2014) for unbiased probability weighted
moments. METHODS, section 2, clips it to -LIMIT..LIMIT.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from streams.models.frame import MIN_YEARS
from streams.models.inputs import Array
from streams.models.vector_math import exp, log, normal_quantile

SCALE = 12
"""Months of the sums of SPEI-12 [months]."""

LIMIT = 3.0
"""Largest absolute SPEI; METHODS, section 2."""

LEAST_PROBABILITY = 0.001
"""Below that of -LIMIT, 0.00135, so that no index within the limits moves [1]."""

LOGISTIC = 1e-9
"""Absolute shape under which the distribution is taken as the logistic, its limit at 0."""

TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True, slots=True)
class Logistic:
    """Generalised logistic distributions; every array has the shape of the fit's leading axes.

    NaN where the sample was too short or had no spread.
    """

    location: Array
    scale: Array
    shape: Array


def trailing_sums(values: Array, count: int = SCALE) -> Array:
    """Sums of every month (or year) and the ones before it, shape of `values`; NaN where one is missing.

    Args:
        values: Amounts of consecutive months (or years), time last.
        count: How many a sum takes.
    """
    return _sums(_rows(values), count).reshape(values.shape)


def _rows(values: Array) -> Array:
    """All leading axes as one; contiguous and writable, as one layout is one compiled kernel."""
    rows: Array = np.require(values, np.float64, ["C", "W"]).reshape(-1, values.shape[-1])
    return rows


@njit(cache=True, nogil=True)
def _sums(values: Array, count: int) -> Array:
    sums = np.full(values.shape, np.nan)
    for row in range(len(values)):
        total = sums[row, count - 1 :]
        # Not differences of a running total: a gap would spoil all that follows it.
        for step in range(len(total)):
            total[step] = values[row, step]
        for shift in range(1, count):
            for step in range(len(total)):
                total[step] += values[row, step + shift]
    return sums


def fit_logistic(sample: Array) -> Logistic:
    """Generalised logistic distribution by unbiased probability weighted moments.

    Args:
        sample: Sums of one calendar month, (..., years); NaN where missing.

    Returns:
        Parameters of shape (...); NaN where fewer than MIN_YEARS are finite or all are equal.

    Source: Hosking and Wallis (1997), appendix A.7.
    """
    # NumPy sorts NaN to the end.
    ordered = np.sort(sample.reshape(-1, sample.shape[-1]), axis=-1)
    b0, b1, b2 = weighted_moments(ordered).reshape(3, *sample.shape[:-1])
    l2 = 2 * b1 - b0
    l2[l2 <= 1e-12 * np.abs(b0)] = np.nan
    shape = -(6 * b2 - 6 * b1 + b0) / l2
    # Gamma(1+k) Gamma(1-k) = pi k / sin(pi k) = 1 / sinc(k)
    scale = l2 * np.sinc(shape)
    small = np.abs(shape) < LOGISTIC
    shift = np.divide(l2 - scale, shape, out=np.zeros_like(l2), where=~small)
    return Logistic(location=b0 + shift, scale=scale, shape=np.where(small, 0.0, shape))


@njit(cache=True, nogil=True)
def weighted_moments(ordered: Array) -> Array:
    """Unbiased probability weighted moments b0, b1 and b2, (3, samples); NaN below MIN_YEARS.

    `ordered` has each sample ascending, (samples, years), missing values last.
    """
    moments = np.full((3, len(ordered)), np.nan)
    for row in range(len(ordered)):
        b0, b1, b2, count = 0.0, 0.0, 0.0, 0
        for value in ordered[row]:
            if np.isnan(value):
                break
            b0 += value
            b1 += count * value
            b2 += count * (count - 1) * value
            count += 1
        if count >= MIN_YEARS:
            moments[0, row] = b0 / count
            moments[1, row] = b1 / (count * (count - 1))
            moments[2, row] = b2 / (count * (count - 1) * (count - 2))
    return moments


def compile_kernels() -> None:
    """Compile what this module runs, or load it from the cache."""
    one = trailing_sums(np.zeros((1, 1)))
    standardise(one, fit_logistic(one))


def standardise(sums: Array, fit: Logistic) -> Array:
    """SPEI of sums, (..., years), under a fit of shape (...); the LIMIT of its side outside the support."""
    fits = (each.ravel() for each in (fit.location, fit.scale, fit.shape))
    return _standardised(_rows(sums), *fits).reshape(sums.shape)


@njit(cache=True, nogil=True, error_model="numpy")
def _standardised(sums: Array, location: Array, scale: Array, shape: Array) -> Array:
    """SPEI of each row's sums under its own fit, (samples, years)."""
    found = np.empty(sums.shape)
    for row in range(len(sums)):
        k = shape[row]
        for year in range(sums.shape[1]):
            reduced = (sums[row, year] - location[row]) / scale[row]
            # -y; outside the support the logarithm of the least number stands for that of 0 or less.
            minus_y = -reduced if k == 0.0 else log(max(1.0 - k * reduced, TINY)) / k
            # F = 1 / (1 + exp(-y)), within what LIMIT leaves of it.
            probability = 1.0 / (1.0 + exp(minus_y))
            index = normal_quantile(min(max(probability, LEAST_PROBABILITY), 1.0 - LEAST_PROBABILITY))
            found[row, year] = min(max(index, -LIMIT), LIMIT) if not np.isnan(reduced) else np.nan
    return found


def spei(balance: Array, baseline: slice, months: int = SCALE) -> Array:
    """SPEI of every month, each calendar month by its own fit.

    Args:
        balance: Precipitation minus ET0 [mm/month] from a January on, (cells, 12 * years).
        baseline: Which years, from 0, the fits rest on.
        months: Months of the sums.

    Returns:
        (cells, 12 * years) in -LIMIT..LIMIT; NaN where a sum or its calendar month's fit is missing.
    """
    cells = len(balance)
    sums = trailing_sums(balance, months).reshape(cells, -1, 12)
    by_month = np.ascontiguousarray(sums.transpose(0, 2, 1))
    fit = fit_logistic(by_month[..., baseline])
    return standardise(by_month, fit).transpose(0, 2, 1).reshape(cells, -1)
