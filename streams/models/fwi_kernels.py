# ruff: noqa: PLR2004 - the numbers are those of the equations
"""The fire weather index system run over days, compiled.

Source: Van Wagner and Pickett (1985), Forestry Technical Report 33; equation numbers are theirs.

A block of cells takes a day together, equation by equation, in loops that LLVM compiles for several
cells at once: rows of cells, no branches, exp and log of `vector_math`. What few cells need (rain, a
duff code above the drought code's share) is packed into short rows first. Every cell's numbers come
from the same operations wherever it stands.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streams.models.fwi_equations import (
    deep_buildup,
    drought_drying,
    duff_drying,
    equilibria,
    intermediate,
    left_of_distance,
    log_slope,
    moisture_content,
    rate_at_zero,
    shallow_buildup,
    spread,
    steep_index,
    warmth_factor,
    wetted_drought,
    wetted_duff,
    wetted_fuel,
)
from streams.models.inputs import Array

START = (85.0, 6.0, 15.0)
"""FFMC, DMC and DC on the first day; Van Wagner and Pickett (1985)."""

START_MOISTURE = 147.2 * (101.0 - START[0]) / (59.5 + START[0])
"""Moisture content of fine fuel on the first day [%], eq. 1."""

VERY_HIGH = 38.0
"""FWI from which fire danger is very high; EFFIS classes."""

LONGEST_GAP = 15
"""Missing days in a row above which the codes start anew [days]; METHODS, section 2."""

STEEPEST_DUFF = 40.0
"""Upper bound of the duff moisture function f(D), eq. 28b for BUI without end."""

VERY_HIGH_B = math.exp((math.log(VERY_HIGH) / 2.72) ** (1 / 0.647) / 0.434)
"""The intermediate index B at which FWI is VERY_HIGH; eq. 30b solved for B."""

CELLS, DAYS = 64, 8
"""Cells and days that are computed together; their rows fit in the nearest caches."""

STRIDE = CELLS + 8
"""Numbers from row to row: some more than CELLS, so that rows do not begin at the same place of a cache."""

TEMPERATURE, HUMIDITY, WIND, RAIN, DMC_LENGTH, DC_LENGTH = range(6)
FFMC, DMC, DC, ISI, BUI, INDEX = range(6, 12)
GAP, MOISTURE, DRYING, WETTING, WARMTH, LEFT = range(12, 18)
PACKED = 18
ROWS = 22
"""The rows of a day: weather, the six codes, what stands between them; four for packed cells."""

TILE = (DAYS, ROWS, STRIDE)
"""Shape of the memory of a block. Known to the compiler, so that it sees that rows do not overlap."""

FourArrays = tuple[Array, Array, Array, Array]


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _pack(day: Array, row: int, packed: int, chosen: NDArray[np.int64], count: int) -> None:
    """The chosen cells of a row side by side into the row of packed cells."""
    for j in range(count):
        day[packed, j] = day[row, chosen[j]]


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _unpack(day: Array, row: int, packed: int, chosen: NDArray[np.int64], count: int) -> None:
    """Packed cells back to their places in a row."""
    for j in range(count):
        day[row, chosen[j]] = day[packed, j]


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _whole(count: int) -> int:
    """A loop's length without single cells left over; the cells added are stale, nobody reads them."""
    return (count + 7) // 8 * 8


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _begin(before: Array, day: Array, cells: int) -> None:
    """The codes of the day before, anew after a long gap; the gap is 0 on a day that is there."""
    for i in range(cells):
        known = day[TEMPERATURE, i] + day[HUMIDITY, i] + day[WIND, i] + day[RAIN, i]
        there = not math.isnan(known)
        gap = before[GAP, i]
        anew = there and gap > LONGEST_GAP
        longer = gap + 1.0
        ffmc, dmc, dc, moisture = before[FFMC, i], before[DMC, i], before[DC, i], before[MOISTURE, i]
        day[FFMC, i] = START[0] if anew else ffmc
        day[DMC, i] = START[1] if anew else dmc
        day[DC, i] = START[2] if anew else dc
        day[MOISTURE, i] = START_MOISTURE if anew else moisture
        day[GAP, i] = 0.0 if there else longer
        day[HUMIDITY, i] = min(day[HUMIDITY, i], 100.0)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _rain(day: Array, chosen: NDArray[np.int64], cells: int) -> None:
    """Moisture content, DMC and DC after the day's rain."""
    count = 0
    for i in range(cells):
        chosen[count] = i
        count += 1 if (day[RAIN, i] > 0.5) & (day[GAP, i] == 0.0) else 0
    _pack(day, RAIN, PACKED, chosen, count)
    _pack(day, MOISTURE, PACKED + 1, chosen, count)
    _pack(day, DMC, PACKED + 2, chosen, count)
    _pack(day, DC, PACKED + 3, chosen, count)
    for j in range(_whole(count)):
        day[PACKED + 1, j] = wetted_fuel(day[PACKED + 1, j], day[PACKED, j])
    for j in range(_whole(count)):
        day[PACKED + 2, j] = wetted_duff(day[PACKED + 2, j], day[PACKED, j])
    for j in range(_whole(count)):
        day[PACKED + 3, j] = wetted_drought(day[PACKED + 3, j], day[PACKED, j])
    _unpack(day, MOISTURE, PACKED + 1, chosen, count)
    _unpack(day, DMC, PACKED + 2, chosen, count)
    _unpack(day, DC, PACKED + 3, chosen, count)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _dry(day: Array, cells: int) -> None:
    """FFMC, its moisture content, DMC and DC at the end of the day; as they were on a missing day."""
    for i in range(cells):
        day[DRYING, i], day[WETTING, i] = equilibria(day[TEMPERATURE, i], day[HUMIDITY, i])
        day[WARMTH, i] = warmth_factor(day[TEMPERATURE, i])
    for i in range(cells):
        wet = 0.01 * day[HUMIDITY, i]
        dry = 0.01 * (100.0 - day[HUMIDITY, i])
        share = wet if day[MOISTURE, i] > day[DRYING, i] else dry
        day[LEFT, i] = rate_at_zero(share, day[WIND, i])
    for i in range(cells):
        day[LEFT, i] = left_of_distance(day[LEFT, i], day[WARMTH, i])
    for i in range(cells):
        moisture, drying, wetting, left = day[MOISTURE, i], day[DRYING, i], day[WETTING, i], day[LEFT, i]
        target = max(moisture, wetting)
        target = drying if moisture > drying else target
        after = target + (moisture - target) * left
        code = min(max(59.5 * (250.0 - after) / (147.2 + after), 0.0), 101.0)
        before = day[FFMC, i]
        code = code if day[GAP, i] == 0.0 else before
        day[FFMC, i] = code
        day[MOISTURE, i] = moisture_content(code)
    for i in range(cells):
        there = day[GAP, i] == 0.0
        duff = duff_drying(day[TEMPERATURE, i], day[HUMIDITY, i], day[DMC_LENGTH, i])
        drought = drought_drying(day[TEMPERATURE, i], day[DC_LENGTH, i])
        day[DMC, i] += duff if there else 0.0
        day[DC, i] += drought if there else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _next_day(
    memory: Array, lengths: Array, chosen: NDArray[np.int64], days: tuple[int, int], cells: int
) -> None:
    """FFMC, DMC, DC and ISI of a day from the day before; `days`: both's places in the memory."""
    tile = memory.reshape(TILE)
    before, day = tile[days[0]], tile[days[1]]
    for i in range(cells):
        day[DMC_LENGTH, i] = lengths[0, i]
        day[DC_LENGTH, i] = lengths[1, i]
    _begin(before, day, cells)
    _rain(day, chosen, cells)
    _dry(day, cells)
    for i in range(cells):
        index = spread(day[MOISTURE, i], day[WIND, i])
        day[ISI, i] = index if day[GAP, i] == 0.0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _indices(memory: Array, chosen: NDArray[np.int64], place: int, cells: int) -> None:
    """BUI and FWI of a day that has its codes and ISI."""
    day = memory.reshape(TILE)[place]
    count = 0
    for i in range(cells):
        chosen[count] = i
        count += 1 if day[DMC, i] > 0.4 * day[DC, i] else 0
    _pack(day, DMC, PACKED, chosen, count)
    _pack(day, DC, PACKED + 1, chosen, count)
    for i in range(cells):
        day[BUI, i] = shallow_buildup(day[DMC, i], day[DC, i])
    for j in range(_whole(count)):
        day[PACKED, j] = deep_buildup(day[PACKED, j], day[PACKED + 1, j])
    _unpack(day, BUI, PACKED, chosen, count)
    for i in range(cells):
        index = day[BUI, i]
        day[BUI, i] = index if day[GAP, i] == 0.0 else np.nan
        day[INDEX, i] = intermediate(day[ISI, i], index)
    count = 0
    for i in range(cells):
        chosen[count] = i
        count += 1 if day[INDEX, i] > 1.0 else 0
    _pack(day, INDEX, PACKED, chosen, count)
    for j in range(_whole(count)):
        day[PACKED, j] = log_slope(day[PACKED, j])
    for j in range(_whole(count)):
        day[PACKED, j] = steep_index(day[PACKED, j])
    _unpack(day, INDEX, PACKED, chosen, count)


