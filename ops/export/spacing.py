"""Whether cells are a regular grid, and how far apart its lines are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streams.models.inputs import Array

STORED = 1e-6
"""Coordinates are stored with six decimals [degrees]."""

LEAST_FILLED = 0.1
"""Share of the crossings between the lines that must be cells: a coast leaves many out, stations hit
hardly any (expert assumption)."""


@dataclass(frozen=True, slots=True)
class Spacing:
    """Distance of the grid's lines [degrees]."""

    latitude: float
    longitude: float


def spacing(cells: Sequence[tuple[float, float]]) -> Spacing | None:
    """Spacing of the grid that the cells lie on; None where they are scattered, as stations are."""
    if not cells:
        return None
    north, east = (np.unique(axis) for axis in np.asarray(cells).T)
    latitude, longitude = _step(north), _step(east)
    if latitude is None or longitude is None or len(cells) <= max(len(north), len(east)):
        return None
    crossings = lines(north, latitude) * lines(east, longitude)
    return Spacing(latitude, longitude) if len(cells) >= LEAST_FILLED * crossings else None


def lines(values: Array, step: float) -> int:
    """Number of lines from the first to the last of ascending values, those without a cell included."""
    return int(np.round((values[-1] - values[0]) / step)) + 1


def _step(values: Array) -> float | None:
    """Distance of which all distances of ascending values are whole multiples, else None."""
    if len(values) < 2:  # noqa: PLR2004 - one line has no distance
        return None
    distances = np.diff(values)
    count = np.round(distances / distances.min())
    # The mean over all lines is free of the rounding of a third of a degree to six decimals.
    step = float((values[-1] - values[0]) / count.sum())
    offset = np.cumsum(count) * step - (values[1:] - values[0])
    return round(step, 9) if np.abs(offset).max() <= 2 * STORED else None
