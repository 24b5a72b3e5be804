"""The rows that a job must end with, and how another job's rows differ from them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import orjson
from acceptance.whole import RESULTS
from faults.ledger import Ledger

KEY_COLUMNS = 6  # cell, risk, scenario, window
CLOSE = 1e-12  # docs/guarantees.md: another chunk size may change the last bit

Key = tuple[Any, ...]
Rows = dict[str, dict[Key, tuple[Any, ...]]]
"""By table, by key: the columns that do not differ between runs."""


async def read_rows(ledger: Ledger) -> tuple[Rows, int]:
    """All results, and how many rows share the key of another one."""
    found: Rows = {}
    doubled = 0
    for table, columns in RESULTS.items():
        rows = await ledger.fetch(f"SELECT {columns} FROM {table}")  # noqa: S608 - names of the suite
        counts = Counter(tuple(row[:KEY_COLUMNS]) for row in rows)
        doubled += sum(counts.values()) - len(counts)
        found[table] = {tuple(row[:KEY_COLUMNS]): tuple(row[KEY_COLUMNS:]) for row in rows}
    return found, doubled


def wrong_keys(expected: dict[Key, tuple[Any, ...]], found: dict[Key, tuple[Any, ...]]) -> list[Key]:
    """Keys whose row is missing or other than expected."""
    return [key for key, row in expected.items() if key not in found or not same(row, found[key])]


def same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Whether two rows say the same, numbers to CLOSE."""
    return one == other or all(_near(a, b) for a, b in zip(one, other, strict=True))


def _near(one: Any, other: Any) -> bool:
    if one == other:
        return True
    if isinstance(one, str) and isinstance(other, str) and one[:1] in "[{" and other[:1] in "[{":
        return _near(orjson.loads(one), orjson.loads(other))
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=CLOSE, abs_tol=CLOSE)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_near(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_near, one, other))
    return False


def without_cells(rows: Rows, cells: Iterable[tuple[float, float]]) -> Rows:
    """The rows of all other cells."""
    left_out = {(round(latitude, 6), round(longitude, 6)) for latitude, longitude in cells}
    return {
        table: {key: row for key, row in found.items() if (float(key[0]), float(key[1])) not in left_out}
        for table, found in rows.items()
    }
