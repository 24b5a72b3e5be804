"""Layers taken together: whether they fit, and their values tile by tile."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from ops.load.columns import DAILY, MONTHLY, Column
from ops.load.fields import EPOCH
from ops.load.grid import Layer
from ops.load.options import Progress
from schemas.errors import InvalidFile
from streams.models.inputs import HISTORICAL, Array

TILE_BYTES = 48 << 20
"""Values read at a time; files whose chunks span the grid are decompressed once per tile."""

Cells = NDArray[np.int64]
"""Numbers of cells in the order of the grid."""


def check_layers(layers: Sequence[Layer]) -> None:
    """One grid, one step, every scenario with the same variables, no time twice.

    Raises:
        InvalidFile: Says which two files do not fit, or which variable is missing.
    """
    first = layers[0]
    times: defaultdict[tuple[str, str], dict[int, Layer]] = defaultdict(dict)
    for layer in layers:
        if layer.step != first.step:
            raise InvalidFile(
                f"{layer.file} is {layer.step}, {first.file} {first.step}; load them one after the other"
            )
        if not _same_grid(layer, first):
            raise InvalidFile(
                f"{layer.file} and {first.file} have different cells; load them one after the other"
            )
        known = times[layer.scenario, column_of(layer).name]
        again = [time for time in layer.times.tolist() if time in known]
        if again or len(set(layer.times.tolist())) < len(layer.times):
            other = known[again[0]].file if again else layer.file
            raise InvalidFile(
                f"{layer.file} and {other} both hold {layer.name} for {when(layer, (again or [0])[0])}"
            )
        known |= dict.fromkeys(layer.times.tolist(), layer)
    names = {scenario: {name for other, name in times if other == scenario} for scenario, _ in times}
    for scenario, found in names.items():
        _check_variables(scenario, found, names[first.scenario], daily=first.step == "daily")


def _check_variables(scenario: str, found: set[str], others: set[str], *, daily: bool) -> None:
    if daily:
        lacking = [
            each
            for each, column in (("tasmax", "tmax"), ("tasmin", "tmin"), ("pr", "precip"))
            if column not in found
        ]
        if lacking:
            raise InvalidFile(
                f"{scenario}: no {', '.join(lacking)}; daily NetCDF needs tasmax, tasmin and pr"
            )
    elif "ta" not in found and not {"tamax", "tamin"} <= found:
        raise InvalidFile(f"{scenario}: no tas; monthly NetCDF needs tas, or tasmax and tasmin")
    if found != others:
        raise InvalidFile(
            f"{scenario} has other variables ({', '.join(sorted(found ^ others))}); "
            "load the scenarios one after the other"
        )


def _same_grid(one: Layer, other: Layer) -> bool:
    return (
        one.shape == other.shape
        and np.array_equal(one.latitude, other.latitude)
        and np.array_equal(one.longitude, other.longitude)
    )


def column_of(layer: Layer) -> Column:
    """The column of the CSV that a layer stands for."""
    sheet = DAILY if layer.step == "daily" else MONTHLY
    return sheet.column(layer.column or "")


def tiles(layers: Sequence[Layer], progress: Progress) -> Iterator[tuple[Cells, dict[Layer, Array]]]:
    """Numbers of some cells, and every layer's values of them, (cells, times)."""
    rows, columns = layers[0].shape
    numbers = np.arange(rows * columns).reshape(rows, columns)
    cells = max(TILE_BYTES // (8 * sum(len(layer.times) for layer in layers)), 1)
    wide, high = min(columns, cells), max(cells // columns, 1)
    for top in range(0, rows, high):
        for left in range(0, columns, wide):
            part = slice(top, top + high), slice(left, left + wide)
            progress("reading NetCDF", numbers[top, left] / numbers.size)
            yield numbers[part].ravel(), {layer: layer.read(*part) for layer in layers}


def scenarios(layers: Sequence[Layer]) -> list[str]:
    """Scenarios of the layers, `historical` first: the others look back on it."""
    return sorted({layer.scenario for layer in layers}, key=lambda name: (name != HISTORICAL, name))


def first_time(layers: Sequence[Layer]) -> int:
    """Their earliest day or month."""
    return min(int(layer.times.min()) for layer in layers)


def last_time(layers: Sequence[Layer]) -> int:
    """Their latest day or month."""
    return max(int(layer.times.max()) for layer in layers)


def when(layer: Layer, time: int) -> str:
    """A day or month for sentences."""
    if layer.step == "daily":
        return date.fromordinal(time + EPOCH).isoformat()
    return f"{time // 12}-{time % 12 + 1:02}"
