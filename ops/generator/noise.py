"""Gaussian noise that belongs to a place and a year, whatever block or window asks for it.

A place's stream is Philox, a generator with a counter, keyed by BLAKE2; a year starts at a fixed
count of it. Most of what neighbours see comes from streams on a coarse lattice, so that weather is
alike within a few hundred kilometres.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from ops.generator.cells import Cells
from streams.models.inputs import Array, Years

LATTICE = 2.0
"""Spacing of the shared streams [degrees]; expert assumption."""

SHARED = 0.8
"""Share of the variance that comes from the lattice; expert assumption."""

_PHILOX_WORDS = 4


def field(name: str, seed: int, cells: Cells, years: Years, shape: tuple[int, int]) -> Array:
    """Standard normal noise of places and years.

    Args:
        name: What the noise is for; another name gives independent noise.
        seed: The generator's seed.
        cells: The places.
        years: Calendar years, from year 0 on.
        shape: (variables, slots of a year).

    Returns:
        (variables, cells, years * slots); the same for a place and year in every call.
    """
    noise: Array = np.sqrt(1 - SHARED) * _streams(f"{name},cell", seed, cells, years, shape)
    nodes, corner, weight = _lattice(cells.latitude, cells.longitude)
    shared = np.sqrt(SHARED) * _streams(f"{name},node", seed, nodes, years, shape)
    for each in range(corner.shape[1]):
        noise += weight[:, each, None] * shared[:, corner[:, each]]
    return noise


def smooth(noise: Array, memory: float, lead: int) -> Array:
    """Noise with the memory of a first-order autoregression, cut off after `lead` steps.

    Args:
        noise: (..., lead + steps), independent standard normal.
        memory: Correlation of one step to the next, in 0..1.
        lead: Steps before the first one wanted.

    Returns:
        (..., steps), standard normal.
    """
    steps = noise.shape[-1] - lead
    weights = memory ** np.arange(lead + 1)
    weights /= np.sqrt(np.sum(weights**2))
    total: Array = weights[0] * noise[..., lead:]
    for lag in range(1, lead + 1):
        total += weights[lag] * noise[..., lead - lag : lead - lag + steps]
    return total


def _streams(name: str, seed: int, cells: Cells, years: Years, shape: tuple[int, int]) -> Array:
    variables, slots = shape
    per_year = variables * slots
    count = len(years) * per_year
    raw = np.empty((len(cells), count), dtype=np.uint64)
    for row, (north, east) in enumerate(zip(cells.latitude.tolist(), cells.longitude.tolist(), strict=True)):
        raw[row] = words(f"{name},{seed},{north:.6f},{east:.6f}", years.start * per_year, count)
    # The upper 52 bits, centred: a double holds them whole, so never 0 and never 1.
    normal = ndtri(((raw >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52)
    by_variable = normal.reshape(len(cells), len(years), variables, slots).transpose(2, 0, 1, 3)
    return by_variable.reshape(variables, len(cells), len(years) * slots)


def words(label: str, first: int, count: int) -> NDArray[np.uint64]:
    """Random words number `first` to `first + count - 1` of the stream that a label names, (count,)."""
    key = int.from_bytes(blake2b(label.encode(), digest_size=16).digest(), "little")
    words = np.random.Philox(key=key).advance(first // _PHILOX_WORDS)
    skip = first % _PHILOX_WORDS
    return words.random_raw(skip + count)[skip:]


def _lattice(latitude: Array, longitude: Array) -> tuple[Cells, NDArray[np.intp], Array]:
    """The lattice points around each cell, indices (cells, 4), weights (cells, 4)."""
    south, west = np.floor(latitude / LATTICE), np.floor(longitude / LATTICE)
    up, right = latitude / LATTICE - south, longitude / LATTICE - west
    corners = np.stack([south, west, south, west + 1, south + 1, west, south + 1, west + 1], axis=1)
    nodes, corner = np.unique(corners.reshape(-1, 2), axis=0, return_inverse=True)
    weight = np.stack([(1 - up) * (1 - right), (1 - up) * right, up * (1 - right), up * right], axis=1)
    weight /= np.sqrt(weight[:, :1] ** 2 + weight[:, 1:2] ** 2 + weight[:, 2:3] ** 2 + weight[:, 3:] ** 2)
    nodes = nodes * LATTICE + 0.0  # minus zero would name another stream
    return Cells(nodes[:, 0], nodes[:, 1]), corner.reshape(latitude.size, 4), weight
