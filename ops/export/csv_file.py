"""Rows as CSV, RFC 4180 with line feeds: a line of names, an empty field for what is missing."""

from __future__ import annotations

import csv
import io
from asyncio import to_thread
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from typing import IO, Any

from ops.export.rows import BASE, Outline, Row

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""


async def write_csv(found: Outline, batches: AsyncIterator[list[Row]], file: IO[bytes]) -> int:
    """Write all rows and return how many; numbers with the fewest digits that give them back."""
    file.write(_text([list(found.columns)]))
    written = 0
    async for rows in batches:
        file.write(await to_thread(_lines, rows))
        written += len(rows)
    return written


def _lines(rows: Sequence[Row]) -> bytes:
    return _text([*map(_field, row[: len(BASE)]), *row[len(BASE) :]] for row in rows)


def _text(rows: Iterable[Sequence[Any]]) -> bytes:
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\n").writerows(rows)
    return lines.getvalue().encode()


def _field(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) else value
    return value.isoformat() if isinstance(value, datetime) else value
