"""The Canadian forest fire weather index (FWI) system on daily noon weather of many cells.

Source: Van Wagner and Pickett (1985), Forestry Technical Report 33; equation numbers are theirs.
Day-length factors and their latitude bands: R package cffdrs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streams.models.dates import MISSING_PER_YEAR, month_of_days, year_of_days
from streams.models.fwi_kernels import START, FourArrays, run_codes, run_years
from streams.models.inputs import Array, Years

DMC_DAY_LENGTH = np.array(
    [
        [11.5, 10.5, 9.2, 7.9, 6.8, 6.2, 6.5, 7.4, 8.7, 10.0, 11.2, 11.8],
        [10.1, 9.6, 9.1, 8.5, 8.1, 7.8, 7.9, 8.3, 8.9, 9.4, 9.9, 10.2],
        [9.0] * 12,
        [7.9, 8.4, 8.9, 9.5, 9.9, 10.2, 10.1, 9.7, 9.1, 8.6, 8.1, 7.8],
        [6.5, 7.5, 9.0, 12.8, 13.9, 13.9, 12.4, 10.9, 9.4, 8.0, 7.0, 6.0],
    ]
)
"""Effective day length Le [h] by latitude band, from the south, and month; cffdrs."""

DMC_BANDS = (-30.0, -10.0, 10.0, 30.0)
"""Upper latitudes of the Le bands, included [degrees north]; cffdrs."""

DC_DAY_LENGTH = np.array(
    [
        [6.4, 5.0, 2.4, 0.4, -1.6, -1.6, -1.6, -1.6, -1.6, 0.9, 3.8, 5.8],
        [1.4] * 12,
        [-1.6, -1.6, -1.6, 0.9, 3.8, 5.8, 6.4, 5.0, 2.4, 0.4, -1.6, -1.6],
    ]
)
"""Day-length factor Lf by latitude band, from the south, and month; cffdrs."""

DC_BANDS = (-20.0, 20.0)
"""Upper latitudes of the Lf bands, included [degrees north]; cffdrs."""


@dataclass(frozen=True, slots=True)
class NoonWeather:
    """Noon weather of consecutive days; every array (cells, days), NaN where missing.

    `temperature` [degC], `humidity` [%], `wind` [km/h], `rain` of the 24 hours before [mm].
    """

    temperature: Array
    humidity: Array
    wind: Array
    rain: Array


@dataclass(frozen=True, slots=True)
class MoistureCodes:
    """Where the FWI system stands after a day; every array (cells,).

    `gap` counts the missing days in a row up to that day.
    """

    ffmc: Array
    dmc: Array
    dc: Array
    gap: Array


@dataclass(frozen=True, slots=True)
class FireCodes:
    """The six codes of every day, each (cells, days); FFMC, DMC, DC stand still on missing days."""

    ffmc: Array
    dmc: Array
    dc: Array
    isi: Array
    bui: Array
    fwi: Array


@dataclass(frozen=True, slots=True)
class FireSeasons:
    """Days a year with FWI >= VERY_HIGH and the year's highest FWI, each (cells, years).

    NaN in a year with more than MISSING_PER_YEAR days missing.
    """

    days: Array
    maximum: Array


def spring_start(cells: int) -> MoistureCodes:
    """The codes that a series without a past starts from."""
    ffmc, dmc, dc = (np.full(cells, code) for code in START)
    return MoistureCodes(ffmc, dmc, dc, gap=np.zeros(cells))


def fire_seasons(
    weather: NoonWeather, years: Years, latitude: Array, start: MoistureCodes | None = None
) -> tuple[FireSeasons, MoistureCodes]:
    """Fire danger of whole calendar years and the codes they end with.

    A missing day leaves the codes as they are, more than LONGEST_GAP in a row start them anew.

    Args:
        weather: Days from 1 January of `years.start` to 31 December of `years.end`.
        years: The calendar years.
        latitude: [degrees north], (cells,).
        start: The codes of the day before; None starts anew.
    """
    cells = len(latitude)
    start = start or spring_start(cells)
    state = np.stack([start.ffmc, start.dmc, start.dc, start.gap], axis=1)
    found = np.zeros((3, len(years), cells))
    calendar = (month_of_days(years), year_of_days(years))
    run_years(_arrays(weather), calendar, _day_lengths(latitude), state, found)
    days, maximum, missing = (values.T for values in found)
    gone = missing > MISSING_PER_YEAR
    seasons = FireSeasons(np.where(gone, np.nan, days), np.where(gone, np.nan, maximum))
    return seasons, MoistureCodes(*state.T.copy())


def fire_codes(
    weather: NoonWeather, month: NDArray[np.int64], latitude: Array, start: MoistureCodes | None = None
) -> FireCodes:
    """The six codes of every day; ISI, BUI and FWI are NaN on missing days.

    Args:
        weather: Consecutive days.
        month: Month of every day, 0 for January, (days,).
        latitude: [degrees north], (cells,).
        start: The codes of the day before; None starts anew.
    """
    start = start or spring_start(len(latitude))
    state = np.stack([start.ffmc, start.dmc, start.dc, start.gap], axis=1)
    codes = np.empty((6, *weather.temperature.shape))
    run_codes(_arrays(weather), month, _day_lengths(latitude), state, codes)
    return FireCodes(*codes)


def compile_kernels() -> None:
    """Compile what a worker runs of this module, or load it from the cache: not the codes of every day."""
    year = Years(2001, 2001)
    calm = np.zeros((1, 365))
    fire_seasons(NoonWeather(calm, calm, calm, calm), year, np.zeros(1))


def _arrays(weather: NoonWeather) -> FourArrays:
    """Contiguous and writable, as one layout is one compiled kernel."""
    return (
        np.require(weather.temperature, np.float64, ["C", "W"]),
        np.require(weather.humidity, np.float64, ["C", "W"]),
        np.require(weather.wind, np.float64, ["C", "W"]),
        np.require(weather.rain, np.float64, ["C", "W"]),
    )


def _day_lengths(latitude: Array) -> tuple[Array, Array]:
    """Le [h] and Lf of every cell's twelve months, each (cells, 12)."""
    return (
        DMC_DAY_LENGTH[np.digitize(latitude, DMC_BANDS, right=True)],
        DC_DAY_LENGTH[np.digitize(latitude, DC_BANDS, right=True)],
    )
