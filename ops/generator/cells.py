"""Cells of generated weather: coordinates, on a regular grid or given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from streams.models.inputs import Array


@dataclass(frozen=True, slots=True)
class Cells:
    """Coordinates of cells [degrees], each (cells,), with the six decimals that the tables keep."""

    latitude: Array
    longitude: Array

    def __len__(self) -> int:
        return int(self.latitude.size)

    def __getitem__(self, part: slice) -> Cells:
        return Cells(self.latitude[part], self.longitude[part])

    def blocks(self, size: int) -> Iterator[Cells]:
        """The cells in order, at most `size` at a time."""
        for start in range(0, len(self), size):
            yield self[start : start + size]


def regular_grid(
    count: int, south: float = 33.0, west: float = 124.0, step: float = 0.05, columns: int = 200
) -> Cells:
    """`count` cells on a regular grid [degrees], row by row northwards from the south-west corner."""
    row, column = np.divmod(np.arange(count), columns)
    return Cells(np.round(south + step * row, 6), np.round(west + step * column, 6))
