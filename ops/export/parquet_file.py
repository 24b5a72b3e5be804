"""Rows as Apache Parquet and as Arrow tables; brings pyarrow."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from ops.export.request import ExportRequest
from ops.export.rows import Outline, Row

GROUP_ROWS = 100_000
"""Rows of a row group."""

COMPRESSION = "zstd"

_TYPES: Mapping[type, pa.DataType] = {
    float: pa.float64(),
    int: pa.int32(),
    str: pa.string(),
    datetime: pa.timestamp("us", tz="UTC"),
}


async def write_parquet(
    request: ExportRequest, found: Outline, batches: AsyncIterator[list[Row]], file: IO[bytes]
) -> int:
    """Write all rows in groups of GROUP_ROWS and return how many."""
    schema = arrow_schema(request, found)
    gathered: list[pa.RecordBatch] = []
    held = written = 0
    with pq.ParquetWriter(file, schema, compression=COMPRESSION) as writer:
        async for rows in batches:
            gathered.append(await to_thread(_arrow, rows, schema))
            held += len(rows)
            if held >= GROUP_ROWS:
                await to_thread(_write_group, writer, gathered, schema)
                written, held = written + held, 0
                gathered = []
        if held:
            await to_thread(_write_group, writer, gathered, schema)
    return written + held


async def arrow_table(request: ExportRequest, found: Outline, batches: AsyncIterator[list[Row]]) -> pa.Table:
    """All rows in memory."""
    schema = arrow_schema(request, found)
    return pa.Table.from_batches([await to_thread(_arrow, rows, schema) async for rows in batches], schema)


def arrow_schema(request: ExportRequest, found: Outline) -> pa.Schema:
    """Names and types of the columns; the metadata say which scenario and window they are of."""
    fields = [pa.field(name, _TYPES[kind]) for name, kind in found.columns.items()]
    window = f"{request.window.start}-{request.window.end}"
    return pa.schema(fields, metadata={"riskflow.scenario": request.scenario, "riskflow.window": window})


def _arrow(rows: Sequence[Row], schema: pa.Schema) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _write_group(writer: pq.ParquetWriter, batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> None:
    writer.write_table(pa.Table.from_batches(batches, schema), row_group_size=2 * GROUP_ROWS)
