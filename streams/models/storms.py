"""Best tracks at whole hours, with what a wind profile needs at each.

Source: METHODS, section 2, typhoon.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from streams.models.inputs import Array, HourlyTracks, StormFixes
from streams.models.storm_basins import BASINS, storm_basin

ENVIRONMENT_HPA = 1010.0
"""Pressure around a storm [hPa]: Atkinson and Holliday (1977), western North Pacific."""

KNOT = 1852.0 / 3600.0
"""One knot [m/s], by definition."""

TEN_MINUTE_OF_ONE = 0.91
"""10-minute over 1-minute wind [1]; METHODS, section 2."""

WIND_OF_DROP = 6.7
DROP_EXPONENT = 0.644
"""1-minute wind [kt] = 6.7 (pressure drop [hPa])^0.644: Atkinson and Holliday (1977)."""

RMW_AT_REST = 46.4
RMW_PER_WIND = -0.0155
RMW_PER_LATITUDE = 0.0169
"""Radius [km] = 46.4 exp(-0.0155 wind [m/s] + 0.0169 |latitude|): Willoughby, Darling and Rahn (2006)."""

AIR_DENSITY = 1.15
"""Air over the sea [kg/m3]: Holland (1980)."""

SHAPE_BOUNDS = (1.0, 2.5)
"""Range of Holland's B [1]: Holland (1980)."""

EARTH_RATE = 7.292e-5
"""Angular velocity of the earth [rad/s], to the digits behind the check of METHODS, section 2."""


def hourly_tracks(fixes: StormFixes) -> HourlyTracks:
    """Best tracks interpolated linearly to the whole hours between fixes.

    Wind and pressure are filled at the fix, each from the other; a fix with neither breaks its
    track. The radius of maximum wind is that of the hour's wind where either fix has none. Hours
    without a pressure drop are left out.
    """
    wind, pressure = fill_wind_and_pressure(fixes)
    start, hours, weight = _whole_hours(fixes, np.isfinite(wind) & np.isfinite(pressure))
    end = np.minimum(start + 1, fixes.storm.size - 1)

    def at_hours(values: Array, step: Array | None = None) -> Array:
        step = values[end] - values[start] if step is None else step
        return values[start] + np.where(weight > 0, weight * step, 0.0)

    latitude = at_hours(fixes.latitude)
    drop = 100.0 * (ENVIRONMENT_HPA - at_hours(pressure))
    shape, drop, rmw = _profile(at_hours(wind), drop, at_hours(fixes.rmw), latitude)
    east = at_hours(fixes.longitude, half_turn(fixes.longitude[end] - fixes.longitude[start]))
    observed, first_year = _observed(fixes)
    deep = np.flatnonzero(drop > 0)
    order = deep[np.argsort(latitude[deep], kind="stable")]
    return HourlyTracks(
        hours=hours[order],
        year=_calendar_year(hours[order]),
        latitude=latitude[order],
        longitude=half_turn(east[order]),
        wind=at_hours(wind)[order],
        pressure_drop=drop[order],
        rmw=rmw[order],
        shape=shape[order],
        coriolis=2.0 * EARTH_RATE * np.sin(np.radians(np.abs(latitude[order]))),
        observed=observed,
        first_year=first_year,
    )


def fill_wind_and_pressure(fixes: StormFixes) -> tuple[Array, Array]:
    """10-minute wind [m/s] and central pressure [hPa] of the fixes, each from the other where missing.

    Source: Atkinson and Holliday (1977).
    """
    ten_minute = TEN_MINUTE_OF_ONE * KNOT * WIND_OF_DROP
    drop = np.maximum(ENVIRONMENT_HPA - fixes.pressure, 0.0)
    wind = np.where(np.isnan(fixes.wind), ten_minute * drop**DROP_EXPONENT, fixes.wind)
    drop = (fixes.wind / ten_minute) ** (1.0 / DROP_EXPONENT)
    return wind, np.where(np.isnan(fixes.pressure), ENVIRONMENT_HPA - drop, fixes.pressure)


def _whole_hours(
    fixes: StormFixes, usable: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int32], Array]:
    """The whole hours of all tracks: fix before, hour, and share of the way to the next fix.

    Each pair of neighbouring usable fixes gives the hours from the first up to, not including, the
    second; the last fix before a gap gives its own hour if it is a whole one.
    """
    joined = np.zeros(usable.size, dtype=np.bool_)
    joined[:-1] = usable[:-1] & usable[1:] & (fixes.storm[:-1] == fixes.storm[1:])
    span = np.append(np.diff(fixes.hours), 1.0) if usable.size else np.zeros(0)
    first = np.ceil(fixes.hours)
    alone = usable & (first == fixes.hours)
    count = np.where(joined, np.ceil(fixes.hours + span) - first, alone).astype(np.int64)
    start = np.repeat(np.arange(usable.size), count)
    offset = np.arange(start.size) - np.repeat(np.cumsum(count) - count, count)
    past = first[start] + offset - fixes.hours[start]
    # A lone fix stands at its own hour; where joined, the span is positive or there are no hours.
    weight = np.divide(past, span[start], out=np.zeros(start.size), where=joined[start])
    return start, (first[start] + offset).astype(np.int32), weight


def _profile(wind: Array, drop: Array, rmw: Array, latitude: Array) -> tuple[Array, Array, Array]:
    """Holland's B, pressure drop [Pa] and radius of maximum wind [km] at each hour.

    Where B is clipped the drop follows, so that the profile's peak stays the track's wind; a drop
    of 0 and below is left as it is.
    """
    willoughby = RMW_AT_REST * np.exp(RMW_PER_WIND * wind + RMW_PER_LATITUDE * np.abs(latitude))
    force = AIR_DENSITY * math.e * wind**2
    free = np.divide(force, drop, out=np.full_like(drop, np.nan), where=drop > 0)
    shape = np.clip(free, *SHAPE_BOUNDS)
    drop = np.where((shape == free) | np.isnan(free), drop, force / shape)
    return shape, drop, np.where(np.isnan(rmw), willoughby, rmw)


def half_turn(longitude: Array) -> Array:
    """Longitudes [degrees] within -180..180, 180 left out."""
    return np.mod(longitude + 180.0, 360.0) - 180.0


def _calendar_year(hours: NDArray[np.int32]) -> NDArray[np.int32]:
    return (hours.astype("datetime64[h]").astype("datetime64[Y]").astype(np.int64) + 1970).astype(np.int32)


def _observed(fixes: StormFixes) -> tuple[NDArray[np.bool_], int]:
    """Whether each basin has a fix in each year, (basins, years), and the first of these years."""
    if not fixes.hours.size:
        return np.zeros((len(BASINS), 0), dtype=np.bool_), 0
    year = _calendar_year(np.floor(fixes.hours).astype(np.int32))
    first_year = int(year.min())
    observed = np.zeros((len(BASINS), int(year.max()) - first_year + 1), dtype=np.bool_)
    observed[storm_basin(fixes.latitude, fixes.longitude), year - first_year] = True
    return observed, first_year
