"""Arrays as rows of PostgreSQL's binary COPY.

Source: PostgreSQL documentation, COPY, "Binary Format"; numeric as numeric_recv reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import NamedTuple

import asyncpg
import numpy as np
from numpy.typing import ArrayLike, NDArray

from streams.models.inputs import Array

Octets = NDArray[np.uint8]

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
NULL = 0xFF
MICRO = 1_000_000
NEGATIVE = 0x4000
DIGITS = 3
"""Base-10000 digits of a coordinate: one before the point, two after it."""


POSTGRES_EPOCH = np.datetime64("2000-01-01T00:00:00", "us")
POSTGRES_DAY = 10_957
"""2000-01-01 in days since 1970-01-01."""


class Field(NamedTuple):
    """One column: its octets, shape (rows, width), which rows are null, and how many octets count.

    Rows without a length are as long as the column is wide.
    """

    octets: Octets
    null: NDArray[np.bool_] | None = None
    lengths: NDArray[np.int32] | None = None


def float8(values: Array) -> Field:
    """Double precision; NaN becomes null."""
    return Field(_octets(values.astype(">f8")), np.isnan(values))


def int4(values: ArrayLike, null: NDArray[np.bool_] | None = None) -> Field:
    """Integer."""
    return Field(_octets(np.asarray(values).astype(">i4")), null)


def numeric6(degrees: Array) -> Field:
    """numeric(10, 6) of coordinates."""
    micro = np.rint(degrees * MICRO).astype(np.int64)
    size = np.abs(micro)
    parts = np.empty((len(micro), 4 + DIGITS), dtype=">i2")
    parts[:, 0], parts[:, 1], parts[:, 3] = DIGITS, 0, 6
    parts[:, 2] = np.where(micro < 0, NEGATIVE, 0)
    parts[:, 4] = size // MICRO
    parts[:, 5] = size % MICRO // 100
    parts[:, 6] = size % 100 * 100
    return Field(_octets(parts))


def text(value: str, rows: int) -> Field:
    """The same text in every row."""
    octets = np.frombuffer(value.encode(), dtype=np.uint8)
    return Field(np.broadcast_to(octets, (rows, len(octets))))


def texts(values: Sequence[str | None], codes: NDArray[np.intp]) -> Field:
    """Texts of which many repeat.

    Args:
        values: Different texts, at least one; None is null.
        codes: Position in `values`, (rows,).
    """
    encoded = [b"" if value is None else value.encode() for value in values]
    lengths = np.array([len(value) for value in encoded], dtype=np.int32)
    padded = np.array(encoded, dtype=f"S{max(lengths.max(), 1)}")
    null = np.array([value is None for value in values])
    return Field(_octets(padded)[codes], null[codes], lengths[codes])


def date(days: Array) -> Field:
    """Days since 1970-01-01; NaN becomes null."""
    null = np.isnan(days)
    return int4(np.where(null, 0, days - POSTGRES_DAY), null)


def timestamptz(moments: NDArray[np.datetime64]) -> Field:
    """Times in UTC [microseconds]; NaT becomes null."""
    return Field(_octets((moments - POSTGRES_EPOCH).astype(np.int64).astype(">i8")), np.isnat(moments))


def blob(values: NDArray[np.generic]) -> Field:
    """Octets (bytea) of each row of an array, in its byte order."""
    return Field(_octets(values))


def encode(fields: Sequence[Field]) -> bytes:
    """A whole binary COPY stream."""
    rows = len(fields[0].octets)
    width = 2 + sum(4 + field.octets.shape[1] for field in fields)
    table = np.empty((rows, width), dtype=np.uint8)
    table[:, :2] = _big_endian(len(fields), 2)
    keep: NDArray[np.bool_] | None = None
    at = 2
    for octets, null, lengths in fields:
        start, end = at + 4, at + 4 + octets.shape[1]
        table[:, at:start] = _big_endian(octets.shape[1], 4)
        table[:, start:end] = octets
        if lengths is not None:
            keep = np.ones(table.shape, dtype=bool) if keep is None else keep
            table[:, at:start] = _octets(lengths.astype(">i4"))
            keep[:, start:end] = np.arange(octets.shape[1]) < lengths[:, None]
        if null is not None and null.any():
            keep = np.ones(table.shape, dtype=bool) if keep is None else keep
            table[null, at:start] = NULL
            keep[null, start:end] = False
        at = end
    return HEADER + (table if keep is None else table[keep]).tobytes() + TRAILER


async def copy(connection: asyncpg.Connection, table: str, fields: dict[str, Field]) -> None:
    """COPY arrays into the columns of a table."""
    # Closed at once: the driver leaves a reference cycle behind that keeps the rows till a late collection.
    with BytesIO(encode(list(fields.values()))) as rows:
        await connection.copy_to_table(table, source=rows, columns=list(fields), format="binary")


def _octets(values: NDArray[np.generic]) -> Octets:
    values = np.ascontiguousarray(values)
    return values.view(np.uint8).reshape(len(values), -1)


def _big_endian(number: int, width: int) -> Octets:
    return np.frombuffer(number.to_bytes(width, "big"), dtype=np.uint8)
