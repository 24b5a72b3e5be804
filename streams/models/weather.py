"""Daily noon weather drawn from months, the same days at every run.

Rain follows Geng et al. (1986), Agricultural and Forest Meteorology 36; the noise of temperature
and humidity and the contrast of wet and dry days METHODS, section 2 (wildfire), whose constants
were fitted on 35 Korean stations.

A day's random numbers come from the seeds of its own year (and, for the noise of early January, of
the year before) and a counter, so that a year has the same days in whatever window it stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from math import log, pi, sqrt

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streams.models.dates import month_lengths
from streams.models.evapotranspiration import saturation_pressure
from streams.models.fwi import NoonWeather
from streams.models.inputs import Array, Years

Seeds = NDArray[np.uint64]

NEEDED = ("ta", "tamax", "rn", "rhm", "ws")
"""Monthly variables without which no day can be drawn; wet_days is taken where it is given."""

RAIN_OF_WET_DAY = 6.0
"""Mean rain of a wet day where the number of wet days is not given [mm]; METHODS, section 2."""

WET_AFTER_DRY = 0.75
"""P(wet | dry) over the fraction of wet days; Geng et al. (1986)."""

WET_AFTER_WET = 0.25
"""P(wet | wet) less P(wet | dry); Geng et al. (1986)."""

GAMMA_SLOPE, GAMMA_OFFSET, GAMMA_LEAST = 1.83, 2.16, 0.1
"""Gamma scale of m mm a wet day: SLOPE m - OFFSET [mm], at least LEAST m; Geng et al. (1986)."""

TEMPERATURE_PHI, TEMPERATURE_SD = 0.7, 3.5
"""Lag-1 correlation and standard deviation [degC] of the noise; METHODS, section 2."""

HUMIDITY_PHI, HUMIDITY_SD = 0.5, 11.0
"""Lag-1 correlation and standard deviation [points] of the noise; METHODS, section 2."""

TEMPERATURE_STEP = TEMPERATURE_SD * sqrt(1 - TEMPERATURE_PHI**2)
"""Standard deviation of what a day adds to the noise [degC]."""

HUMIDITY_STEP = HUMIDITY_SD * sqrt(1 - HUMIDITY_PHI**2)
"""Standard deviation of what a day adds to the noise [points]."""

AFTERNOON_HUMIDITY = 0.92
"""Afternoon over daily mean humidity at equal vapour pressure; METHODS, section 2."""

WET_HUMIDITY, WET_COOLING = 20.0, 2.0
"""How much more humid [points] and cooler [degC] a wet day is than a dry one; METHODS, section 2."""

LEAST_HUMIDITY, MOST_HUMIDITY = 5.0, 100.0
"""Bounds of the afternoon humidity [%]; METHODS, section 2."""

WEIBULL_SCALE = 2 / sqrt(pi)
"""Scale of a Weibull distribution of shape 2 over its mean, 1 / Gamma(3/2)."""

KMH_PER_MS = 3.6
"""[km/h per m/s]"""

RUN_IN = 64
"""Days of the year before from which the noise of 1 January is built up [days]; 0.7^64 = 1e-10."""

GAMMA_COUNTER = 4096
"""First number of the rain amounts; a day's other numbers stand before it, four a day."""

RETRY = 1 << 20
"""Distance to the pair that replaces a rejected one; far beyond a year's numbers."""


def year_seeds(latitude: Array, longitude: Array, years: Years) -> Seeds:
    """Seeds of every cell and year, (cells, years): 8 bytes of BLAKE2b of "%.6f,%.6f,%d"."""
    places = [f"{north:.6f},{east:.6f}," for north, east in zip(latitude, longitude, strict=True)]
    digests = b"".join(
        blake2b(f"{place}{year}".encode(), digest_size=8).digest()
        for place in places
        for year in range(years.start, years.end + 1)
    )
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64).reshape(len(places), len(years))


