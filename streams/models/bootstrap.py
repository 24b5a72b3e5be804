"""Bootstrap of the years: the 5th and 95th percentile of the expected annual loss.

Window and baseline are drawn independently. The draws of a cell follow from its coordinates
alone, so a rerun, a larger chunk or another risk beside it gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from streams.models.frame import Annual, Risk, has_reason
from streams.models.inputs import Array, CellInputs

DRAWS = 200
"""Resamples of the years per cell; expert assumption (Efron and Tibshirani 1993 take 50-200 for spreads)."""

PERCENTILES = (5.0, 95.0)
"""Percentiles of AAL that are reported [%]; METHODS, section 1."""

BLOCK_ROWS = 1600
"""Rows (cells x draws) that one estimate takes at a time, which bounds memory to tens of MB."""

WINDOW_STREAM, BASELINE_STREAM = 1, 2

MICRODEGREE = 1e6
"""Coordinates are told apart to this part of a degree [1/degree]; numeric(10,6) of the result tables."""


def aal_interval(
    inputs: CellInputs, risk: Risk, annual: Annual, edges: Array, damage: Array
) -> tuple[Array, Array]:
    """5th and 95th percentile of AAL, each (cells,); NaN where the cell has no number.

    NaN everywhere where the baseline's years both cut the bins and are the window's own: drawn
    independently they would show a spread that the estimate cannot have.
    """
    empty = np.full(len(annual.window), np.nan)
    if risk.baseline_edges and inputs.window == inputs.baseline:
        return empty, empty.copy()
    cells = np.flatnonzero(~has_reason(annual.reason))
    aal = np.full((len(annual.window), DRAWS), np.nan)
    seeds = coordinate_seeds(inputs.latitude, inputs.longitude)
    step = max(1, BLOCK_ROWS // DRAWS)
    for block in np.split(cells, range(step, len(cells), step)):
        drawn = _resampled(annual, block, seeds[block])
        probability = risk.estimate(inputs, drawn, edges).probability
        aal[block] = (probability * damage).sum(axis=1).reshape(len(block), DRAWS)
    low, high = _percentiles(aal)
    return low, high


def _percentiles(aal: Array) -> Array:
    known = ~np.isnan(aal).all(axis=1)
    found = np.full((len(PERCENTILES), len(aal)), np.nan)
    if known.any():
        found[:, known] = np.nanpercentile(aal[known], PERCENTILES, axis=1)
    return found


def _resampled(annual: Annual, cells: NDArray[np.int64], seeds: NDArray[np.uint64]) -> Annual:
    """The annual quantities of `cells` with redrawn years, DRAWS consecutive rows per cell."""
    rows = np.repeat(cells, DRAWS)
    baseline = annual.baseline
    return replace(
        annual,
        window=_redrawn(annual.window[cells], seeds, WINDOW_STREAM),
        baseline=None if baseline is None else _redrawn(baseline[cells], seeds, BASELINE_STREAM),
        constants=_rows_of(annual.constants, rows),
        reason=annual.reason[rows],
        basis=annual.basis[rows],
    )


def _rows_of(constants: Mapping[str, Array], rows: NDArray[np.int64]) -> dict[str, Array]:
    return {name: values[rows] for name, values in constants.items()}


def _redrawn(values: Array, seeds: NDArray[np.uint64], stream: int) -> Array:
    """(cells * DRAWS, years): each row as many of the cell's valid years, with replacement, as it has."""
    cells, years = values.shape
    missing = np.isnan(values)
    valid_first = np.take_along_axis(values, np.argsort(missing, axis=1, kind="stable"), axis=1)
    valid = years - np.count_nonzero(missing, axis=1)
    share = uniform(seeds, stream, DRAWS * years).reshape(cells, DRAWS, years)
    chosen = (share * valid[:, None, None]).astype(np.int64)
    drawn = np.take_along_axis(valid_first[:, None, :], chosen, axis=2)
    drawn[np.broadcast_to(np.arange(years) >= valid[:, None, None], drawn.shape)] = np.nan
    return drawn.reshape(cells * DRAWS, years)


def coordinate_seeds(latitude: Array, longitude: Array) -> NDArray[np.uint64]:
    """One seed per cell, from its coordinates to the microdegree, (cells,)."""
    north = np.round(latitude * MICRODEGREE).astype(np.int64).astype(np.uint64)
    east = np.round(longitude * MICRODEGREE).astype(np.int64).astype(np.uint64)
    return _mixed(_mixed(north) ^ east)


def uniform(seeds: NDArray[np.uint64], stream: int, count: int) -> Array:
    """`count` numbers in [0, 1) per seed, (seeds, count), the same for the same seed and stream.

    SplitMix64 as a counter-based generator: every number is drawn by itself, so whole chunks are
    drawn at once without a generator per cell. Source: Steele, Lea and Flood (2014), figure 17.
    """
    start = _mixed(_mixed(seeds) + np.uint64(stream))
    steps = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    bits = _mixed(start[:, None] + steps)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
