"""Monthly climate and annual indices of generated cells.

Figures without a source beside them are expert assumptions, set so that the Korean latitudes come
out near the station records of 1991-2020.
"""

from __future__ import annotations

import numpy as np
from scipy.special import log_ndtr, ndtr

from ops.generator.cells import Cells
from ops.generator.days import gamma_factor
from ops.generator.noise import field, smooth
from ops.generator.normals import draw_normals, rain_of_wet_day
from ops.generator.trend import RAIN_PER_DEGREE, warming
from streams.models.dates import month_lengths
from streams.models.evapotranspiration import MIDDLE_DAYS, extraterrestrial_radiation
from streams.models.inputs import HISTORICAL, AnnualSeries, Array, MonthlySeries, Years

YEARLY_SHARE = 0.3
"""Share of the variance of monthly temperature that a whole year has in common."""

MONTH_MEMORY, LEAD = 0.3, 3
"""Correlation of one month to the next, and the months that a month remembers."""

TEMPERATURE_SD = 1.2
"""Standard deviation of a month's mean temperature [degC]."""

WET_NARROWING, RANGE_NOISE = 0.10, 0.06
"""Change of the daily range per standard deviation of rain, and of the rest."""

HUMIDITY_OF_RAIN, HUMIDITY_NOISE = 3.0, 2.0
"""Points of humidity per standard deviation of rain, and of the rest [%]."""

WIND_NOISE = 0.12
"""Standard deviation of the logarithm of a month's wind."""

CLEAREST, DARKEST = 0.75, 0.20
"""Bounds of solar over extraterrestrial radiation; FAO-56, eqs. 35 and 37 (upper), assumption (lower)."""

HOT_QUANTILE, FIRE_QUANTILE = 0.35, 0.5
"""Standard normal value above which a year has warm or cold spells, or days with FWI >= 38."""

SPELL, SPELL_MEAN = 6.0, 5.0
"""Shortest spell and the mean of what a year has beyond it [days]."""

FIRE_MEAN = 4.0
"""Mean number of further days with FWI >= 38 in a year that has one [days]."""

FIRE_CLASS = 38.0
"""FWI of the class very high; EFFIS."""

STORM_SHARE, STORM_SCALE, STORM_SHAPE = 0.083, 0.42, -0.08
"""GEV of the wettest day: location over annual rain, scale over location, Hosking's shape."""

STORM_PER_DEGREE = 0.07
"""Rise of the wettest day with warming [1/degC]; Clausius-Clapeyron."""


def draw_months(cells: Cells, years: Years, seed: int, scenario: str = HISTORICAL) -> MonthlySeries:
    """Monthly climate of cells, all MONTHLY_VARIABLES, rounded to hundredths.

    tamin < ta < tamax, si within the bounds of the extraterrestrial radiation, and
    wet_days <= min(rn, days of the month), at least one where rn reaches 1 mm.

    Raises:
        ValueError: The scenario is neither `historical` nor in the demo's table `warming`.
    """
    normals = draw_normals(cells, seed)
    usual = {name: np.tile(each, len(years)) for name, each in normals.values.items()}
    warmer = np.repeat(warming(scenario, years), 12)
    heat, wetness, spread, damp, gust = _noise(cells, years, seed)
    ta = usual["ta"] + warmer + TEMPERATURE_SD * heat
    factor = np.maximum(1 - WET_NARROWING * wetness + RANGE_NOISE * spread, 0.3)
    rn = usual["rn"] * gamma_factor(wetness, _rain_shape(usual["rn"])) * (1 + RAIN_PER_DEGREE * warmer)
    rn = np.round(rn, 1)
    rhm = usual["rhm"] + HUMIDITY_OF_RAIN * wetness + HUMIDITY_NOISE * damp
    days = month_lengths(years)
    wet_days = np.clip(np.rint(rn / rain_of_wet_day(rn)), rn >= 1, np.minimum(np.floor(rn), days))
    clear = np.clip(0.62 - 0.35 * wet_days / days - 0.02 * wetness, DARKEST, CLEAREST)
    radiation = np.tile(extraterrestrial_radiation(cells.latitude[:, None], MIDDLE_DAYS), len(years))
    values = {
        "ta": ta,
        "tamax": ta + factor * (usual["tamax"] - usual["ta"]),
        "tamin": ta - factor * (usual["ta"] - usual["tamin"]),
        "rn": rn,
        "rhm": np.clip(rhm, 10, 100),
        "ws": usual["ws"] * np.exp(WIND_NOISE * gust - WIND_NOISE**2 / 2),
        "si": clear * radiation,
        "wet_days": wet_days,
    }
    return MonthlySeries(years.start, {name: np.round(each, 2) for name, each in values.items()})


