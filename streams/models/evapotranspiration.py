"""Reference evapotranspiration ET0 of months, by what a cell has.

Source: FAO Irrigation and Drainage Paper 56 (Allen et al. 1998), "FAO-56" below, with its equation
numbers; Hargreaves and Samani (1985); Thornthwaite (1948).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streams.models.dates import MONTH_DAYS, month_lengths
from streams.models.frame import MIN_YEARS, site_number
from streams.models.inputs import Array, CellInputs, Labels, MonthlySeries, Years
from streams.models.months import months_of, whole_years

SOLAR_CONSTANT = 0.0820
"""[MJ/m2/min]; FAO-56, eq. 21."""

STEFAN_BOLTZMANN = 4.903e-9
"""[MJ/K4/m2/day]; FAO-56, eq. 39."""

ALBEDO = 0.23
"""Of the reference grass; FAO-56, eq. 38."""

WIND_2M = 0.748
"""Wind at 2 m over wind at 10 m; FAO-56, eq. 47."""

SOIL_HEAT = 0.07
"""Heat into the soil of a month per degree between its neighbours [MJ/m2/day/degC]; FAO-56, eq. 43."""

WATER_OF_ENERGY = 0.408
"""Evaporation of a unit of energy [mm m2/MJ]; FAO-56, eq. 20."""

MIDDLE_DAYS = np.cumsum(MONTH_DAYS) - MONTH_DAYS + 15
"""Day number of the 15th of every month in a 365-day year."""

METHODS = {
    "penman-monteith": ("tamax", "tamin", "rhm", "ws", "si"),
    "hargreaves": ("tamax", "tamin"),
    "thornthwaite": ("ta",),
}
"""What each method needs, the best first; Penman-Monteith needs the elevation too."""


Cells = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SurfaceWeather:
    """What Penman-Monteith takes from the air, arrays that broadcast.

    `tmax`, `tmin` [degC]; actual `vapour` pressure [kPa]; `wind` at 2 m [m/s]; solar `radiation`
    [MJ/m2/day].
    """

    tmax: Array
    tmin: Array
    vapour: Array
    wind: Array
    radiation: Array


@dataclass(frozen=True, slots=True)
class Evapotranspiration:
    """Monthly ET0 [mm/month] of the baseline and the window and the method that gave it, (cells,).

    `baseline` and `window` have shape (cells, 12 * years), NaN where an input is missing; `method`
    is a key of METHODS, or None where a cell has not one whole year of any.
    """

    baseline: Array
    window: Array
    method: Labels


def saturation_pressure(temperature: Array) -> Array:
    """Saturation vapour pressure [kPa] at a temperature [degC]; FAO-56, eq. 11."""
    return 0.6108 * np.exp(17.27 * temperature / (temperature + 237.3))


def sunset_angle(latitude: Array, day: Array) -> Array:
    """Sunset hour angle [rad] at a latitude [degrees] on a day of the year; FAO-56, eq. 25."""
    declination = 0.409 * np.sin(2 * np.pi / 365 * day - 1.39)
    cosine = -np.tan(np.radians(latitude)) * np.tan(declination)
    return np.asarray(np.arccos(np.clip(cosine, -1.0, 1.0)))


def daylight(latitude: Array, day: Array) -> Array:
    """Hours from sunrise to sunset [h]; FAO-56, eq. 34."""
    return 24 / np.pi * sunset_angle(latitude, day)


def extraterrestrial_radiation(latitude: Array, day: Array) -> Array:
    """Radiation at the top of the atmosphere, Ra [MJ/m2/day]; FAO-56, eqs. 21-25."""
    distance = 1 + 0.033 * np.cos(2 * np.pi / 365 * day)
    declination = 0.409 * np.sin(2 * np.pi / 365 * day - 1.39)
    sunset = sunset_angle(latitude, day)
    phi = np.radians(latitude)
    lit = sunset * np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.sin(sunset)
    return np.asarray(24 * 60 / np.pi * SOLAR_CONSTANT * distance * lit)


def penman_monteith(weather: SurfaceWeather, clear_sky: Array, elevation: Array, soil_heat: Array) -> Array:
    """ET0 [mm/day] of the reference grass; FAO-56, eq. 6 with eqs. 7, 8, 13 and 37-40.

    Args:
        weather: At screen height.
        clear_sky: Solar radiation of a cloudless day [MJ/m2/day].
        elevation: [m].
        soil_heat: Heat that goes into the soil [MJ/m2/day].
    """
    mean = (weather.tmax + weather.tmin) / 2
    saturation = (saturation_pressure(weather.tmax) + saturation_pressure(weather.tmin)) / 2
    slope = 4098 * saturation_pressure(mean) / (mean + 237.3) ** 2
    psychrometric = 0.665e-3 * 101.3 * ((293 - 0.0065 * elevation) / 293) ** 5.26
    net = (1 - ALBEDO) * weather.radiation - _longwave(weather, clear_sky)
    heat = WATER_OF_ENERGY * slope * (net - soil_heat)
    dryness = psychrometric * 900 / (mean + 273) * weather.wind * (saturation - weather.vapour)
    return (heat + dryness) / (slope + psychrometric * (1 + 0.34 * weather.wind))


def clear_sky_radiation(extraterrestrial: Array, elevation: Array) -> Array:
    """Solar radiation of a cloudless day [MJ/m2/day]; FAO-56, eq. 37."""
    return (0.75 + 2e-5 * elevation) * extraterrestrial


def hargreaves(tmax: Array, tmin: Array, extraterrestrial: Array) -> Array:
    """ET0 [mm/day] from temperatures [degC] and Ra [MJ/m2/day]; FAO-56, eq. 52."""
    mean = (tmax + tmin) / 2
    spread = np.sqrt(np.maximum(tmax - tmin, 0.0))
    return 0.0023 * WATER_OF_ENERGY * extraterrestrial * (mean + 17.8) * spread


def thornthwaite(tmean: Array, normals: Array, hours: Array, days: Array) -> Array:
    """ET0 [mm/month] from mean temperatures; none below 0 degC.

    NaN where a month is above 0 degC although no month of the normals is.

    Args:
        tmean: Monthly means [degC], (cells, 12 * years).
        normals: Calendar-month means of the baseline [degC], (cells, 12).
        hours: Daylight of the months' 15th days [h], (cells, 12 * years).
        days: Days of the months, (12 * years,).

    Source: Thornthwaite (1948).
    """
    heat = ((np.maximum(normals, 0.0) / 5) ** 1.514).sum(axis=1, keepdims=True)
    exponent = 6.75e-7 * heat**3 - 7.71e-5 * heat**2 + 1.792e-2 * heat + 0.49239
    warm = np.maximum(tmean, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        unadjusted = np.where(warm == 0.0, 0.0, 16 * (10 * warm / heat) ** exponent)
    unadjusted[np.isinf(unadjusted)] = np.nan
    return unadjusted * hours / 12 * days / 30


def monthly_et0(inputs: CellInputs, look_back: int = 0) -> Evapotranspiration:
    """ET0 of the months of the baseline and the window, one method per cell for all its years.

    A cell has a method when MIN_YEARS baseline years and as many window years (all of a shorter
    window) have all twelve months of what it needs; the best such method is taken. Where a cell
    has none, the one with the most whole years is, so that what is missing can be counted.
    A month that lacks a variable of the method stays missing.

    Args:
        inputs: The chunk's cells.
        look_back: Years before the baseline and the window to begin with.
    """
    method = _choose(inputs)
    before = Years(inputs.window.start - look_back, inputs.window.end)
    window = _et0(inputs, inputs.months, before, method)
    if inputs.months is inputs.baseline_months and inputs.window == inputs.baseline:
        return Evapotranspiration(baseline=window, window=window, method=method)
    before = Years(inputs.baseline.start - look_back, inputs.baseline.end)
    baseline = _et0(inputs, inputs.baseline_months, before, method)
    return Evapotranspiration(baseline=baseline, window=window, method=method)


def et0_basis(et0: Evapotranspiration) -> Labels:
    """`et0: hargreaves` and the like, (cells,); None where there is no ET0."""
    return np.array([f"et0: {name}" if name else None for name in et0.method], dtype=object)


def _choose(inputs: CellInputs) -> Labels:
    """The method of every cell, (cells,); None where no method has a single whole year."""
    enough_window = min(MIN_YEARS, len(inputs.window))
    chosen = np.full(len(inputs.latitude), None, dtype=object)
    most = np.zeros(len(inputs.latitude))
    for name, variables in METHODS.items():
        baseline = whole_years(inputs.baseline_months, variables, inputs.baseline)
        window = whole_years(inputs.months, variables, inputs.window)
        if name == "penman-monteith":
            known = ~np.isnan(site_number(inputs, "elevation_m"))
            baseline, window = baseline * known, window * known
        # A method that has enough outranks any that merely has more.
        enough = (baseline >= MIN_YEARS) & (window >= enough_window)
        whole = np.where(enough, np.inf, baseline + window)
        chosen[whole > most] = name
        most = np.maximum(most, whole)
    return chosen


def _et0(inputs: CellInputs, series: MonthlySeries, years: Years, method: Labels) -> Array:
    """ET0 [mm/month] of the months of `years`, (cells, 12 * years), every cell by its method."""
    et0 = np.full((len(method), 12 * len(years)), np.nan)
    for name, of_cells in _BY_METHOD.items():
        cells = np.flatnonzero(method == name)
        if cells.size:
            et0[cells] = of_cells(inputs, series, years, cells)
    return et0


def _of_middle_days(quantity: Callable[[Array, Array], Array], latitude: Array, years: Years) -> Array:
    """A quantity of latitude and day on the months' 15th days, (cells, 12 * years)."""
    return np.tile(quantity(latitude[:, None], MIDDLE_DAYS.astype(np.float64)), (1, len(years)))


