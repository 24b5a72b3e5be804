"""Daily weather drawn from monthly normals: correlated, with a memory, on real calendar days.

Figures without a source beside them are expert assumptions, set by comparison with the daily
records of the 61 Korean stations of 1991-2020.
"""

from __future__ import annotations

import numpy as np
from scipy.special import log_ndtr

from ops.generator.noise import field, smooth
from ops.generator.normals import MONTH_DAYS, Normals, wet_threshold
from ops.generator.seasons import SLOT_MONTH, SLOTS, line, real_days, steps
from ops.generator.trend import RAIN_PER_DEGREE, warming
from streams.models.daily import DailyBlock
from streams.models.evapotranspiration import saturation_pressure
from streams.models.inputs import Array, Years

MONTHLY_SHARE = 0.1
"""Share of the variance of temperature and wetness that a whole month has in common."""

TEMPERATURE_MEMORY, WET_MEMORY, HUMIDITY_MEMORY = 0.7, 0.4, 0.65
"""Correlation of one day to the next."""

COLDEST_SD, WARMEST_SD = 3.5, 2.2
"""Standard deviation of daily mean temperature in the coldest and warmest month [degC]."""

WET_COOLING = 1.0
"""Fall of the mean temperature on a wet day [degC]."""

WET_NARROWING, RANGE_NOISE = 0.35, 0.2
"""Share by which rain narrows the daily range, and standard deviation of the range's logarithm."""

WET_HUMIDITY, HUMIDITY_NOISE, ROOM = 18.0, 11.0, 40.0
"""Points that rain adds, sd of the rest, and the room below 100 that they are meant for [%]."""

AFTERNOON = 0.4
"""What the lowest humidity departs further from its usual value than the mean does."""

NOON_FACTOR, LOWEST_HUMIDITY = 0.92, 5.0
"""Afternoon humidity over that of equal vapour pressure, and its floor [%]; METHODS, wildfire."""

RAIN_SHAPE, RAIN_MEAN = 0.75, 1.1906394
"""Weibull shape of the rain of wet days (Selker and Haith 1990), and Gamma(1 + 1/shape), its mean."""

WET_DAY = 1.0
"""Rain from which a day is wet [mm]; ETCCDI."""

WIND_SHAPE = 5.0
"""Gamma shape of daily mean wind."""

LEAD = 12
"""Days that a day remembers."""


def draw_days(normals: Normals, years: Years, seed: int, scenario: str) -> DailyBlock:
    """Daily weather of cells in calendar years, rounded to what a station reports.

    Months keep the normals within sampling noise; tmin <= tmean <= tmax and rh_min <= rh <= 100
    hold on every day. A wet day has 1 mm and more, other days have none.

    Args:
        normals: What the months of the baseline average to.
        years: The years, both ends included; a year's weather is the same in any span.
        seed: The generator's seed.
        scenario: `historical` (no trend) or a scenario of the demo's table `warming`.

    Raises:
        ValueError: The scenario has no warming.
    """
    warmer = real_days(np.repeat(warming(scenario, years), SLOTS), years)
    heat, spread, wetness, depth, damp, gust = _noise(normals, years, seed)
    wet = wetness < steps(wet_threshold(normals), years)
    # Departures from the share of wet days, not the wet days themselves, keep the month's mean.
    beyond = wet - steps(normals.values["wet_days"] / MONTH_DAYS, years)
    cooler = WET_COOLING * beyond - _deviation(normals, years) * heat
    tmean = line(normals.values["ta"], years) + warmer - cooler
    factor = (1 - WET_NARROWING * beyond) * np.exp(RANGE_NOISE * spread - RANGE_NOISE**2 / 2)
    tmax = tmean + factor * line(normals.values["tamax"] - normals.values["ta"], years)
    tmin = tmean - factor * line(normals.values["ta"] - normals.values["tamin"], years)
    usual = line(normals.values["rhm"], years)
    damper = (WET_HUMIDITY * beyond + HUMIDITY_NOISE * damp) * (100 - usual) / ROOM
    rh = np.clip(usual + damper, LOWEST_HUMIDITY, 100)
    noon = NOON_FACTOR * rh * saturation_pressure(tmean) / saturation_pressure(tmax)
    rh_min: Array = np.clip(noon + AFTERNOON * damper, LOWEST_HUMIDITY, rh)
    rain = wet * _rain(normals, years, depth) * (1 + RAIN_PER_DEGREE * warmer)
    return DailyBlock(
        first_year=years.start,
        tmax=np.round(tmax, 1),
        tmin=np.round(tmin, 1),
        precip=np.round(rain, 1),
        tmean=np.round(tmean, 1),
        rh=np.round(rh, 1),
        rh_min=np.round(rh_min, 1),
        wind=np.round(line(normals.values["ws"], years) * gamma_factor(gust, np.array(WIND_SHAPE)), 1),
    )


def gamma_factor(normal: Array, shape: Array) -> Array:
    """Gamma variate of mean 1 at the quantile of a standard normal one.

    Source: the cube-root approximation of Wilson and Hilferty (1931), 0 where it falls below.
    """
    root = 1 - 1 / (9 * shape) + normal / (3 * np.sqrt(shape))
    factor: Array = np.maximum(root, 0) ** 3
    return factor


def _noise(normals: Normals, years: Years, seed: int) -> tuple[Array, ...]:
    """Standard normal noise (cells, days) of heat, range, wetness, depth, humidity and wind."""
    # The year before the first lends it its last days.
    longer = Years(years.start - 1, years.end)
    daily = field("days", seed, normals.cells, longer, (6, SLOTS))[..., SLOTS - LEAD :]
    monthly = field("months of days", seed, normals.cells, years, (2, 12))
    month = np.tile(SLOT_MONTH, len(years)) + 12 * np.repeat(np.arange(len(years)), SLOTS)
    slow, fast = np.sqrt(MONTHLY_SHARE), np.sqrt(1 - MONTHLY_SHARE)
    heat = fast * smooth(daily[0], TEMPERATURE_MEMORY, LEAD) + slow * monthly[0][:, month]
    wetness = fast * smooth(daily[2], WET_MEMORY, LEAD) + slow * monthly[1][:, month]
    damp = smooth(daily[4], HUMIDITY_MEMORY, LEAD)
    spread, depth, gust = (daily[each][:, LEAD:] for each in (1, 3, 5))
    return tuple(real_days(each, years) for each in (heat, spread, wetness, depth, damp, gust))


def _deviation(normals: Normals, years: Years) -> Array:
    ta = normals.values["ta"]
    coldest, warmest = ta.min(axis=1, keepdims=True), ta.max(axis=1, keepdims=True)
    warmth = (ta - coldest) / np.maximum(warmest - coldest, 1e-9)
    return line(COLDEST_SD + (WARMEST_SD - COLDEST_SD) * warmth, years)


def _rain(normals: Normals, years: Years, depth: Array) -> Array:
    """Rain of the days if they are wet [mm], (cells, days): 1 mm and a Weibull variate above it."""
    of_wet_day = normals.values["rn"] / np.maximum(normals.values["wet_days"], 1e-9)
    above = np.maximum(of_wet_day - WET_DAY, 0)
    # Minus the logarithm of a uniform variate is an exponential one.
    return WET_DAY + steps(above, years) * (-log_ndtr(depth)) ** (1 / RAIN_SHAPE) / RAIN_MEAN
