"""Rows of a query as a structured array, by binary COPY: no Python object per row.

Source: PostgreSQL documentation, COPY, "Binary Format".
"""

from __future__ import annotations

from collections.abc import Mapping

import asyncpg
import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.void]

TYPES = {"integer": ">i4", "smallint": ">i2", "float8": ">f8", "boolean": "?"}
"""How COPY writes the values of PostgreSQL's types that have a fixed width."""

_SIGNATURE = b"PGCOPY\n\xff\r\n\0"
_HEADER_BYTES = len(_SIGNATURE) + 4 + 4
"""Signature, flags and length of the extension, which is empty."""
_TRAILER = b"\xff\xff"


async def copy_rows(
    connection: asyncpg.Connection, query: str, *args: object, columns: Mapping[str, str]
) -> Rows:
    """The rows of a query, (rows,), with a field per column.

    Args:
        connection: Where to ask.
        query: Gives the columns in this order, each cast to its type, none null.
        columns: Type of each, one of TYPES.

    Raises:
        RuntimeError: The query gives other columns, or a null.
    """
    received = bytearray()

    async def receive(data: bytes) -> None:
        received.extend(data)

    await connection.copy_from_query(query, *args, output=receive, format="binary")
    return decode_rows(received, columns)


def decode_rows(copied: bytes | bytearray, columns: Mapping[str, str]) -> Rows:
    """The rows of a whole binary COPY; arguments and errors as in `copy_rows`."""
    layout = _layout(columns)
    body = memoryview(copied)[_HEADER_BYTES : len(copied) - len(_TRAILER)]
    if not copied.startswith(_SIGNATURE) or not copied.endswith(_TRAILER) or len(body) % layout.itemsize:
        raise RuntimeError(f"a COPY of {len(copied)} bytes does not hold rows of {layout.itemsize} bytes")
    rows = np.frombuffer(body, layout)
    lengths = [rows[f"{name} bytes"] == layout[name].itemsize for name in columns]
    if not np.all([rows["columns"] == len(columns), *lengths]):
        raise RuntimeError(f"a COPY does not hold the columns {', '.join(columns)} without nulls")
    return rows


def _layout(columns: Mapping[str, str]) -> np.dtype[np.void]:
    fields = [("columns", ">i2")]
    for name, kind in columns.items():
        fields += [(f"{name} bytes", ">i4"), (name, TYPES[kind])]
    return np.dtype(fields)
