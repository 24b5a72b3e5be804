"""Calendar-month values on days: a year of 366 slots, of which ordinary years have no 29 February."""

from __future__ import annotations

from calendar import isleap

import numpy as np

from streams.models.dates import FEBRUARY_28, month_lengths, month_of_days
from streams.models.inputs import Array, Years

SLOTS = 366
"""Days of a leap year."""

_LEAP = Years(2000, 2000)
SLOT_MONTH = month_of_days(_LEAP)
"""Month of every slot, 0 for January, (366,)."""

_LENGTHS = month_lengths(_LEAP)
_CENTRES = np.cumsum(_LENGTHS) - _LENGTHS / 2
# Knots stand at the months' middles; December's and January's are repeated across the year's end.
_POSITION = np.interp(
    np.arange(SLOTS) + 0.5,
    np.concatenate([_CENTRES[-1:] - SLOTS, _CENTRES, _CENTRES[:1] + SLOTS]),
    np.arange(-1, 13),
)
_BEFORE = np.floor(_POSITION).astype(np.int64)
_SHARE = _POSITION - _BEFORE
_LINE = np.zeros((SLOTS, 12))
np.add.at(_LINE, (np.arange(SLOTS), _BEFORE % 12), 1 - _SHARE)
np.add.at(_LINE, (np.arange(SLOTS), (_BEFORE + 1) % 12), _SHARE)
_STARTS = np.cumsum(_LENGTHS) - _LENGTHS
_KNOTS = np.linalg.inv(np.add.reduceat(_LINE, _STARTS) / _LENGTHS[:, None])


def real_days(values: Array, years: Years) -> Array:
    """Values on SLOTS days of every year (..., years * 366) on the days that there are (..., days)."""
    there = np.ones((len(years), SLOTS), dtype=np.bool_)
    there[:, FEBRUARY_28 + 1] = [isleap(year) for year in range(years.start, years.end + 1)]
    return values[..., there.ravel()]


def steps(monthly: Array, years: Years) -> Array:
    """Calendar-month values (cells, 12) on days (cells, days), constant within a month."""
    return monthly[:, month_of_days(years)]


def line(monthly: Array, years: Years) -> Array:
    """A broken line over days (cells, days) whose calendar-month means are `monthly` (cells, 12).

    The knots are solved for, as a line through the means themselves would cut the peaks.
    """
    # Sums in a fixed order: the same cell gives the same bits in every block.
    knots = sum((_KNOTS[:, month] * monthly[:, month, None] for month in range(12)), np.zeros(12))
    course = knots[:, _BEFORE % 12] * (1 - _SHARE) + knots[:, (_BEFORE + 1) % 12] * _SHARE
    return real_days(np.tile(course, len(years)), years)