def annual_indices(
    cells: Cells, years: Years, seed: int, scenario: str = HISTORICAL, *, fire: bool = True
) -> AnnualSeries:
    """Annual indices as daily weather would give them; warm years have the warm spells.

    Args:
        cells: The cells, of one block: the arrays are as large as they.
        years: The years, both ends included.
        seed: The generator's seed.
        scenario: `historical` or a scenario of the demo's table `warming`.
        fire: False leaves fwi_days and fwi_max missing, as after loading monthly data.

    Raises:
        ValueError: The scenario is neither `historical` nor in the demo's table `warming`.
    """
    warmer = warming(scenario, years)
    year = field("years", seed, cells, years, (1, 1))[0]
    hot, cold, storm, dry = field("indices", seed, cells, years, (4, 1))
    rain = draw_normals(cells, seed).values["rn"]
    annual = np.add.accumulate(rain, axis=1)[:, -1:]
    values = {
        "wsdi": _spell_days(0.5 * year + np.sqrt(0.75) * hot + warmer),
        "csdi": _spell_days(-0.5 * year + np.sqrt(0.75) * cold - warmer),
        "rx1day": np.round(_wettest_day(annual, storm) * (1 + STORM_PER_DEGREE * warmer), 1),
        **_fire(0.5 * year + np.sqrt(0.75) * dry + 0.3 * warmer),
    }
    if not fire:
        values |= {"fwi_days": np.full_like(year, np.nan), "fwi_max": np.full_like(year, np.nan)}
    return AnnualSeries(years.start, values)


def _noise(cells: Cells, years: Years, seed: int) -> tuple[Array, ...]:
    """Standard normal noise (cells, 12 * years) of heat, wetness, range, humidity and wind."""
    longer = Years(years.start - 1, years.end)
    monthly = field("months", seed, cells, longer, (5, 12))[..., 12 - LEAD :]
    heat, *others = smooth(monthly, MONTH_MEMORY, LEAD)
    year = np.repeat(field("years", seed, cells, years, (1, 1))[0], 12, axis=1)
    return np.sqrt(YEARLY_SHARE) * year + np.sqrt(1 - YEARLY_SHARE) * heat, *others


def _rain_shape(rn: Array) -> Array:
    """Gamma shape of a month's rain: a variation of 0.5 in wet months, of 0.8 in dry ones."""
    return (0.5 + 0.3 * np.exp(-rn / 60)) ** -2


def _beyond(normal: Array, quantile: float) -> Array:
    """Exponential variate of mean 1 where `normal` is above its quantile, else NaN."""
    return np.where(normal > quantile, log_ndtr(-quantile) - log_ndtr(-normal), np.nan)


def _spell_days(normal: Array) -> Array:
    days = SPELL + np.floor(SPELL_MEAN * _beyond(normal, HOT_QUANTILE))
    return np.nan_to_num(np.minimum(days, 300.0))


def _fire(normal: Array) -> dict[str, Array]:
    beyond = _beyond(normal, FIRE_QUANTILE)
    below = FIRE_CLASS * (0.35 + 0.64 * ndtr(normal) / ndtr(FIRE_QUANTILE))
    highest = np.where(normal > FIRE_QUANTILE, FIRE_CLASS + 7 * beyond, below)
    days = np.nan_to_num(np.minimum(1 + np.floor(FIRE_MEAN * beyond), 300.0))
    return {"fwi_days": days, "fwi_max": np.round(highest, 2)}


def _wettest_day(annual: Array, normal: Array) -> Array:
    location = STORM_SHARE * annual
    depth = (1 - (-np.log(ndtr(normal))) ** STORM_SHAPE) / STORM_SHAPE
    return np.maximum(location * (1 + STORM_SCALE * depth), 1.0)