def drawn_years(
    latitude: Array, longitude: Array, months: Mapping[str, Array], years: Years
) -> Iterator[NoonWeather]:
    """The days of one year after the other; NaN in months that lack one of NEEDED.

    Args:
        latitude: [degrees north], (cells,).
        longitude: [degrees east], (cells,).
        months: ta, tamax [degC], rn [mm/month], rhm [%], ws [m/s] and wet_days, each
            (cells, 12 * years) from January of `years.start` on.
        years: The calendar years.
    """
    seeds = year_seeds(latitude, longitude, Years(years.start - 1, years.end))
    climate = _afternoon_climate(months, years)
    for position in range(len(years)):
        year = Years(years.start + position, years.start + position)
        days = np.full((4, len(latitude), int(month_lengths(year).sum())), np.nan)
        previous = int(month_lengths(Years(year.start - 1, year.start - 1)).sum())
        # Contiguous, as one layout is one compiled kernel.
        _draw_year(
            np.ascontiguousarray(seeds[:, position : position + 2]),
            previous,
            np.ascontiguousarray(climate[:, :, 12 * position : 12 * (position + 1)]),
            np.concatenate([[0], np.cumsum(month_lengths(year))]),
            days,
        )
        yield NoonWeather(*days)


def compile_kernels() -> None:
    """Compile what this module runs, or load it from the cache."""
    months = {name: np.full((1, 12), 10.0) for name in (*NEEDED, "wet_days")}
    next(drawn_years(np.zeros(1), np.zeros(1), months, Years(2001, 2001)))


def _afternoon_climate(months: Mapping[str, Array], years: Years) -> Array:
    """What the days of a month are drawn from, (5, cells, 12 * years).

    Mean afternoon temperature [degC] and humidity [%], mean wind [km/h], rain [mm/month] and the
    fraction of wet days; NaN in all of them where one of NEEDED is missing.
    """
    lengths = month_lengths(years)
    rain, wet_days = months["rn"], months["wet_days"]
    wet_days = np.where(np.isnan(wet_days), rain / RAIN_OF_WET_DAY, wet_days)
    fraction = np.where(rain > 0.0, np.clip(wet_days / lengths, 1 / lengths, 1.0), 0.0)
    warmth = saturation_pressure(months["ta"]) / saturation_pressure(months["tamax"])
    humidity = AFTERNOON_HUMIDITY * months["rhm"] * warmth
    climate = np.stack([months["tamax"], humidity, months["ws"] * KMH_PER_MS, rain, fraction])
    climate[:, np.isnan(climate).any(axis=0)] = np.nan
    return climate


@njit(cache=True, nogil=True, error_model="numpy")
def _uniform(seed: np.uint64, number: int) -> float:
    """The `number`-th uniform number of a seed, in (0, 1); splitmix64 (Steele et al. 2014)."""
    state = seed + np.uint64(number + 1) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(31)
    return (np.float64(state >> np.uint64(11)) + 0.5) / 9007199254740992.0


@njit(cache=True, nogil=True, error_model="numpy")
def _normals(seed: np.uint64, number: int) -> tuple[float, float]:
    """Two standard normal numbers; the polar method of Marsaglia and Bray (1964).

    A rejected pair is replaced by the one RETRY numbers on, so that no other number moves.
    """
    while True:
        x = 2.0 * _uniform(seed, number) - 1.0
        y = 2.0 * _uniform(seed, number + 1) - 1.0
        square = x * x + y * y
        if 0.0 < square < 1.0:
            factor = sqrt(-2.0 * log(square) / square)
            return x * factor, y * factor
        number += RETRY


@njit(cache=True, nogil=True, error_model="numpy")
def _gamma(seed: np.uint64, number: int, shape: float) -> tuple[float, int]:
    """A gamma number of scale 1 and the next unused `number`; Marsaglia and Tsang (2000)."""
    boost = 1.0
    if shape < 1.0:
        boost = _uniform(seed, number) ** (1.0 / shape)
        number += 1
        shape += 1.0
    d = shape - 1.0 / 3.0
    c = 1.0 / sqrt(9.0 * d)
    while True:
        x = _normals(seed, number)[0]
        u = _uniform(seed, number + 2)
        number += 3
        v = (1.0 + c * x) ** 3
        if v > 0.0 and log(u) < 0.5 * x * x + d - d * v + d * log(v):
            return boost * d * v, number


