"""What needs days: spells, wettest day, wet days and fire weather of daily series, and their months.

Source: METHODS, section 0 (what `load daily` stores) and section 2 (high temperature, cold wave).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streams.models import fwi
from streams.models.dates import (
    MISSING_PER_MONTH,
    MISSING_PER_YEAR,
    day_of_days,
    is_29_february,
    month_lengths,
    year_lengths,
    year_of_days,
)
from streams.models.evapotranspiration import saturation_pressure
from streams.models.frame import MIN_YEARS
from streams.models.inputs import Array, Years

WET_DAY = 1.0
"""Precipitation from which a day is wet [mm]; ETCCDI."""

SPELL = 6
"""Length from which consecutive days are a spell [days]; ETCCDI, WSDI and CSDI."""

HALF_WINDOW = 2
"""Days on either side of a calendar day that its threshold is sampled from [days]; ETCCDI."""

WARM, COLD = 0.90, 0.10
"""Probabilities of the thresholds TX90 and TN10; ETCCDI."""

NOON_HUMIDITY = 0.76
"""Noon over daily mean relative humidity at equal vapour pressure; METHODS, section 0."""

KMH_PER_MS = 3.6
"""Wind of the fire weather index over wind in m/s [km/h per m/s]."""


@dataclass(frozen=True, slots=True)
class DailyBlock:
    """Daily weather of some cells on consecutive calendar days of whole years.

    Every array has shape (cells, days), the first day 1 January of `first_year`, the last a
    31 December; NaN where a value is missing. None stands for a variable that no cell has.

    Attributes:
        first_year: Calendar year of the first day.
        tmax, tmin, tmean: Temperatures [degC].
        precip: Precipitation [mm/day].
        rh, rh_min: Daily mean and lowest relative humidity [%].
        wind: Daily mean wind at 10 m [m/s].

    Raises:
        ValueError: A shape differs from that of `tmax`, or the days are not whole years.
    """

    first_year: int
    tmax: Array
    tmin: Array
    precip: Array
    tmean: Array | None = None
    rh: Array | None = None
    rh_min: Array | None = None
    wind: Array | None = None

    def __post_init__(self) -> None:
        for name in ("tmin", "precip", "tmean", "rh", "rh_min", "wind"):
            values = getattr(self, name)
            if values is not None and values.shape != self.tmax.shape:
                raise ValueError(
                    f"{name} has shape {values.shape}, tmax {self.tmax.shape}: they must be equal"
                )
        days = self.tmax.shape[1]
        if days == 0 or year_lengths(self.years).sum() != days:
            raise ValueError(f"{days} days from 1 January {self.first_year} are not whole calendar years")

    @property
    def years(self) -> Years:
        """The calendar years of the days."""
        return Years(self.first_year, self.first_year + max(round(self.tmax.shape[1] / 365.25), 1) - 1)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """TX90 and TN10 of every calendar day [degC], (cells, 365); NaN where the baseline is too short."""

    tx90: Array
    tn10: Array


@dataclass(frozen=True, slots=True)
class DailyIndices:
    """What the loader stores of a DailyBlock.

    Attributes:
        years: The calendar years.
        monthly: ta, tamax, tamin, rhm, ws (means), rn, wet_days (sums), each (cells, 12 * years)
            from January of `years.start`; NaN in a month with more than MISSING_PER_MONTH days missing.
        annual: wsdi, csdi, rx1day, fwi_days, fwi_max, each (cells, years); NaN in a year with more
            than MISSING_PER_YEAR days missing.
        valid_days: Days with tmax, tmin and precip, (cells, years).
        moisture: The FWI system's codes after the last day, to go on with.
    """

    years: Years
    monthly: Mapping[str, Array]
    annual: Mapping[str, Array]
    valid_days: NDArray[np.int64]
    moisture: fwi.MoistureCodes


def thresholds(days: DailyBlock, baseline: Years) -> Thresholds:
    """TX90 and TN10 of the calendar days over the baseline years that `days` covers.

    A variable without MIN_YEARS baseline years (each with at most MISSING_PER_YEAR days missing)
    has NaN thresholds. The window of 1 January reaches the last days of December of the baseline's
    years. `days` is the historical series; its thresholds serve the scenarios' series too.

    Source: Zhang et al. (2011); quantile type 8 of Hyndman and Fan (1996).
    """
    start, end = max(baseline.start, days.years.start), min(baseline.end, days.years.end)
    if end < start:
        empty = np.full((len(days.tmax), 365), np.nan)
        return Thresholds(empty, empty.copy())
    years = Years(start, end)
    first = int(year_lengths(Years(days.first_year, start)).sum() - year_lengths(Years(start, start))[0])
    span = slice(first, first + int(year_lengths(years).sum()))
    return Thresholds(
        _calendar_quantile(days.tmax[:, span], years, WARM),
        _calendar_quantile(days.tmin[:, span], years, COLD),
    )


def daily_indices(
    days: DailyBlock,
    latitude: Array,
    limits: Thresholds,
    moisture: fwi.MoistureCodes | None = None,
) -> DailyIndices:
    """Monthly means and sums and annual indices of daily weather.

    Args:
        days: The weather of some cells.
        latitude: [degrees north], (cells,).
        limits: Thresholds of the historical baseline, also where `days` is a scenario's.
        moisture: The codes that the series before `days` ended with; None starts them anew.
    """
    years = days.years
    tmean = _daily_mean(days)
    valid = ~(np.isnan(days.tmax) | np.isnan(days.tmin) | np.isnan(days.precip))
    of_days = day_of_days(years)
    fire, moisture = _fire_weather(days, tmean, latitude, moisture)
    return DailyIndices(
        years=years,
        monthly=_monthly(days, tmean),
        annual={
            "wsdi": _spell_days(days.tmax, limits.tx90[:, of_days], years),
            "csdi": _spell_days(-days.tmin, -limits.tn10[:, of_days], years),
            "rx1day": _yearly_maximum(days.precip, years),
            "fwi_days": fire.days,
            "fwi_max": fire.maximum,
        },
        valid_days=np.add.reduceat(valid, _starts(year_lengths(years)), axis=1, dtype=np.int64),
        moisture=moisture,
    )


def _starts(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.cumsum(lengths) - lengths


def _calendar_quantile(values: Array, years: Years, probability: float) -> Array:
    """Type 8 quantile of every calendar day's window, (cells, 365), from (cells, days of `years`)."""
    missing = np.add.reduceat(np.isnan(values), _starts(year_lengths(years)), axis=1, dtype=np.int64)
    enough = np.count_nonzero(missing <= MISSING_PER_YEAR, axis=1) >= MIN_YEARS
    common = values[:, ~is_29_february(years)].reshape(len(values), len(years), 365)
    around = np.arange(365)[:, None] + np.arange(-HALF_WINDOW, HALF_WINDOW + 1)
    window = common[:, :, around % 365].transpose(0, 2, 1, 3).reshape(len(values), 365, -1)
    window.sort(axis=2)
    count = np.count_nonzero(~np.isnan(window), axis=2)
    rank = (count + 1 / 3) * probability + 1 / 3
    lower = np.clip(np.floor(rank).astype(np.int64), 1, np.maximum(count - 1, 1))
    pair = np.take_along_axis(window, np.stack([lower - 1, np.minimum(lower, count - 1)], axis=2), axis=2)
    quantile = pair[..., 0] + np.clip(rank - lower, 0.0, 1.0) * (pair[..., 1] - pair[..., 0])
    quantile[~enough] = np.nan
    return np.asarray(quantile)


