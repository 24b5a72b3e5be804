"""Packed climate series as arrays on one time axis, the scenario joined to `historical`.

Source: METHODS, section 1 (the join).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from streams.models.inputs import ANNUAL_INDICES, MONTHLY_VARIABLES, AnnualSeries, Array, MonthlySeries, Years

FLOAT = np.dtype(">f8")
"""How PostgreSQL's float8send writes a number."""

MONTHS = 12
EARLIEST_YEAR, LATEST_YEAR = 1000, 3000
"""Years between which a packed series may begin; others are a damaged row (expert assumption)."""


class CorruptSeriesError(ValueError):
    """A stored series cannot be read; the sentence says what is wrong with its bytes."""


@dataclass(frozen=True, slots=True)
class Series:
    """One cell's series under one scenario.

    `steps` has shape (steps, variables), the first step at `first` counted from year 0: in months for
    monthly series, in years for annual ones.
    """

    first: int
    steps: Array

    @property
    def stop(self) -> int:
        """The step after the last."""
        return self.first + len(self.steps)

    def known(self) -> Series:
        """The same series from its first step with any value on; empty where there is none."""
        if len(self.steps) and not np.isnan(self.steps[0]).all():
            return self
        filled = np.flatnonzero(~np.isnan(self.steps).all(axis=1))
        start = int(filled[0]) if filled.size else len(self.steps)
        return Series(self.first + start, self.steps[start:])


Stored = Mapping[int, Series]
"""Series by the place of the cell in the chunk; a cell that is absent has none."""

Parts = Mapping[int, tuple[Series, ...]]
"""The series that follow each other on a cell's time axis, by the place of the cell."""


def unpack_months(first_year: int, packed: bytes) -> Series:
    """Months of climate_packed.

    Raises:
        CorruptSeriesError: The bytes are not whole months or none, or the first year cannot be one.
    """
    width = FLOAT.itemsize * len(MONTHLY_VARIABLES)
    if not packed or len(packed) % width:
        raise CorruptSeriesError(
            f"climate_packed.months has {len(packed)} bytes, not a multiple of {width}; repack the cell"
        )
    if not EARLIEST_YEAR <= first_year <= LATEST_YEAR:
        raise CorruptSeriesError(f"climate_packed.first_year is {first_year}; repack the cell")
    steps = np.frombuffer(packed, FLOAT).reshape(-1, len(MONTHLY_VARIABLES))
    return Series(first_year * MONTHS, steps)


def unpack_years(packed: bytes) -> Series:
    """Annual indices from ascending records of year and ANNUAL_INDICES; a year without a record is NaN."""
    records = np.frombuffer(packed, FLOAT).reshape(-1, 1 + len(ANNUAL_INDICES))
    years = records[:, 0].astype(np.int64)
    first = int(years[0])
    steps = np.full((int(years[-1]) - first + 1, len(ANNUAL_INDICES)), np.nan)
    steps[years - first] = records[:, 1:]
    return Series(first, steps)


def join(historical: Stored, scenario: Stored) -> dict[int, tuple[Series, ...]]:
    """Each cell's scenario, preceded by `historical` up to the scenario's first step.

    A cell without any value under the scenario has nothing: another climate never stands in for it.
    """
    joined: dict[int, tuple[Series, ...]] = {}
    for place, series in scenario.items():
        own = series.known()
        if len(own.steps):
            before = historical.get(place)
            joined[place] = (own,) if before is None else (_until(before, own.first), own)
    return joined


def _until(series: Series, stop: int) -> Series:
    return Series(series.first, series.steps[: max(stop - series.first, 0)])


def monthly_series(cells: int, parts: Parts, years: Years) -> MonthlySeries:
    """Months of the cells to the end of the year after `years`, from their start or the first stored year.

    The heat that goes into the soil in the last December is known by the next January.
    """
    first = min([years.start * MONTHS, *(part.first for of in parts.values() for part in of)])
    first -= first % MONTHS
    block = _block(cells, parts, len(MONTHLY_VARIABLES), first, (years.end + 2) * MONTHS)
    return MonthlySeries(first // MONTHS, dict(zip(MONTHLY_VARIABLES, block, strict=True)))


def annual_series(cells: int, parts: Parts, years: Years) -> AnnualSeries:
    """Annual indices of the cells to the end of `years`, from their start or the first stored year."""
    first = min([years.start, *(part.first for of in parts.values() for part in of)])
    block = _block(cells, parts, len(ANNUAL_INDICES), first, years.end + 1)
    return AnnualSeries(first, dict(zip(ANNUAL_INDICES, block, strict=True)))


def _block(cells: int, parts: Parts, variables: int, first: int, stop: int) -> Array:
    block = np.full((variables, cells, stop - first), np.nan)
    for place, of_cell in parts.items():
        for part in of_cell:
            end = min(part.stop, stop)
            if end > part.first:
                block[:, place, part.first - first : end - first] = part.steps[: end - part.first].T
    return block