@njit(cache=True, nogil=True, error_model="numpy")
def _count_day(memory: Array, chosen: NDArray[np.int64], place: int, found: Array) -> None:
    """Add a day to the year's `found`, (3, cells): days with B >= VERY_HIGH_B, highest B, missing days."""
    day = memory.reshape(TILE)[place]
    days, steepest, missing = found[0], found[1], found[2]
    count = 0
    for i in range(found.shape[1]):
        missing[i] += 1.0 if day[GAP, i] > 0.0 else 0.0
        # The bound spares most days the powers of BUI and f(D).
        bound = 0.1 * STEEPEST_DUFF * day[ISI, i]
        chosen[count] = i
        count += 1 if (bound >= VERY_HIGH_B) | (bound > steepest[i]) else 0
    _pack(day, ISI, PACKED, chosen, count)
    _pack(day, DMC, PACKED + 1, chosen, count)
    _pack(day, DC, PACKED + 2, chosen, count)
    for j in range(_whole(count)):
        dmc, dc = day[PACKED + 1, j], day[PACKED + 2, j]
        shallow, deep = shallow_buildup(dmc, dc), deep_buildup(dmc, dc)
        day[PACKED + 1, j] = deep if dmc > 0.4 * dc else shallow
    for j in range(_whole(count)):
        day[PACKED, j] = intermediate(day[PACKED, j], day[PACKED + 1, j])
    for j in range(count):
        index, i = day[PACKED, j], chosen[j]
        steepest[i] = max(steepest[i], index)
        days[i] += 1.0 if index >= VERY_HIGH_B else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _load(memory: Array, weather: FourArrays, first_day: int, cells: tuple[int, int]) -> None:
    """The weather of up to DAYS days of the cells from `cells[0]` to before `cells[1]`, cells along rows."""
    temperature, humidity, wind, rain = weather
    tile = memory.reshape(TILE)
    first = cells[0]
    for i in range(cells[1] - first):
        for d in range(min(DAYS, temperature.shape[1] - first_day)):
            tile[d, TEMPERATURE, i] = temperature[first + i, first_day + d]
            tile[d, HUMIDITY, i] = humidity[first + i, first_day + d]
            tile[d, WIND, i] = wind[first + i, first_day + d]
            tile[d, RAIN, i] = rain[first + i, first_day + d]