def _spell_days(values: Array, limit: Array, years: Years) -> Array:
    """Days a year in spells of at least SPELL days strictly above the limit, (cells, years)."""
    of_year = year_of_days(years)
    lengths = year_lengths(years)
    # A column of False on either side of every year ends the spells that reach 31 December.
    above = np.zeros((len(values), len(years), 366 + 2), dtype=np.int8)
    above[:, of_year, np.arange(values.shape[1]) - _starts(lengths)[of_year] + 1] = values > limit
    steps = np.diff(above.reshape(len(values), -1), axis=1)
    cell, start = np.nonzero(steps == 1)
    length = np.nonzero(steps == -1)[1] - start
    days = np.zeros((len(values), len(years)))
    np.add.at(days, (cell, start // above.shape[2]), np.where(length >= SPELL, length, 0))
    return _complete_years(days, np.isnan(values) | np.isnan(limit), years)


def _yearly_maximum(values: Array, years: Years) -> Array:
    highest = np.fmax.reduceat(values, _starts(year_lengths(years)), axis=1)
    return _complete_years(highest, np.isnan(values), years)


def _complete_years(indices: Array, missing: NDArray[np.bool_], years: Years) -> Array:
    """`indices`, (cells, years), with NaN where more than MISSING_PER_YEAR days are missing."""
    count = np.add.reduceat(missing, _starts(year_lengths(years)), axis=1, dtype=np.int64)
    return np.where(count > MISSING_PER_YEAR, np.nan, indices)


def _daily_mean(days: DailyBlock) -> Array:
    """The day's mean temperature: as given, else the mean of its extremes (FAO-56, eq. 9)."""
    middle = (days.tmax + days.tmin) / 2
    return middle if days.tmean is None else np.where(np.isnan(days.tmean), middle, days.tmean)


def _monthly(days: DailyBlock, tmean: Array) -> dict[str, Array]:
    absent = np.full_like(days.tmax, np.nan)
    wet = np.where(np.isnan(days.precip), np.nan, days.precip >= WET_DAY)
    means = {
        "ta": tmean,
        "tamax": days.tmax,
        "tamin": days.tmin,
        "rhm": absent if days.rh is None else days.rh,
        "ws": absent if days.wind is None else days.wind,
    }
    monthly = {name: _month_sum(values, days.years, mean=True) for name, values in means.items()}
    monthly["rn"] = _month_sum(days.precip, days.years, mean=False)
    monthly["wet_days"] = _month_sum(wet, days.years, mean=False)
    return monthly


def _month_sum(values: Array, years: Years, *, mean: bool) -> Array:
    """Sum or mean of the valid days of every month, (cells, 12 * years)."""
    lengths = month_lengths(years)
    valid = ~np.isnan(values)
    count = np.add.reduceat(valid, _starts(lengths), axis=1, dtype=np.int64)
    total = np.add.reduceat(np.where(valid, values, 0.0), _starts(lengths), axis=1)
    total[lengths - count > MISSING_PER_MONTH] = np.nan
    return total / np.maximum(count, 1) if mean else total


def _fire_weather(
    days: DailyBlock, tmean: Array, latitude: Array, moisture: fwi.MoistureCodes | None
) -> tuple[fwi.FireSeasons, fwi.MoistureCodes]:
    absent = np.full_like(days.tmax, np.nan)
    rh_min = absent if days.rh_min is None else days.rh_min
    rh = absent if days.rh is None else days.rh
    noon = NOON_HUMIDITY * rh * saturation_pressure(tmean) / saturation_pressure(days.tmax)
    weather = fwi.NoonWeather(
        temperature=days.tmax,
        humidity=np.where(np.isnan(rh_min), noon, rh_min),
        wind=absent if days.wind is None else days.wind * KMH_PER_MS,
        rain=days.precip,
    )
    return fwi.fire_seasons(weather, days.years, latitude, moisture)