def _penman_monteith(inputs: CellInputs, series: MonthlySeries, years: Years, cells: Cells) -> Array:
    """Of months; vapour pressure from the mean humidity by FAO-56, eq. 19, G by eq. 43."""
    tmax, tmin, humidity, wind, radiation = (
        months_of(series, name, years)[cells] for name in METHODS["penman-monteith"]
    )
    elevation = inputs.site["elevation_m"][cells, None]
    around = (months_of(series, "tamax", years, 1) + months_of(series, "tamin", years, 1))[cells] / 2
    soil_heat = SOIL_HEAT * (around[:, 2:] - around[:, :-2])
    # 0 where a neighbour is unknown: at the ends of a cell's series, or beside a gap in it.
    soil_heat[np.isnan(soil_heat)] = 0.0
    extraterrestrial = _of_middle_days(extraterrestrial_radiation, inputs.latitude[cells], years)
    weather = SurfaceWeather(
        tmax=tmax,
        tmin=tmin,
        vapour=humidity / 100 * (saturation_pressure(tmax) + saturation_pressure(tmin)) / 2,
        wind=WIND_2M * wind,
        radiation=radiation,
    )
    clear_sky = clear_sky_radiation(extraterrestrial, elevation)
    return penman_monteith(weather, clear_sky, elevation, soil_heat) * month_lengths(years)


