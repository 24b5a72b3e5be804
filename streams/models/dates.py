"""The real calendar as index arrays: months and years of days, and how many may be missing."""

from __future__ import annotations

from calendar import isleap

import numpy as np
from numpy.typing import NDArray

from streams.models.inputs import Years

MONTH_DAYS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
"""Days of the months of a 365-day year [days]."""

FEBRUARY_28 = 58
"""Position of 28 February in a year that starts at 0 [days]."""

MISSING_PER_MONTH = 3
"""Missing days above which a month is missing [days]; climdex (Zhang et al. 2011)."""

MISSING_PER_YEAR = 15
"""Missing days above which a year is missing [days]; climdex (Zhang et al. 2011)."""


def month_lengths(years: Years) -> NDArray[np.int64]:
    """Days of every month from January of `years.start` on, shape (12 * years,)."""
    lengths = np.tile(MONTH_DAYS, (len(years), 1))
    lengths[:, 1] += [isleap(year) for year in range(years.start, years.end + 1)]
    return lengths.ravel()


def year_lengths(years: Years) -> NDArray[np.int64]:
    """Days of every year, shape (years,)."""
    return np.asarray(month_lengths(years).reshape(-1, 12).sum(axis=1))


def month_of_days(years: Years) -> NDArray[np.int64]:
    """Month of every day from 1 January of `years.start` on, 0 for January, shape (days,)."""
    return np.repeat(np.tile(np.arange(12), len(years)), month_lengths(years))


def year_of_days(years: Years) -> NDArray[np.int64]:
    """Position of every day's year in `years`, shape (days,)."""
    return np.repeat(np.arange(len(years)), year_lengths(years))


def day_of_days(years: Years) -> NDArray[np.int64]:
    """Position of every day in a 365-day year, 29 February at that of 28 February, shape (days,)."""
    common = np.arange(365)
    leap = np.insert(common, FEBRUARY_28 + 1, FEBRUARY_28)
    return np.concatenate([leap if isleap(year) else common for year in range(years.start, years.end + 1)])


def is_29_february(years: Years) -> NDArray[np.bool_]:
    """Which days are a 29 February, shape (days,)."""
    return np.asarray(np.diff(day_of_days(years), prepend=-1) == 0)
