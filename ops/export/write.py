"""An export into a file or a stream, in the format that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import asyncpg

from ops.export.csv_file import write_csv
from ops.export.geojson_file import write_geojson
from ops.export.missing import nothing_found
from ops.export.request import NETCDF_NEEDS, PARQUET_NEEDS, ExportRequest, Format, require
from ops.export.rows import Outline, batches, cells, outline, snapshot
from ops.export.spacing import spacing


async def write_export(
    connection: asyncpg.Connection, request: ExportRequest, target: Path | IO[bytes]
) -> int:
    """Write the results that a request asks for, and return how many rows of cell and risk.

    The reads are one snapshot of the database. CSV, GeoJSON and Parquet hold a batch of rows in memory
    at a time, NetCDF all of its arrays. A file of the name `target` is replaced.

    Args:
        connection: To the result tables, outside any transaction.
        request: What to export.
        target: A file's path, or a stream that is left open.

    Raises:
        NoResults: Nothing is stored of what is asked for; the sentence says what there is.
        RiskflowError: A library of the extra `export` is not installed.
        OSError: The file cannot be written.
    """
    _require(request.format)
    async with snapshot(connection):
        found = await outline(connection, request)
        if not found.risks or set(request.risks) - set(found.risks):
            raise await nothing_found(connection, request, found)
        if isinstance(target, Path):
            return await _write_file(connection, request, found, target)
        return await _write(connection, request, found, target)


def _require(kind: Format) -> None:
    if kind is Format.parquet:
        require(PARQUET_NEEDS, "an export as Parquet")
    if kind is Format.netcdf:
        require(NETCDF_NEEDS, "an export as NetCDF")


async def _write_file(
    connection: asyncpg.Connection, request: ExportRequest, found: Outline, path: Path
) -> int:
    """As `_write`; what was begun and not ended does not stay."""
    with path.open("wb") as file:
        try:
            return await _write(connection, request, found, file)
        except BaseException:
            _remove(path)
            raise


def _remove(path: Path) -> None:
    if path.is_file():
        path.unlink()


async def _write(
    connection: asyncpg.Connection, request: ExportRequest, found: Outline, file: IO[bytes]
) -> int:
    # Parquet and NetCDF need an extra: only who asks for them pays for its imports.
    rows = batches(connection, request, found)
    if request.format is Format.csv:
        return await write_csv(found, rows, file)
    if request.format is Format.geojson:
        lattice = spacing(await cells(connection, request))
        return await write_geojson(found, rows, lattice, file)
    if request.format is Format.parquet:
        from ops.export.parquet_file import write_parquet  # noqa: PLC0415 - see above

        return await write_parquet(request, found, rows, file)
    from ops.export.netcdf_file import write_netcdf  # noqa: PLC0415 - see above

    return await write_netcdf(connection, request, found, rows, file)