@njit(cache=True, nogil=True, error_model="numpy")
def _wet_days(seed: np.uint64, first: int, wet: float, fraction: float, rain: Array) -> float:
    """1 into the wet days of a month, 0 into the others; whether the last one is wet.

    `wet` is 1 or 0 for the day before, NaN where it is unknown: the day is then wet with the
    month's fraction of wet days.
    """
    for d in range(rain.size):
        chance = fraction if np.isnan(wet) else WET_AFTER_DRY * fraction + WET_AFTER_WET * wet
        wet = 1.0 if _uniform(seed, 4 * (first + d) + 3) < chance else 0.0
        rain[d] = wet
    return wet


@njit(cache=True, nogil=True, error_model="numpy")
def _amounts(seed: np.uint64, number: int, total: float, fraction: float, rain: Array) -> int:
    """Amounts [mm] of the month's `total` into its wet days; the next unused `number`.

    A month with rain in which no day came out wet gets one.
    """
    if total <= 0.0:
        rain[:] = 0.0
        return number
    if np.sum(rain) == 0.0:
        rain[int(_uniform(seed, number) * rain.size)] = total
        return number + 1
    mean = total / (fraction * rain.size)
    scale = max(GAMMA_SLOPE * mean - GAMMA_OFFSET, GAMMA_LEAST * mean)
    for d in range(rain.size):
        if rain[d] > 0.0:
            rain[d], number = _gamma(seed, number, mean / scale)
    rain *= total / np.sum(rain)
    return number


@njit(cache=True, nogil=True, error_model="numpy")
def _next_noise(seed: np.uint64, day: int, noise_t: float, noise_h: float) -> tuple[float, float]:
    """The noise of temperature [degC] and humidity [points] on a day from that of the day before."""
    z_t, z_h = _normals(seed, 4 * day)
    return TEMPERATURE_PHI * noise_t + TEMPERATURE_STEP * z_t, HUMIDITY_PHI * noise_h + HUMIDITY_STEP * z_h


@njit(cache=True, nogil=True, error_model="numpy")
def _draw_year(
    seeds: Seeds, previous_days: int, climate: Array, starts: NDArray[np.int64], days: Array
) -> None:
    """Temperature, humidity, wind and rain of a year's days into `days`, (4, cells, days).

    `seeds` has those of the year before and of the year, (cells, 2); `climate` is (5, cells, 12);
    `starts` has the first day of every month and of the next year.
    """
    for c in range(len(seeds)):
        previous, seed = seeds[c]
        noise_t = noise_h = 0.0
        for d in range(previous_days - RUN_IN, previous_days):
            noise_t, noise_h = _next_noise(previous, d, noise_t, noise_h)
        wet, number = np.nan, GAMMA_COUNTER
        for m in range(12):
            afternoon, humid, windy, total, fraction = climate[:, c, m]
            if np.isnan(afternoon):
                wet = np.nan
                continue
            first, last = starts[m], starts[m + 1]
            rain = days[3, c, first:last]
            wet = _wet_days(seed, first, wet, fraction, rain)
            number = _amounts(seed, number, total, fraction, rain)
            # Contrasts to the drawn fraction of wet days keep the month's means, whatever was drawn.
            drawn = np.sum(rain > 0.0) / rain.size
            for d in range(first, last):
                noise_t, noise_h = _next_noise(seed, d, noise_t, noise_h)
                contrast = (1.0 if days[3, c, d] > 0.0 else 0.0) - drawn
                days[0, c, d] = afternoon - WET_COOLING * contrast + noise_t
                humidity = humid + WET_HUMIDITY * contrast + noise_h
                days[1, c, d] = min(max(humidity, LEAST_HUMIDITY), MOST_HUMIDITY)
                days[2, c, d] = windy * WEIBULL_SCALE * sqrt(-log(_uniform(seed, 4 * d + 2)))
