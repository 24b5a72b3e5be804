# ruff: noqa: PLR2004 - the numbers are those of the equations
"""The equations of the fire weather index system, each for one cell and day, free of branches.

Source: Van Wagner and Pickett (1985), Forestry Technical Report 33; equation numbers are theirs.
"""

from __future__ import annotations

import math

from numba import njit

from streams.models.vector_math import exp, log


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def moisture_content(code: float) -> float:
    """Moisture content of fine fuel of a code [%], eq. 1."""
    return 147.2 * (101.0 - code) / (59.5 + code)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def wetted_fuel(moisture: float, rain: float) -> float:
    """Moisture content of fine fuel after rain above 0.5 mm [%], eqs. 2-3."""
    net = rain - 0.5
    wetted = moisture + 42.5 * net * exp(-100.0 / (251.0 - moisture)) * (1.0 - exp(-6.93 / net))
    soaked = wetted + 0.0015 * (moisture - 150.0) ** 2 * math.sqrt(net)
    return min(soaked if moisture > 150.0 else wetted, 250.0)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def equilibria(temperature: float, humidity: float) -> tuple[float, float]:
    """Moisture contents that fuel dries and wets to [%], eqs. 4-5."""
    log_humidity = log(humidity)
    common = 0.18 * (21.1 - temperature) * (1.0 - exp(-0.115 * humidity))
    near_saturation = exp(0.1 * humidity - 10.0)
    drying = 0.942 * exp(0.679 * log_humidity) + 11.0 * near_saturation + common
    wetting = 0.618 * exp(0.753 * log_humidity) + 10.0 * near_saturation + common
    return drying, wetting


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def rate_at_zero(share: float, wind: float) -> float:
    """How fast fuel nears its equilibrium at 0 degC, k0 or k1 of eqs. 6a and 7a."""
    eighth = share * share
    eighth *= eighth
    eighth *= eighth
    return 0.424 * (1.0 - exp(1.7 * log(share))) + 0.0694 * math.sqrt(wind) * (1.0 - eighth)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def warmth_factor(temperature: float) -> float:
    """How much faster fuel nears its equilibrium at a temperature than at 0 degC, eqs. 6b and 7b."""
    return exp(0.0365 * temperature)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def left_of_distance(still: float, warmth: float) -> float:
    """What a day leaves of the distance to equilibrium, 10^-k of eqs. 6b, 7b, 8 and 9."""
    return exp(-2.302585092994046 * 0.581 * still * warmth)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def wetted_duff(code: float, rain: float) -> float:
    """Duff moisture code after rain, eqs. 11-15."""
    net = 0.92 * rain - 1.27
    moisture = 20.0 + 280.0 * exp(-0.023 * code)
    log_code = log(code)
    low, middle, high = 100.0 / (0.5 + 0.3 * code), 14.0 - 1.3 * log_code, 6.2 * log_code - 17.2
    slope = middle if code <= 65.0 else high
    slope = low if code <= 33.0 else slope
    wetted = moisture + 1000.0 * net / (48.77 + slope * net)
    after = max(43.43 * (5.6348 - log(wetted - 20.0)), 0.0)
    return after if rain > 1.5 else code


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def wetted_drought(code: float, rain: float) -> float:
    """Drought code after rain, eqs. 18-21."""
    net = 0.83 * rain - 1.27
    after = max(code - 400.0 * log(1.0 + 3.937 / 800.0 * net * exp(0.0025 * code)), 0.0)
    return after if rain > 2.8 else code


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def duff_drying(temperature: float, humidity: float, day_length: float) -> float:
    """A day's rise of the duff moisture code, eqs. 16-17."""
    return 1.894 * (max(temperature, -1.1) + 1.1) * (100.0 - humidity) * day_length * 1e-4


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def drought_drying(temperature: float, day_length: float) -> float:
    """A day's rise of the drought code, eqs. 22-23."""
    return max((0.36 * (max(temperature, -2.8) + 2.8) + day_length) / 2.0, 0.0)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def spread(moisture: float, wind: float) -> float:
    """Initial spread index, eqs. 24-26."""
    fuel = 1.0 + exp(5.31 * log(moisture)) * (1.0 / 4.93e7)
    return 0.208 * 91.9 * exp(0.05039 * wind - 0.1386 * moisture) * fuel


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def shallow_buildup(dmc: float, dc: float) -> float:
    """Buildup index where DMC does not exceed 0.4 DC, eq. 27a."""
    total = dmc + 0.4 * dc
    index = 0.8 * dmc * dc / total
    return index if total > 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def deep_buildup(dmc: float, dc: float) -> float:
    """Buildup index where DMC exceeds 0.4 DC, eq. 27b."""
    share = 0.8 * dc / (dmc + 0.4 * dc)
    return max(dmc - (1.0 - share) * (0.92 + exp(1.7 * log(0.0114 * dmc))), 0.0)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def intermediate(isi: float, bui: float) -> float:
    """The intermediate index B, eqs. 28-29."""
    shallow = bui <= 80.0
    power, fall = 0.809 * log(bui), -0.023 * bui
    factor = exp(power if shallow else fall)
    low, high = 0.626 * factor + 2.0, 1000.0 / (25.0 + 108.64 * factor)
    return 0.1 * isi * (low if shallow else high)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def log_slope(intermediate: float) -> float:
    """0.647 times the logarithm of 0.434 ln B, eq. 30b."""
    return 0.647 * log(0.434 * log(intermediate))


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def steep_index(slope: float) -> float:
    """FWI of an intermediate index B above 1 from its `log_slope`, eq. 30b."""
    return exp(2.72 * exp(slope))