@njit(cache=True, nogil=True, error_model="numpy")
def _store(memory: Array, codes: Array, first_day: int, cells: tuple[int, int]) -> None:
    """The six codes of up to DAYS days, days along rows."""
    tile = memory.reshape(TILE)
    first = cells[0]
    for q in range(6):
        for i in range(cells[1] - first):
            for d in range(min(DAYS, codes.shape[2] - first_day)):
                codes[q, first + i, first_day + d] = tile[d, FFMC + q, i]


@njit(cache=True, nogil=True, error_model="numpy")
def _resume(memory: Array, state: Array) -> None:
    """The block's `state`, (cells, 4), into the place of the day before."""
    day = memory.reshape(TILE)[DAYS - 1]
    for i in range(state.shape[0]):
        day[FFMC, i], day[DMC, i], day[DC, i], day[GAP, i] = (
            state[i, 0],
            state[i, 1],
            state[i, 2],
            state[i, 3],
        )
        day[MOISTURE, i] = moisture_content(state[i, 0])


@njit(cache=True, nogil=True, error_model="numpy")
def _leave(memory: Array, place: int, state: Array) -> None:
    """The codes of the last day into the block's `state`, (cells, 4)."""
    day = memory.reshape(TILE)[place]
    for i in range(state.shape[0]):
        state[i, 0], state[i, 1], state[i, 2], state[i, 3] = (
            day[FFMC, i],
            day[DMC, i],
            day[DC, i],
            day[GAP, i],
        )


