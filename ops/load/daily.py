"""Daily CSV files: rows in any order, gathered cell by cell in the database, then to months and indices."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import asyncpg
import numpy as np
from numpy.typing import NDArray

from ops.load import climate
from ops.load.columns import DAILY
from ops.load.csvfile import CsvFile, TextBlock
from ops.load.fields import Reader
from ops.load.findings import MAX_FAULTS, Findings
from ops.load.options import Loaded, LoadOptions
from ops.load.sheets import same_columns
from ops.load.staging import repeats
from ops.load.weather import VARIABLES, CellDays, WeatherStore, first_day, year_of
from streams.models.inputs import HISTORICAL, Array, Years

ROW = np.dtype([("day", "<i4"), ("line", "<i4"), ("file", "<i4"), ("values", "<f8", (len(VARIABLES),))])
"""A day of a cell on its way through the stage; NaN where a value is missing."""

BATCH_ROWS = 120_000
"""Days computed at a time, some 11 cells of 30 years: 8 MB of rows, 60 MB at the peak of their indices."""

STAGE = """
CREATE TEMPORARY TABLE IF NOT EXISTS stage_days (
    latitude double precision, longitude double precision, scenario text, piece integer, days bytea
) ON COMMIT DROP;
ALTER TABLE pg_temp.stage_days ALTER COLUMN days SET STORAGE EXTERNAL;
TRUNCATE pg_temp.stage_days;
"""

# A cell's history comes before its scenarios, which look back on it.
GATHER = """
SELECT latitude, longitude, scenario, days FROM pg_temp.stage_days
ORDER BY latitude, longitude, scenario <> $1, scenario COLLATE "C", piece
"""


class Series(NamedTuple):
    """All staged days of a cell under one scenario."""

    latitude: float
    longitude: float
    scenario: str
    days: NDArray[np.void]


async def load_daily(
    files: Sequence[Path], connection: asyncpg.Connection, options: LoadOptions, findings: Findings
) -> Loaded:
    """Stage the files cell by cell, compute months and indices, merge, pack."""
    await climate.prepare(connection)
    await connection.execute(STAGE)
    header = same_columns(files, DAILY)
    read = 0
    for number, path in enumerate(files):
        read += await _stage(connection, path, number, options, findings)
    findings.settle()
    store = WeatherStore(connection, options, findings, header & set(VARIABLES))
    done = 0
    async for batch in _batches(connection):
        for days in _blocks(batch, files, findings):
            if findings.clean:
                await store.add(days)
        done += sum(len(series.days) for series in batch)
        options.progress("computing months and indices", done / read)
    findings.settle()
    return await store.finish("daily", files, read)


async def _stage(
    connection: asyncpg.Connection, path: Path, number: int, options: LoadOptions, findings: Findings
) -> int:
    read = piece = 0
    reader = Reader(findings)
    with CsvFile(path, DAILY) as file:
        for block in file.blocks(findings, options.progress):
            read += len(block)
            values = {
                name: reader.numbers(block, DAILY.column(name)) for name in file.header if name != "scenario"
            }
            names: Sequence[str | None] = [HISTORICAL] * len(block)
            if "scenario" in file.header:
                names = reader.texts(block, DAILY.column("scenario"))
            reader.not_below(block, values, "tmax", "tmin")
            if findings.clean:
                if options.change is not None:
                    names = options.change.made(values, names)
                await _copy(connection, _pieces(block, values, names, number), piece)
                piece += 1
    return read


def _pieces(
    block: TextBlock, values: dict[str, Array], scenario: Sequence[str | None], file: int
) -> list[Series]:
    """The rows of a block by cell and scenario, in the file's order."""
    rows = np.empty(len(block), dtype=ROW)
    rows["day"], rows["line"], rows["file"] = values["date"], block.lines, file
    for column, name in enumerate(VARIABLES):
        rows["values"][:, column] = values.get(name, np.nan)
    names, label = np.unique(np.array(scenario), return_inverse=True)
    order = np.lexsort((label, values["longitude"], values["latitude"]))
    key = np.stack([values["latitude"], values["longitude"], label])[:, order]
    starts = np.flatnonzero(np.append(True, (key[:, 1:] != key[:, :-1]).any(axis=0)))
    ends = np.append(starts[1:], len(order))
    return [
        Series(key[0, start], key[1, start], str(names[int(key[2, start])]), rows[order[start:end]])
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ]


