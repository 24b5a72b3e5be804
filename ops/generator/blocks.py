"""Seeded weather for tests, benchmarks and the demo without its data packages.

A cell's numbers depend on the seed, its coordinates, the scenario and the year alone: never on the
block they come in, the window asked for or the other cells. Everything streams in blocks, so that
memory stays flat however many cells there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ops.demo.sources import DAILY_COLUMNS
from ops.generator.cells import Cells
from ops.generator.days import draw_days
from ops.generator.months import draw_months
from ops.generator.normals import Normals, draw_normals
from streams.models.daily import DailyBlock
from streams.models.inputs import HISTORICAL, MONTHLY_VARIABLES, MonthlySeries, Years

MONTHLY_COLUMNS = ("latitude", "longitude", "year", "month", *MONTHLY_VARIABLES, "scenario")
"""Columns of the monthly CSV."""

_WEATHER_COLUMNS = DAILY_COLUMNS[3:]


@dataclass(frozen=True, slots=True)
class MonthlyBlock:
    """Months of some cells under one scenario."""

    cells: Cells
    scenario: str
    months: MonthlySeries


@dataclass(frozen=True, slots=True)
class WeatherBlock:
    """Days of some cells under one scenario."""

    cells: Cells
    scenario: str
    days: DailyBlock


def monthly_blocks(
    cells: Cells, years: Years, seed: int, scenario: str = HISTORICAL, block: int = 500
) -> Iterator[MonthlyBlock]:
    """Monthly climate of cells, at most `block` cells at a time, all MONTHLY_VARIABLES.

    Raises:
        ValueError: The scenario is neither `historical` nor in the demo's table `warming`.
    """
    for part in cells.blocks(block):
        yield MonthlyBlock(part, scenario, draw_months(part, years, seed, scenario))


def daily_blocks(
    cells: Cells, years: Years, seed: int, scenario: str = HISTORICAL, block: int = 25
) -> Iterator[WeatherBlock]:
    """Daily weather of cells, at most `block` cells at a time.

    Raises:
        ValueError: The scenario is neither `historical` nor in the demo's table `warming`.
    """
    for part in cells.blocks(block):
        yield WeatherBlock(part, scenario, draw_days(draw_normals(part, seed), years, seed, scenario))


def drawn_daily_blocks(
    normals: Normals, years: Years, seed: int, scenario: str = HISTORICAL, block: int = 25
) -> Iterator[WeatherBlock]:
    """Daily weather drawn from given normals (`read_normals`), at most `block` places at a time.

    Raises:
        ValueError: The scenario is neither `historical` nor in the demo's table `warming`.
    """
    for part in normals.blocks(block):
        yield WeatherBlock(part.cells, scenario, draw_days(part, years, seed, scenario))


def write_monthly_csv(path: Path, blocks: Iterable[MonthlyBlock]) -> int:
    """Write blocks in MONTHLY_COLUMNS; gives the number of rows."""
    form = "{:.6f},{:.6f},{},{}," + ",".join(["{}"] * len(MONTHLY_VARIABLES)) + ",{}\n"
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(MONTHLY_COLUMNS) + "\n")
        for block in blocks:
            values = np.stack([block.months.values[name] for name in MONTHLY_VARIABLES], axis=2)
            dates = [divmod(month, 12) for month in range(values.shape[1])]
            for latitude, longitude, table in _by_cell(block.cells, values):
                file.writelines(
                    form.format(
                        latitude, longitude, block.months.first_year + year, month + 1, *row, block.scenario
                    )
                    for (year, month), row in zip(dates, table, strict=True)
                )
            count += values.shape[0] * values.shape[1]
    return count


def write_daily_csv(path: Path, blocks: Iterable[WeatherBlock]) -> int:
    """Write blocks in DAILY_COLUMNS and the scenario; gives the number of rows."""
    form = "{:.6f},{:.6f},{}," + ",".join(["{}"] * len(_WEATHER_COLUMNS)) + ",{}\n"
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join((*DAILY_COLUMNS, "scenario")) + "\n")
        for block in blocks:
            values = np.stack([getattr(block.days, name) for name in _WEATHER_COLUMNS], axis=2)
            first = np.datetime64(f"{block.days.first_year}-01-01")
            dates = (first + np.arange(values.shape[1])).astype(str).tolist()
            for latitude, longitude, table in _by_cell(block.cells, values):
                file.writelines(
                    form.format(latitude, longitude, date, *row, block.scenario)
                    for date, row in zip(dates, table, strict=True)
                )
            count += values.shape[0] * values.shape[1]
    return count


def _by_cell(cells: Cells, values: np.ndarray) -> Iterator[tuple[float, float, list[list[float]]]]:
    where = zip(cells.latitude.tolist(), cells.longitude.tolist(), strict=True)
    for (latitude, longitude), table in zip(where, values, strict=True):
        yield latitude, longitude, table.tolist()
