"""The first cells of a stage's grid as a trigger names them."""

from __future__ import annotations

import numpy as np

from ops.generator.cells import Cells
from schemas.errors import RiskflowError


def first(cells: Cells, count: int) -> tuple[Cells, str]:
    """The first `count` cells and the bbox that holds them and no other.

    Raises:
        RiskflowError: No such box: they are neither part of one row of the grid nor whole rows.
    """
    part = cells[:count]
    south, north = float(part.latitude.min()), float(part.latitude.max())
    west, east = float(part.longitude.min()), float(part.longitude.max())
    inside = (cells.latitude >= south) & (cells.latitude <= north)
    inside &= (cells.longitude >= west) & (cells.longitude <= east)
    if np.count_nonzero(inside) != count:
        raise RiskflowError(f"no box holds just the first {count} cells; take whole rows of the grid")
    return part, f"{south},{west},{north},{east}"