async def _copy(connection: asyncpg.Connection, pieces: Sequence[Series], number: int) -> None:
    await connection.copy_records_to_table(
        "stage_days",
        records=[
            (piece.latitude, piece.longitude, piece.scenario, number, piece.days.tobytes())
            for piece in pieces
        ],
        columns=["latitude", "longitude", "scenario", "piece", "days"],
    )


async def _series(connection: asyncpg.Connection) -> AsyncIterator[Series]:
    """Staged pieces joined, cell after cell."""
    key: tuple[float, float, str] | None = None
    parts: list[bytes] = []
    async for row in connection.cursor(GATHER, HISTORICAL, prefetch=100):
        found = (row["latitude"], row["longitude"], row["scenario"])
        if key is not None and found != key:
            yield Series(*key, np.frombuffer(b"".join(parts), dtype=ROW))
            parts = []
        key = found
        parts.append(row["days"])
    if key is not None:
        yield Series(*key, np.frombuffer(b"".join(parts), dtype=ROW))


async def _batches(connection: asyncpg.Connection) -> AsyncIterator[list[Series]]:
    """Series of whole cells, about BATCH_ROWS days at a time."""
    batch: list[Series] = []
    rows = 0
    async for series in _series(connection):
        if rows >= BATCH_ROWS and (batch[-1].latitude, batch[-1].longitude) != series[:2]:
            yield batch
            batch, rows = [], 0
        batch.append(series)
        rows += len(series.days)
    if batch:
        yield batch


def _blocks(batch: list[Series], files: Sequence[Path], findings: Findings) -> list[CellDays]:
    """The batch's cells scenario by scenario, `historical` first."""
    ordered = sorted(batch, key=lambda series: (series.scenario != HISTORICAL, series.scenario))
    return [
        _cell_days(list(group), files, findings) for _, group in groupby(ordered, key=attrgetter("scenario"))
    ]


def _cell_days(group: list[Series], files: Sequence[Path], findings: Findings) -> CellDays:
    first = min(int(series.days["day"].min()) for series in group)
    last = max(int(series.days["day"].max()) for series in group)
    years = Years(year_of(first), year_of(last))
    start, end = first_day(years.start), first_day(years.end + 1)
    values = np.full((len(VARIABLES), len(group), end - start), np.nan)
    present = np.zeros((len(group), end - start), dtype=bool)
    for cell, series in enumerate(group):
        days = _single(series, files, findings)
        at = days["day"] - start
        values[:, cell, at] = days["values"].T
        present[cell, at] = True
    return CellDays(
        latitude=np.array([series.latitude for series in group]),
        longitude=np.array([series.longitude for series in group]),
        scenario=group[0].scenario,
        first_year=years.start,
        values=dict(zip(VARIABLES, values, strict=True)),
        present=present,
    )


def _single(series: Series, files: Sequence[Path], findings: Findings) -> NDArray[np.void]:
    """The days of a series, each once; equal rows are counted, contradicting ones become faults."""
    days = series.days
    if (np.diff(days["day"]) > 0).all():
        return days
    days = days[np.lexsort((days["line"], days["file"], days["day"]))]
    again = np.append(False, days["day"][1:] == days["day"][:-1])
    starts = np.maximum.accumulate(np.where(again, 0, np.arange(len(days))))
    equal = (days["values"] == days["values"][starts]) | (
        np.isnan(days["values"]) & np.isnan(days["values"][starts])
    )
    differs = np.flatnonzero(again & ~equal.all(axis=1))
    findings.duplicates += int(again.sum()) - len(differs)
    for row in differs[:MAX_FAULTS]:
        first, later = days[starts[row]], days[row]
        name, earlier = files[later["file"]].name, files[first["file"]].name
        findings.fault_of_line((name, int(later["line"])), repeats(earlier, int(first["line"]), name))
    findings.more(max(len(differs) - MAX_FAULTS, 0))
    single: NDArray[np.void] = days[~again]
    return single
