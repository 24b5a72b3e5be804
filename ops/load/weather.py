"""Daily weather of blocks of cells to months, annual indices and thresholds in the database.

Source: METHODS, section 0 and section 2 (high temperature, cold wave, wildfire).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path

import asyncpg
import numpy as np
from numpy.typing import NDArray

from ops.load import binary, climate
from ops.load.fields import EPOCH
from ops.load.findings import Findings
from ops.load.options import Loaded, LoadOptions
from streams.models.daily import DailyBlock, DailyIndices, Thresholds, daily_indices, thresholds
from streams.models.dates import month_lengths, year_lengths
from streams.models.frame import MIN_YEARS
from streams.models.fwi import MoistureCodes, spring_start
from streams.models.inputs import HISTORICAL, Array, Years

VARIABLES = ("tmax", "tmin", "precip", "tmean", "rh", "rh_min", "wind")
"""Daily variables: degC, degC, mm, degC, %, %, m/s."""

FIRE = ("fwi_days", "fwi_max")


def first_day(year: int) -> int:
    """Days since 1970-01-01 of 1 January."""
    return date(year, 1, 1).toordinal() - EPOCH


def year_of(day: int) -> int:
    """Calendar year of a day counted from 1970-01-01."""
    return date.fromordinal(day + EPOCH).year


@dataclass(frozen=True, slots=True)
class CellDays:
    """Daily weather of some cells under one scenario.

    Attributes:
        latitude, longitude: [degrees], (cells,).
        scenario: Name.
        first_year: Calendar year of the first day, a 1 January.
        values: VARIABLES, (cells, days of whole years); NaN where missing.
        present: Days that the files have a row of, (cells, days).
    """

    latitude: Array
    longitude: Array
    scenario: str
    first_year: int
    values: Mapping[str, Array]
    present: NDArray[np.bool_]

    @property
    def block(self) -> DailyBlock:
        """As the models take it."""
        return DailyBlock(self.first_year, **self.values)

    @property
    def cells(self) -> list[tuple[float, float]]:
        """Coordinates, cell by cell."""
        return list(zip(self.latitude.tolist(), self.longitude.tolist(), strict=True))

    def until(self, year: int, cells: NDArray[np.int64]) -> DailyBlock:
        """The days before 1 January of `year` of some cells."""
        days = first_day(year) - first_day(self.first_year)
        values = {name: array[cells, :days] for name, array in self.values.items()}
        return DailyBlock(self.first_year, **values)

    def preceded_by(self, history: CellDays) -> None:
        """Take the cells' `history` for the days before the first month that is `present`.

        Each cell by its own first month, so that no number depends on the cells beside it. `present`
        stays: the days are not these files' rows of the scenario.
        """
        places = {cell: place for place, cell in enumerate(history.cells)}
        ahead = first_day(self.first_year) - first_day(history.first_year)
        for here, cell in enumerate(self.cells):
            there = places.get(cell)
            if there is None:
                continue
            begin = max(0, -ahead)
            end = min(self._month_start(int(self.present[here].argmax())), history.present.shape[1] - ahead)
            if begin < end:
                for name, array in self.values.items():
                    array[here, begin:end] = history.values[name][there, begin + ahead : end + ahead]

    def _month_start(self, day: int) -> int:
        """The first day of the month of a day, both counted from the first day."""
        start = first_day(self.first_year)
        return date.fromordinal(start + day + EPOCH).replace(day=1).toordinal() - EPOCH - start


class WeatherStore:
    """Takes blocks of daily weather and stores what METHODS section 0 says.

    Args:
        connection: Inside a transaction, its stages prepared.
        options: For the baseline.
        findings: Take the warnings.
        carried: Variables that the files have; what needs others is left as it is stored.
    """

    def __init__(
        self,
        connection: asyncpg.Connection,
        options: LoadOptions,
        findings: Findings,
        carried: AbstractSet[str],
    ) -> None:
        self._connection = connection
        self._baseline = options.baseline
        self._progress = options.progress
        self._findings = findings
        self._months = ["ta", "tamax", "tamin", "rn", "wet_days"]
        self._months += ["rhm"] * ("rh" in carried) + ["ws"] * ("wind" in carried)
        self._indices = ["wsdi", "csdi", "rx1day"]
        if "wind" in carried and carried & {"rh", "rh_min"}:
            self._indices += FIRE
        self._history: CellDays | None = None
        self._cells: set[tuple[float, float]] = set()
        self._years: list[int] = []
        self._thresholds = 0
        self._without: dict[str, int] = {}

    async def add(self, days: CellDays) -> None:
        """Compute a block and stage it; of the same cells `historical` has to come first."""
        if self._history is not None and days.scenario != HISTORICAL:
            days.preceded_by(self._history)
        block = days.block
        limits = await self._limits(days, block)
        indices = daily_indices(block, days.latitude, limits, self._codes_before(days))
        if days.scenario == HISTORICAL:
            self._history = days
        await self._stage_months(days, indices)
        await self._stage_years(days, indices, limits)
        self._cells.update(days.cells)
        self._years += [block.years.start, block.years.end]

    async def finish(self, table: str, files: Sequence[Path], read: int) -> Loaded:
        """Merge what is staged into the tables."""
        self._progress("storing months and indices", 0.0)
        months = await climate.merge_months(self._connection, self._months)
        whole = ["valid_days", "baseline_start", "baseline_end"]
        indices = await climate.merge_indices(self._connection, [*self._indices, *whole])
        self._warn()
        rows = {"climate_data": months.given, "climate_extremes": indices.given}
        if self._thresholds:
            rows["climate_thresholds"] = self._thresholds
        return Loaded(
            table=table,
            files=tuple(path.name for path in files),
            read=read,
            rows=rows,
            changed={"climate_data": months.changed, "climate_extremes": indices.changed},
            cells=len(self._cells),
            years=Years(min(self._years), max(self._years)),
        )

    async def _limits(self, days: CellDays, block: DailyBlock) -> Thresholds:
        """The cells' thresholds: of these days where they are the baseline, else as stored."""
        stored = Thresholds(
            *await climate.stored_thresholds(self._connection, days.latitude, days.longitude, self._baseline)
        )
        if days.scenario != HISTORICAL:
            limits = stored
        else:
            own = thresholds(block, self._baseline)
            limits = Thresholds(_else(own.tx90, stored.tx90), _else(own.tn10, stored.tn10))
            self._thresholds += await climate.store_thresholds(
                self._connection,
                days.latitude,
                days.longitude,
                self._baseline,
                tx90=limits.tx90,
                tn10=limits.tn10,
            )
        without = int((np.isnan(limits.tx90).all(axis=1) | np.isnan(limits.tn10).all(axis=1)).sum())
        self._without[days.scenario] = self._without.get(days.scenario, 0) + without
        return limits

    def _codes_before(self, days: CellDays) -> MoistureCodes | None:
        """Fire weather codes of the day before a scenario's first, where its history was just loaded."""
        history = self._history
        if (
            history is None
            or days.scenario == HISTORICAL
            or not history.first_year < days.first_year <= history.block.years.end + 1
        ):
            return None
        places = {cell: place for place, cell in enumerate(history.cells)}
        found = [(place, places[cell]) for place, cell in enumerate(days.cells) if cell in places]
        if not found:
            return None
        here, there = np.array(found).T
        nothing = np.full((len(there), 365), np.nan)
        before = daily_indices(
            history.until(days.first_year, there), history.latitude[there], Thresholds(nothing, nothing)
        ).moisture
        codes = spring_start(len(days.latitude))
        for code in fields(MoistureCodes):
            getattr(codes, code.name)[here] = getattr(before, code.name)
        return codes

    async def _stage_months(self, days: CellDays, indices: DailyIndices) -> None:
        lengths = month_lengths(indices.years)
        filled = np.add.reduceat(days.present, np.cumsum(lengths) - lengths, axis=1, dtype=np.int64) > 0
        cell, month = np.nonzero(filled)
        await climate.stage_months(
            self._connection,
            days.latitude[cell],
            days.longitude[cell],
            days.scenario,
            month + days.first_year * 12,
            values={name: indices.monthly[name][cell, month] for name in self._months},
        )

    async def _stage_years(self, days: CellDays, indices: DailyIndices, limits: Thresholds) -> None:
        lengths = year_lengths(indices.years)
        filled = np.add.reduceat(days.present, np.cumsum(lengths) - lengths, axis=1, dtype=np.int64) > 0
        cell, year = np.nonzero(filled)
        unknown = np.isnan(np.concatenate([limits.tx90, limits.tn10], axis=1)).all(axis=1)[cell]
        await climate.stage_indices(
            self._connection,
            (days.latitude[cell], days.longitude[cell], days.scenario),
            year + days.first_year,
            {name: indices.annual[name][cell, year] for name in self._indices},
            {
                "valid_days": binary.int4(indices.valid_days[cell, year]),
                "baseline_start": binary.int4(np.full(len(cell), self._baseline.start), unknown),
                "baseline_end": binary.int4(np.full(len(cell), self._baseline.end), unknown),
            },
        )

    def _warn(self) -> None:
        span = f"{self._baseline.start}-{self._baseline.end}"
        for scenario, cells in self._without.items():
            if not cells:
                continue
            why = (
                f"the files have fewer than {MIN_YEARS} valid years of the baseline {span}, "
                "and no thresholds were stored before"
                if scenario == HISTORICAL
                else f"no thresholds of the historical baseline {span} are stored; "
                "load the historical days first"
            )
            self._findings.warnings.append(f"{scenario}: no wsdi or csdi for {cells:,} cells: {why}")
        if FIRE[0] not in self._indices:
            self._findings.warnings.append(
                "no fwi_days: the fire weather index of real days needs the columns wind and rh or rh_min"
            )


def _else(own: Array, stored: Array) -> Array:
    """A cell's own thresholds, the stored ones where it has none."""
    return np.where(np.isnan(own).all(axis=1, keepdims=True), stored, own)
