# ruff: noqa: PLR2004 - the numbers are those of the equations
"""The equations of the fire weather index system and their runs over days, compiled.

Source: Van Wagner and Pickett (1985), Forestry Technical Report 33; equation numbers are theirs.
"""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streams.models.inputs import Array

START = (85.0, 6.0, 15.0)
"""FFMC, DMC and DC on the first day; Van Wagner and Pickett (1985)."""

VERY_HIGH = 38.0
"""FWI from which fire danger is very high; EFFIS classes."""

LONGEST_GAP = 15
"""Missing days in a row above which the codes start anew [days]; METHODS, section 2."""

STEEPEST_DUFF = 40.0
"""Upper bound of the duff moisture function f(D), eq. 28b for BUI without end."""

VERY_HIGH_B = exp((log(VERY_HIGH) / 2.72) ** (1 / 0.647) / 0.434)
"""The intermediate index B at which FWI is VERY_HIGH; eq. 30b solved for B."""


FourArrays = tuple[Array, Array, Array, Array]


@njit(cache=True, nogil=True, error_model="numpy")
def _next_ffmc(code: float, temperature: float, humidity: float, wind: float, rain: float) -> float:
    """Fine fuel moisture code, eqs. 1-10."""
    moisture = 147.2 * (101.0 - code) / (59.5 + code)
    if rain > 0.5:
        net = rain - 0.5
        wetted = moisture + 42.5 * net * exp(-100.0 / (251.0 - moisture)) * (1.0 - exp(-6.93 / net))
        if moisture > 150.0:
            wetted += 0.0015 * (moisture - 150.0) ** 2 * sqrt(net)
        moisture = min(wetted, 250.0)
    log_humidity = log(humidity)
    common = 0.18 * (21.1 - temperature) * (1.0 - exp(-0.115 * humidity))
    near_saturation = exp((humidity - 100.0) / 10.0)
    drying = 0.942 * exp(0.679 * log_humidity) + 11.0 * near_saturation + common
    if moisture > drying:
        rate = _exchange(humidity / 100.0, temperature, wind)
        moisture = drying + (moisture - drying) * rate
    else:
        wetting = 0.618 * exp(0.753 * log_humidity) + 10.0 * near_saturation + common
        if moisture < wetting:
            rate = _exchange((100.0 - humidity) / 100.0, temperature, wind)
            moisture = wetting - (wetting - moisture) * rate
    return min(max(59.5 * (250.0 - moisture) / (147.2 + moisture), 0.0), 101.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _exchange(share: float, temperature: float, wind: float) -> float:
    """What a day leaves of the distance to equilibrium, 10^-k of eqs. 6-9."""
    eighth = share * share
    eighth *= eighth
    eighth *= eighth
    still = 0.424 * (1.0 - exp(1.7 * log(share))) + 0.0694 * sqrt(wind) * (1.0 - eighth)
    return exp(-2.302585092994046 * still * 0.581 * exp(0.0365 * temperature))


@njit(cache=True, nogil=True, error_model="numpy")
def _next_dmc(code: float, temperature: float, humidity: float, rain: float, day_length: float) -> float:
    """Duff moisture code, eqs. 11-17."""
    if rain > 1.5:
        net = 0.92 * rain - 1.27
        moisture = 20.0 + 280.0 * exp(-0.023 * code)
        if code <= 33.0:
            slope = 100.0 / (0.5 + 0.3 * code)
        elif code <= 65.0:
            slope = 14.0 - 1.3 * log(code)
        else:
            slope = 6.2 * log(code) - 17.2
        wetted = moisture + 1000.0 * net / (48.77 + slope * net)
        code = max(43.43 * (5.6348 - log(wetted - 20.0)), 0.0)
    drying = 1.894 * (max(temperature, -1.1) + 1.1) * (100.0 - humidity) * day_length * 1e-4
    return code + drying


@njit(cache=True, nogil=True, error_model="numpy")
def _next_dc(code: float, temperature: float, rain: float, day_length: float) -> float:
    """Drought code, eqs. 18-23."""
    if rain > 2.8:
        net = 0.83 * rain - 1.27
        code = max(code - 400.0 * log(1.0 + 3.937 * net / (800.0 * exp(-code / 400.0))), 0.0)
    return code + max((0.36 * (max(temperature, -2.8) + 2.8) + day_length) / 2.0, 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _spread(ffmc: float, wind: float) -> float:
    """Initial spread index, eqs. 24-26."""
    moisture = 147.2 * (101.0 - ffmc) / (59.5 + ffmc)
    return 0.208 * 91.9 * exp(0.05039 * wind - 0.1386 * moisture) * (1.0 + exp(5.31 * log(moisture)) / 4.93e7)


@njit(cache=True, nogil=True, error_model="numpy")
def _buildup(dmc: float, dc: float) -> float:
    """Buildup index, eq. 27."""
    total = dmc + 0.4 * dc
    if total <= 0.0:
        return 0.0
    if dmc <= 0.4 * dc:
        return 0.8 * dmc * dc / total
    return max(dmc - (1.0 - 0.8 * dc / total) * (0.92 + exp(1.7 * log(0.0114 * dmc))), 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _intermediate(isi: float, bui: float) -> float:
    """The intermediate index B, eqs. 28-29."""
    if bui <= 80.0:
        return 0.1 * isi * (0.626 * exp(0.809 * log(bui)) + 2.0)
    return 0.1 * isi * 1000.0 / (25.0 + 108.64 * exp(-0.023 * bui))


@njit(cache=True, nogil=True, error_model="numpy")
def run_years(
    weather: FourArrays,
    calendar: tuple[NDArray[np.int64], NDArray[np.int64]],
    day_lengths: tuple[Array, Array],
    state: Array,
    found: Array,
) -> None:
    """Days with B >= VERY_HIGH_B, highest B and missing days of every year into `found`.

    `calendar` has month and year of every day; `state`, (cells, 4), runs on.
    """
    temperature, humidity, wind, rain = weather
    month, year = calendar
    dmc_length, dc_length = day_lengths
    days, steepest, missing = found[0], found[1], found[2]
    for c in range(temperature.shape[0]):
        ffmc, dmc, dc, gap = state[c]
        for d in range(temperature.shape[1]):
            t, h, w, r, m, y = temperature[c, d], humidity[c, d], wind[c, d], rain[c, d], month[d], year[d]
            if np.isnan(t + h + w + r):
                gap += 1.0
                missing[c, y] += 1.0
                continue
            if gap > LONGEST_GAP:
                ffmc, dmc, dc = START
            gap = 0.0
            h = min(h, 100.0)
            ffmc = _next_ffmc(ffmc, t, h, w, r)
            dmc = _next_dmc(dmc, t, h, r, dmc_length[c, m])
            dc = _next_dc(dc, t, r, dc_length[c, m])
            isi = _spread(ffmc, w)
            # The bound spares most days the powers of BUI and f(D).
            bound = 0.1 * STEEPEST_DUFF * isi
            if bound >= VERY_HIGH_B or bound > steepest[c, y]:
                index = _intermediate(isi, _buildup(dmc, dc))
                steepest[c, y] = max(steepest[c, y], index)
                if index >= VERY_HIGH_B:
                    days[c, y] += 1.0
        state[c] = ffmc, dmc, dc, gap


@njit(cache=True, nogil=True, error_model="numpy")
def run_codes(
    weather: FourArrays,
    month: NDArray[np.int64],
    day_lengths: tuple[Array, Array],
    state: Array,
    codes: Array,
) -> None:
    """FFMC, DMC, DC, ISI, BUI and B of every day into `codes`, (6, cells, days)."""
    temperature, humidity, wind, rain = weather
    dmc_length, dc_length = day_lengths
    for c in range(temperature.shape[0]):
        ffmc, dmc, dc, gap = state[c]
        for d in range(temperature.shape[1]):
            t, h, w, r, m = temperature[c, d], humidity[c, d], wind[c, d], rain[c, d], month[d]
            if np.isnan(t + h + w + r):
                gap += 1.0
                codes[0, c, d], codes[1, c, d], codes[2, c, d] = ffmc, dmc, dc
                continue
            if gap > LONGEST_GAP:
                ffmc, dmc, dc = START
            gap = 0.0
            h = min(h, 100.0)
            ffmc = _next_ffmc(ffmc, t, h, w, r)
            dmc = _next_dmc(dmc, t, h, r, dmc_length[c, m])
            dc = _next_dc(dc, t, r, dc_length[c, m])
            isi = _spread(ffmc, w)
            bui = _buildup(dmc, dc)
            codes[0, c, d], codes[1, c, d], codes[2, c, d] = ffmc, dmc, dc
            codes[3, c, d], codes[4, c, d], codes[5, c, d] = isi, bui, _intermediate(isi, bui)
        state[c] = ffmc, dmc, dc, gap