@njit(cache=True, nogil=True, error_model="numpy")
def _lengths_of(day_lengths: tuple[Array, Array], first: int, last: int) -> Array:
    """Le [h] and Lf of the cells from `first` to before `last`, (12, 2, cells)."""
    lengths = np.empty((12, 2, last - first))
    for i in range(last - first):
        for m in range(12):
            lengths[m, 0, i] = day_lengths[0][first + i, m]
            lengths[m, 1, i] = day_lengths[1][first + i, m]
    return lengths


@njit(cache=True, nogil=True, error_model="numpy")
def run_years(
    weather: FourArrays,
    calendar: tuple[NDArray[np.int64], NDArray[np.int64]],
    day_lengths: tuple[Array, Array],
    state: Array,
    found: Array,
) -> None:
    """Days with FWI >= VERY_HIGH, highest FWI and missing days into `found`, (3, years, cells).

    `calendar` has month and year of every day; `state`, (cells, 4), runs on.
    """
    cells, days = weather[0].shape
    month, year = calendar
    memory, chosen = np.zeros(DAYS * ROWS * STRIDE), np.zeros(CELLS, np.int64)
    for first in range(0, cells, CELLS):
        last = min(first + CELLS, cells)
        lengths = _lengths_of(day_lengths, first, last)
        _resume(memory, state[first:last])
        for d in range(days):
            place = d % DAYS
            if place == 0:
                _load(memory, weather, d, (first, last))
            _next_day(memory, lengths[month[d]], chosen, ((d - 1) % DAYS, place), last - first)
            _count_day(memory, chosen, place, found[:, year[d], first:last])
        _leave(memory, (days - 1) % DAYS, state[first:last])
    steepest = found[1]
    for y in range(steepest.shape[0]):
        for c in range(cells):
            index = steep_index(log_slope(steepest[y, c]))
            steepest[y, c] = index if steepest[y, c] > 1.0 else steepest[y, c]


@njit(cache=True, nogil=True, error_model="numpy")
def run_codes(
    weather: FourArrays,
    month: NDArray[np.int64],
    day_lengths: tuple[Array, Array],
    state: Array,
    codes: Array,
) -> None:
    """FFMC, DMC, DC, ISI, BUI and FWI of every day into `codes`, (6, cells, days)."""
    cells, days = weather[0].shape
    memory, chosen = np.zeros(DAYS * ROWS * STRIDE), np.zeros(CELLS, np.int64)
    for first in range(0, cells, CELLS):
        last = min(first + CELLS, cells)
        lengths = _lengths_of(day_lengths, first, last)
        _resume(memory, state[first:last])
        for d in range(days):
            place = d % DAYS
            if place == 0:
                _load(memory, weather, d, (first, last))
            _next_day(memory, lengths[month[d]], chosen, ((d - 1) % DAYS, place), last - first)
            _indices(memory, chosen, place, last - first)
            if place == DAYS - 1 or d == days - 1:
                _store(memory, codes, d - place, (first, last))
        _leave(memory, (days - 1) % DAYS, state[first:last])
