"""Monthly CSV files into climate_data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import asyncpg
import numpy as np

from ops.load import climate
from ops.load.columns import MONTHLY
from ops.load.csvfile import CsvFile, TextBlock
from ops.load.fields import Reader
from ops.load.findings import Findings
from ops.load.options import Loaded, LoadOptions
from ops.load.sheets import same_columns
from ops.load.staging import check_repeats
from streams.models.dates import MONTH_DAYS
from streams.models.inputs import HISTORICAL, MONTHLY_VARIABLES, Array, Years

LEAP_FEBRUARY = 29

EXTENT = """
SELECT count(DISTINCT (latitude, longitude)) AS cells, min(year) AS first, max(year) AS last
FROM pg_temp.stage_months
"""


async def load_monthly(
    files: Sequence[Path], connection: asyncpg.Connection, options: LoadOptions, findings: Findings
) -> Loaded:
    """Stage the files, look for repeated keys, merge, pack."""
    await climate.prepare(connection)
    header = same_columns(files, MONTHLY)
    carried = [name for name in MONTHLY_VARIABLES if name in header]
    read = 0
    for number, path in enumerate(files):
        read += await _stage(connection, path, number, options, findings)
    findings.settle()
    names = tuple(path.name for path in files)
    await check_repeats(connection, "stage_months", MONTHLY.key, carried, files=names, findings=findings)
    extent = await connection.fetchrow(EXTENT)
    options.progress("storing months", 0.0)
    months = await climate.merge_months(connection, carried, findings.duplicates)
    return Loaded(
        table="monthly",
        files=names,
        read=read,
        rows={"climate_data": months.given},
        changed={"climate_data": months.changed},
        cells=extent["cells"],
        years=Years(extent["first"], extent["last"]),
    )


async def _stage(
    connection: asyncpg.Connection, path: Path, number: int, options: LoadOptions, findings: Findings
) -> int:
    read = 0
    reader = Reader(findings)
    with CsvFile(path, MONTHLY) as file:
        for block in file.blocks(findings, options.progress):
            read += len(block)
            values = {
                name: reader.numbers(block, MONTHLY.column(name))
                for name in file.header
                if name != "scenario"
            }
            scenarios = _scenarios(block, reader)
            reader.not_below(block, values, "tamax", "tamin")
            _check_wet_days(block, values, reader)
            if findings.clean:
                await _copy(connection, values, scenarios, (number, block))
    return read


def _scenarios(block: TextBlock, reader: Reader) -> dict[str, np.ndarray]:
    """Rows of each scenario of a block."""
    if "scenario" not in block.columns:
        return {HISTORICAL: np.arange(len(block))}
    names = np.array([name or "" for name in reader.texts(block, MONTHLY.column("scenario"))])
    return {str(name): np.flatnonzero(names == name) for name in np.unique(names)}


async def _copy(
    connection: asyncpg.Connection,
    values: dict[str, Array],
    scenarios: dict[str, np.ndarray],
    place: tuple[int, TextBlock],
) -> None:
    number, block = place
    months = (values["year"] * 12 + values["month"] - 1).astype(np.int64)
    for scenario, rows in scenarios.items():
        await climate.stage_months(
            connection,
            values["latitude"][rows],
            values["longitude"][rows],
            scenario,
            months[rows],
            values={name: values[name][rows] for name in MONTHLY_VARIABLES if name in values},
            place=(number, block.lines[rows]),
        )


def _check_wet_days(block: TextBlock, values: dict[str, Array], reader: Reader) -> None:
    if "wet_days" not in values:
        return
    month = np.where(np.isnan(values["month"]), 1, values["month"]).astype(np.int64)
    longest = np.append(MONTH_DAYS, 0)[np.clip(month - 1, 0, 11)]
    longest = np.where(longest == MONTH_DAYS[1], LEAP_FEBRUARY, longest)
    wrong = values["wet_days"] > longest
    reader.impossible(
        block, MONTHLY.column("wet_days"), values["wet_days"], wrong, "is more than the days of the month"
    )