def _hargreaves(inputs: CellInputs, series: MonthlySeries, years: Years, cells: Cells) -> Array:
    tmax, tmin = (months_of(series, name, years)[cells] for name in METHODS["hargreaves"])
    extraterrestrial = _of_middle_days(extraterrestrial_radiation, inputs.latitude[cells], years)
    return hargreaves(tmax, tmin, extraterrestrial) * month_lengths(years)


def _thornthwaite(inputs: CellInputs, series: MonthlySeries, years: Years, cells: Cells) -> Array:
    base = months_of(inputs.baseline_months, "ta", inputs.baseline)[cells].reshape(len(cells), -1, 12)
    known = np.count_nonzero(~np.isnan(base), axis=1)
    normals = np.divide(np.nansum(base, axis=1), known, out=np.full(known.shape, np.nan), where=known > 0)
    hours = _of_middle_days(daylight, inputs.latitude[cells], years)
    days = month_lengths(years).astype(np.float64)
    return thornthwaite(months_of(series, "ta", years)[cells], normals, hours, days)


def _longwave(weather: SurfaceWeather, clear_sky: Array) -> Array:
    """Net outgoing longwave radiation [MJ/m2/day]; FAO-56, eq. 39."""
    emitted = STEFAN_BOLTZMANN * ((weather.tmax + 273.16) ** 4 + (weather.tmin + 273.16) ** 4) / 2
    # The polar night has no clear-sky radiation to compare the sun with: taken as clear.
    share = np.divide(weather.radiation, clear_sky, out=np.ones_like(emitted), where=clear_sky > 0)
    cloud = 1.35 * np.minimum(share, 1.0) - 0.35
    return emitted * (0.34 - 0.14 * np.sqrt(weather.vapour)) * cloud


_BY_METHOD = {
    "penman-monteith": _penman_monteith,
    "hargreaves": _hargreaves,
    "thornthwaite": _thornthwaite,
}
