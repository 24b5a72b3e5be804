"""All rows of an export as NumPy columns, and where each lies on the axes of a dataset."""

from __future__ import annotations

import sys
from asyncio import to_thread
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ops.export.rows import Outline, Row
from ops.export.spacing import lines, spacing
from streams.models.inputs import Array

Column = NDArray[Any]
Places = NDArray[np.int64]

DECIMALS = 6
"""Of stored coordinates."""


@dataclass(frozen=True, slots=True)
class Axes:
    """Where the rows of an export lie.

    Attributes:
        latitude, longitude: Of the grid's lines where `gridded`, else of each cell [degrees].
        gridded: Whether the cells are a regular grid.
        step: Distance of the lines, latitude and longitude [degrees]; None where scattered.
        place: Place of each row among the cells, row by row of the grid, (rows,).
    """

    latitude: Array
    longitude: Array
    step: tuple[float, float] | None
    place: Places

    @property
    def gridded(self) -> bool:
        """Whether the cells are a regular grid."""
        return self.step is not None

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the dimensions that the cells take."""
        return ("latitude", "longitude") if self.gridded else ("cell",)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of these dimensions."""
        return (len(self.latitude), len(self.longitude)) if self.gridded else (len(self.latitude),)


LEFT_OUT = ("scenario", "window_start", "window_end", "hazard_score_100", "calculated_at")
"""Columns that a dataset says once for all, says otherwise, or not at all."""


async def gathered(found: Outline, batches: AsyncIterator[list[Row]]) -> dict[str, Column]:
    """The columns of all rows but LEFT_OUT, (rows,); NaN or None where a value is missing."""
    parts = [await to_thread(_columns, rows, found.columns) async for rows in batches]
    return {name: np.concatenate([part.pop(name) for part in parts]) for name in list(parts[0])}


def axes(columns: Mapping[str, Column]) -> Axes:
    """The axes of rows that are sorted by latitude and longitude."""
    at = np.column_stack([columns["latitude"], columns["longitude"]])
    starts = np.append(True, (at[1:] != at[:-1]).any(axis=1))
    cells = at[starts]
    lattice = spacing([tuple(cell) for cell in cells.tolist()])
    if lattice is None:
        return Axes(cells[:, 0], cells[:, 1], None, np.cumsum(starts) - 1)
    north, row = _line(at[:, 0], lattice.latitude)
    east, column = _line(at[:, 1], lattice.longitude)
    return Axes(north, east, (lattice.latitude, lattice.longitude), row * len(east) + column)


def _line(values: Array, step: float) -> tuple[Array, Places]:
    """All lines of an axis, those without a cell included, and the line of each value."""
    first = values.min()
    count = lines(np.array([first, values.max()]), step)
    return np.round(first + step * np.arange(count), DECIMALS), np.round((values - first) / step).astype(int)


def _columns(rows: Sequence[Row], types: Mapping[str, type]) -> dict[str, Column]:
    columns = zip(*rows, strict=True)
    return {
        name: _array(column, kind)
        for (name, kind), column in zip(types.items(), columns, strict=True)
        if name not in LEFT_OUT
    }


def _array(column: Sequence[Any], kind: type) -> Column:
    if kind in {float, int}:
        return np.array(column, dtype=kind)
    # Each row brings a text of its own; of equal ones only one is kept.
    return np.array(
        [sys.intern(value) if isinstance(value, str) else value for value in column], dtype=object
    )
