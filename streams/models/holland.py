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
from streams.models.storms import AIR_DENSITY, half_turn, hourly_tracks

EARTH_RADIUS = 6371.0
"""Mean radius of the earth [km]."""

ROUNDING = 1e-12
"""How far the cosine of an angle between two unit vectors may be off [1]."""

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
    places = np.column_stack([latitude, half_turn(longitude), _directions(latitude, longitude)])
    near = _near(tracks, latitude, longitude, years, GALE / factor)
    starts = np.searchsorted(tracks.year[near], np.arange(years.start, years.end + 2))
    hours = (
        tracks.latitude[near],
        tracks.longitude[near],
        _directions(tracks.latitude[near], tracks.longitude[near]),
        tracks.wind[near],
        tracks.pressure_drop[near],
        tracks.rmw[near],
        tracks.shape[near],
        tracks.coriolis[near],
    )
    strongest: Array = _strongest(hours, starts, places, factor)
    strongest[~_observed(tracks, storm_basin(latitude, longitude), years)] = np.nan
    return strongest


def compile_kernels() -> None:
    """Compile the kernels, or load them from numba's cache, before work begins."""
    one = np.array([30.0])
    tracks = hourly_tracks(StormFixes(np.zeros(1, np.int64), one, one, one, one, one, one))
    annual_maximum_wind(tracks, one, one, Years(1970, 1970))


def _directions(latitude: Array, longitude: Array) -> Array:
    """Unit vectors from the earth's centre to points [degrees], (points, 3)."""
    north, east = np.radians(latitude), np.radians(longitude)
    return np.column_stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)])


def _observed(tracks: HourlyTracks, basins: NDArray[np.int64], years: Years) -> NDArray[np.bool_]:
    """Whether the best tracks have a fix in the basin of each cell in each year, (cells, years)."""
    column = np.arange(years.start, years.end + 1) - tracks.first_year
    known = (column >= 0) & (column < tracks.observed.shape[1])
    observed = np.zeros((len(BASINS), column.size), dtype=np.bool_)
    observed[:, known] = tracks.observed[:, column[known]]
    return np.asarray(observed[basins])


def _near(tracks: HourlyTracks, north: Array, east: Array, years: Years, least: float) -> NDArray[np.int64]:
    """Positions of the hours of `years` of at least `least` m/s that may reach any of the cells.

    Year by year, the strongest wind first, so that a cell is soon done with a year.
    """
    angle = REACH / EARTH_RADIUS
    reach = math.degrees(angle)
    begin = np.searchsorted(tracks.latitude, north.min() - reach)
    end = np.searchsorted(tracks.latitude, north.max() + reach, side="right")
    part = slice(begin, end)
    offset = half_turn(east - east[0])
    middle = half_turn(east[0] + (offset.min() + offset.max()) / 2)
    width = (offset.max() - offset.min()) / 2 + _degrees_of_longitude(np.abs(north).max(), angle)
    apart = np.abs(tracks.longitude[part] - middle)
    year, wind = tracks.year[part], tracks.wind[part]
    wanted = ((apart <= width) | (apart >= 360.0 - width)) & (wind >= least)
    wanted &= (year >= years.start) & (year <= years.end)
    near = np.flatnonzero(wanted)
    return np.asarray(begin + near[np.lexsort((-wind[near], year[near]))])


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
def _cannot_exceed(known: float, peak: float, rmw: float, distance: float, coriolis: float) -> bool:
    """Whether a profile surely stays below `known` [m/s] from `distance` [km] on.

    Beyond rmw, as B is at least 1, its cyclostrophic wind squared stays below e x exp(-x) of its peak's
    with x = rmw / distance; 1 + x + x^2 / 2 is less than exp(x) and needs no power.
    """
    if distance <= rmw:
        return False
    x = rmw / distance
    turn = 0.5 * 1000.0 * distance * coriolis
    return peak * peak * math.e * x < (known * known + 2.0 * known * turn) * (1.0 + x + 0.5 * x * x)


@njit(cache=True, nogil=True)
def _strongest(hours: Any, starts: NDArray[np.int64], places: Array, factor: float) -> Array:
    """Highest wind of each year times `factor`, (places, years), 0 below GALE.

    `places` has latitude, longitude and direction; a year's hours begin at its place in `starts`, the
    strongest first.
    """
    latitude, longitude, towards, wind, pressure_drop, rmw, shape, coriolis = hours
    strongest = np.zeros((len(places), len(starts) - 1))
    farthest = math.cos(REACH / EARTH_RADIUS) - ROUNDING
    likely = starts[:-1].copy()
    for place in range(len(places)):
        north, east, x, y, z = places[place]
        for column in range(len(starts) - 1):
            known, stop = GALE, starts[column + 1]
            # The hour of the place before comes first: it is near the highest, and few others exceed it.
            for step in range(starts[column] - (starts[column] < stop), stop):
                hour = likely[column] if step < starts[column] else step
                if factor * wind[hour] < known:
                    break
                cosine = towards[hour, 0] * x + towards[hour, 1] * y + towards[hour, 2] * z
                if cosine < farthest:
                    continue
                # A chord is never longer than the way around, and much cheaper.
                chord = EARTH_RADIUS * math.sqrt(max(2.0 - 2.0 * cosine, 0.0))
                if _cannot_exceed(known / factor, wind[hour], rmw[hour], chord, coriolis[hour]):
                    continue
                distance = great_circle(north, east, latitude[hour], longitude[hour])
                if distance > REACH:
                    continue
                here = factor * holland_wind(
                    distance, rmw[hour], shape[hour], pressure_drop[hour], coriolis[hour]
                )
                if here >= known:
                    known = strongest[place, column] = here
                    likely[column] = hour
    return strongest
