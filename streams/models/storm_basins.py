"""The storm basins of the world: which one a place belongs to.

Source: the basins of IBTrACS version 4 (column documentation), its line between the Pacific and the
Atlantic drawn in four steps along Central America.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streams.models.inputs import Array

BASINS = (
    "North Atlantic",
    "north Indian",
    "western North Pacific",
    "eastern North Pacific",
    "South Atlantic",
    "south Indian",
    "South Pacific",
)

NORTHERN_LIMITS = (30.0, 100.0, 180.0)
SOUTHERN_LIMITS = (10.0, 135.0, 290.0)
"""Meridians at which a basin of that hemisphere begins [degrees east, 0-360]."""

COAST_LATITUDES = (10.0, 14.0, 17.0)
COAST_LONGITUDES = (282.0, 275.0, 270.0, 260.0)
"""Western limit of the North Atlantic [degrees east] south of, between and north of those latitudes."""


def storm_basin(latitude: Array, longitude: Array) -> NDArray[np.int64]:
    """Number in BASINS of each point, shape of the arguments; longitudes of any turn."""
    east = np.mod(longitude, 360.0)
    coast = np.asarray(COAST_LONGITUDES)[np.digitize(latitude, COAST_LATITUDES)]
    north = np.where(east >= coast, 0, np.digitize(east, NORTHERN_LIMITS))
    south = len(NORTHERN_LIMITS) + 1 + np.digitize(east, SOUTHERN_LIMITS) % len(SOUTHERN_LIMITS)
    return np.where(latitude >= 0, north, south)
