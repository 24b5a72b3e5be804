"""The wind that storms bring to a cell: Holland's profile and each year's highest value.

Source: METHODS, section 2, typhoon.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streams.models.inputs import Array, HourlyTracks, StormFixes, Years
from streams.models.storm_basins import BASINS, storm_basin
from streams.models.storms import AIR_DENSITY, hourly_tracks

EARTH_RADIUS = 6371.0
"""Mean radius of the earth [km]."""

REACH = 500.0
"""Farthest distance from the centre at which a storm's wind counts [km]; METHODS, section 2."""

GALE = 17.0
"""10-minute wind from which a year has had a gale [m/s]: the bound L of METHODS, section 1."""


def annual_maximum_wind(
    tracks: HourlyTracks, latitude: Array, longitude: Array, years: Years, factor: float = 1.0
) -> Array:
    """Highest 10-minute wind of each UTC calendar year over open ground, in m/s.

    Args:
        tracks: Storms at whole hours.
        latitude: Of the cells, (cells,).
        longitude: Of the cells, (cells,).
        years: The years wanted.
        factor: What every wind is multiplied by before it is held against GALE.

    Returns:
        Shape (cells, years): 0 where no wind reached GALE, NaN in years without any fix in the
        cell's basin.
    """
    hours = (
        tracks.latitude,
        tracks.longitude,
        tracks.year,
        tracks.wind,
        tracks.pressure_drop,
        tracks.rmw,
        tracks.shape,
        tracks.coriolis,
    )
    places = np.column_stack([latitude, np.mod(longitude + 180.0, 360.0) - 180.0])
    strongest: Array = _strongest(hours, places, years.start, len(years), factor)
    strongest[~_observed(tracks, storm_basin(latitude, longitude), years)] = np.nan
    return strongest


def compile_kernels() -> None:
    """Compile the kernels, or load them from numba's cache, before work begins."""
    one = np.array([30.0])
    tracks = hourly_tracks(StormFixes(np.zeros(1, np.int64), one, one, one, one, one, one))
    annual_maximum_wind(tracks, one, one, Years(1970, 1970))


def _observed(tracks: HourlyTracks, basins: NDArray[np.int64], years: Years) -> NDArray[np.bool_]:
    """Whether the best tracks have a fix in the basin of each cell in each year, (cells, years)."""
    column = np.arange(years.start, years.end + 1) - tracks.first_year
    known = (column >= 0) & (column < tracks.observed.shape[1])
    observed = np.zeros((len(BASINS), column.size), dtype=np.bool_)
    observed[:, known] = tracks.observed[:, column[known]]
    return np.asarray(observed[basins])


@njit(cache=True, nogil=True)
def holland_wind(distance: float, rmw: float, shape: float, pressure_drop: float, coriolis: float) -> float:
    """Gradient wind of Holland (1980), equation 5, in m/s.

    Args:
        distance: From the centre [km]; at 0 the wind is 0.
        rmw: Radius of maximum wind [km].
        shape: Holland's B [1].
        pressure_drop: Environment less centre [Pa].
        coriolis: Coriolis parameter [1/s].
    """
    if distance <= 0.0:
        return 0.0
    ratio = (rmw / distance) ** shape
    turn = 0.5 * 1000.0 * distance * coriolis
    cyclostrophic = shape / AIR_DENSITY * ratio * pressure_drop * math.exp(-ratio)
    return math.sqrt(cyclostrophic + turn * turn) - turn


@njit(cache=True, nogil=True)
def great_circle(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Distance between two points [degrees] on the sphere, in km (haversine)."""
    half_north = 0.5 * math.radians(latitude - other_latitude)
    half_east = 0.5 * math.radians(longitude - other_longitude)
    cosines = math.cos(math.radians(latitude)) * math.cos(math.radians(other_latitude))
    haversine = math.sin(half_north) ** 2 + cosines * math.sin(half_east) ** 2
    return 2.0 * EARTH_RADIUS * math.asin(math.sqrt(min(haversine, 1.0)))


@njit(cache=True, nogil=True)
def _degrees_of_longitude(latitude: float, angle: float) -> float:
    """Greatest difference in longitude [degrees] within `angle` [radians] of a point."""
    cosine = math.cos(math.radians(latitude))
    return math.degrees(math.asin(math.sin(angle) / cosine)) if cosine > math.sin(angle) else 180.0


@njit(cache=True, nogil=True)
def _cannot_exceed(known: float, peak: float, rmw: float, distance: float) -> bool:
    """Whether a profile surely stays below `known` [m/s] from `distance` [km] on.

    Within rmw it does not exceed its peak; as B is at least 1, beyond not sqrt(e rmw / distance) of it.
    """
    return peak * peak * math.e * rmw < known * known * distance


@njit(cache=True, nogil=True)
def _strongest(hours: Any, places: Array, first_year: int, years: int, factor: float) -> Array:
    """Highest wind of each year times `factor`, (places, years), 0 below GALE; hours sorted by latitude."""
    latitude, longitude, year, wind, pressure_drop, rmw, shape, coriolis = hours
    strongest = np.zeros((len(places), years))
    angle = REACH / EARTH_RADIUS
    for place in range(len(places)):
        north, east = places[place]
        width = _degrees_of_longitude(north, angle)
        begin = np.searchsorted(latitude, north - math.degrees(angle))
        end = np.searchsorted(latitude, north + math.degrees(angle), side="right")
        for hour in range(begin, end):
            if width < abs(longitude[hour] - east) < 360.0 - width:
                continue
            column = year[hour] - first_year
            if column < 0 or column >= years:
                continue
            known = max(GALE, strongest[place, column])
            if factor * wind[hour] < known:
                continue
            distance = great_circle(north, east, latitude[hour], longitude[hour])
            if distance > REACH or _cannot_exceed(known, factor * wind[hour], rmw[hour], distance):
                continue
            here = factor * holland_wind(
                distance, rmw[hour], shape[hour], pressure_drop[hour], coriolis[hour]
            )
            if here >= GALE and here > strongest[place, column]:
                strongest[place, column] = here
    return strongest
