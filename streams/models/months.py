"""Reading the months of a span of years out of a chunk's monthly series."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from streams.models.frame import no_labels
from streams.models.inputs import Array, Labels, MonthlySeries, Years


def months_of(series: MonthlySeries, variable: str, years: Years, margin: int = 0) -> Array:
    """One variable's months of `years`, (cells, 12 * years), NaN where the series does not reach.

    `margin` months are added on either side. A view where the series reaches: not to be written to.
    """
    values = series.values[variable]
    first = 12 * (years.start - series.first_year) - margin
    count = 12 * len(years) + 2 * margin
    start, stop = max(first, 0), min(first + count, values.shape[1])
    if (start, stop) == (first, first + count):
        return values[:, start:stop]
    found = np.full((len(values), count), np.nan)
    if start < stop:
        found[:, start - first : stop - first] = values[:, start:stop]
    return found


def yearly_sums(months: Array) -> Array:
    """Sums of calendar years, (cells, years), of (cells, 12 * years); NaN where a month is missing."""
    return np.asarray(months.reshape(len(months), -1, 12).sum(axis=2))


def whole_years(series: MonthlySeries, variables: Iterable[str], years: Years) -> NDArray[np.int64]:
    """How many of `years` have all `variables` in all months, (cells,)."""
    there = np.logical_and.reduce([~np.isnan(months_of(series, name, years)) for name in variables])
    return np.asarray(np.count_nonzero(there.reshape(len(there), -1, 12).all(axis=2), axis=1))


def wholly_missing(series: MonthlySeries, variables: Iterable[str], years: Years) -> Labels:
    """`no_data: a, b` naming the variables without a single month in `years`, (cells,), else None."""
    names = no_labels(len(next(iter(series.values.values()))))
    for variable in variables:
        missing = np.isnan(months_of(series, variable, years)).all(axis=1)
        names[missing] = [
            f"{name}, {variable}" if name else f"no_data: {variable}" for name in names[missing]
        ]
    return names
