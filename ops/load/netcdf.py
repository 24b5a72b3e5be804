"""CF NetCDF files, daily or monthly, in blocks of cells, on the same way as the CSV files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import asyncpg
import numpy as np
from numpy.typing import NDArray

from ops.load import climate
from ops.load.findings import Findings
from ops.load.grid import Layer, open_layers
from ops.load.layers import Cells, check_layers, column_of, first_time, last_time, scenarios, tiles, when
from ops.load.options import Loaded, LoadOptions
from ops.load.weather import VARIABLES, CellDays, WeatherStore, first_day, year_of
from schemas.errors import InvalidFile
from streams.models.dates import month_lengths
from streams.models.inputs import MONTHLY_VARIABLES, Array, Years

BLOCK_DAYS = 120_000
"""Days computed at a time, as for the daily CSV."""

NOISE = 1e-3
"""A value this little outside its range is at its bound: packed and regridded files carry such noise
(expert assumption)."""


async def load_netcdf(
    files: Sequence[Path], connection: asyncpg.Connection, options: LoadOptions, findings: Findings
) -> Loaded:
    """Read the files tile by tile, compute and stage, merge, pack."""
    await climate.prepare(connection)
    with ExitStack() as opened:
        layers = _wanted(list(open_layers(list(files), options.scenario, opened)), findings)
        check_layers(layers)
        if layers[0].step == "daily":
            return await _load_days(files, layers, connection, options, findings)
        return await _load_months(files, layers, connection, options, findings)


def _wanted(layers: list[Layer], findings: Findings) -> list[Layer]:
    """The layers that a table has a column for."""
    wanted = [layer for layer in layers if layer.column is not None]
    spare = sorted({f"{layer.name} ({layer.step})" for layer in layers if layer.column is None})
    if not wanted:
        raise InvalidFile(f"{layers[0].file}: nothing is stored of {', '.join(spare)}")
    if spare:
        findings.warnings.append(f"not stored: {', '.join(spare)}")
    return wanted


async def _load_days(
    files: Sequence[Path],
    layers: Sequence[Layer],
    connection: asyncpg.Connection,
    options: LoadOptions,
    findings: Findings,
) -> Loaded:
    carried = {column_of(layer).name for layer in layers}
    store = WeatherStore(connection, options, findings, carried)
    longest = max(last_time(layers) - first_time(layers), 1)
    block = max(BLOCK_DAYS // longest, 1)
    read = 0
    for numbers, values in tiles(layers, options.progress):
        for layer in layers:
            _possible(layer, values[layer], numbers, findings)
        for start in range(0, len(numbers), block):
            part = slice(start, start + block)
            for scenario in scenarios(layers):
                of_scenario = {layer: values[layer][part] for layer in layers if layer.scenario == scenario}
                days = _cell_days(of_scenario, numbers[part])
                _ordered(of_scenario, days, findings)
                if len(days.latitude) and findings.clean:
                    await store.add(days)
                    read += int(days.present.sum())
    findings.settle()
    if not read:
        raise InvalidFile(f"{layers[0].file}: every cell is missing throughout")
    return await store.finish("netcdf", files, read)


def _cell_days(values: dict[Layer, Array], numbers: Cells) -> CellDays:
    """Layers of one scenario on one axis of whole years; cells without any value are left out."""
    layers = list(values)
    years = Years(year_of(first_time(layers)), year_of(last_time(layers)))
    start, end = first_day(years.start), first_day(years.end + 1)
    arrays = {name: np.full((len(numbers), end - start), np.nan) for name in VARIABLES}
    present = np.zeros(end - start, dtype=bool)
    for layer, array in values.items():
        arrays[column_of(layer).name][:, layer.times - start] = array
        present[layer.times - start] = True
    known = _known(arrays)
    return CellDays(
        latitude=layers[0].latitude[numbers[known]],
        longitude=layers[0].longitude[numbers[known]],
        scenario=layers[0].scenario,
        first_year=years.start,
        values={name: array[known] for name, array in arrays.items()},
        present=np.broadcast_to(present, (int(known.sum()), len(present))),
    )


def _ordered(values: dict[Layer, Array], days: CellDays, findings: Findings) -> None:
    """Both temperatures are impossible where the highest lies under the lowest."""
    tmax, tmin = days.values["tmax"], days.values["tmin"]
    wrong = tmax < tmin - NOISE
    if not wrong.any():
        return
    layer = next(layer for layer in values if column_of(layer).name == "tmax")
    start = first_day(days.first_year)

    def told(cell: int, day: int) -> tuple[str, str, str]:
        high, low = f"{tmax[cell, day]:.6g}", f"{tmin[cell, day]:.6g}"
        return (
            _place(days.latitude[cell], days.longitude[cell], when(layer, day + start)),
            high,
            (f"tasmax {high} is lower than tasmin {low} degC"),
        )

    if findings.impossible_values(layer.file, layer.name, np.argwhere(wrong), told):
        tmax[wrong] = tmin[wrong] = np.nan


async def _load_months(
    files: Sequence[Path],
    layers: Sequence[Layer],
    connection: asyncpg.Connection,
    options: LoadOptions,
    findings: Findings,
) -> Loaded:
    carried = {column_of(layer).name for layer in layers} | {"ta"}
    names = [name for name in MONTHLY_VARIABLES if name in carried]
    cells = 0
    for numbers, values in tiles(layers, options.progress):
        for layer in layers:
            _possible(layer, values[layer], numbers, findings)
        seen = np.zeros(len(numbers), dtype=bool)
        for scenario in scenarios(layers):
            of_scenario = {layer: values[layer] for layer in layers if layer.scenario == scenario}
            if findings.clean:
                seen |= await _stage_months(connection, of_scenario, numbers, names)
        cells += int(seen.sum())
    findings.settle()
    if not cells:
        raise InvalidFile(f"{layers[0].file}: every cell is missing throughout")
    months = await climate.merge_months(connection, names)
    return Loaded(
        table="netcdf",
        files=tuple(path.name for path in files),
        read=months.given,
        rows={"climate_data": months.given},
        changed={"climate_data": months.changed},
        cells=cells,
        years=Years(first_time(layers) // 12, last_time(layers) // 12),
    )


async def _stage_months(
    connection: asyncpg.Connection, values: dict[Layer, Array], numbers: Cells, names: Sequence[str]
) -> NDArray[np.bool_]:
    """Stage the months of one scenario and say which cells have any value."""
    layers = list(values)
    first, last = first_time(layers), last_time(layers)
    arrays = {name: np.full((len(numbers), last - first + 1), np.nan) for name in names}
    present = np.zeros(last - first + 1, dtype=bool)
    for layer, array in values.items():
        arrays[column_of(layer).name][:, layer.times - first] = array
        present[layer.times - first] = True
    if not any(layer.quantity.monthly == "ta" for layer in layers):
        # FAO-56, equation 9: the mean temperature is that of the two extremes.
        arrays["ta"] = (arrays["tamax"] + arrays["tamin"]) / 2
    known = _known(arrays)
    cell, month = np.nonzero(known[:, None] & present)
    await climate.stage_months(
        connection,
        layers[0].latitude[numbers[cell]],
        layers[0].longitude[numbers[cell]],
        layers[0].scenario,
        month + first,
        values={name: array[cell, month] for name, array in arrays.items()},
    )
    return known


def _possible(layer: Layer, values: Array, numbers: Cells, findings: Findings) -> None:
    """Bring a layer's values to the column's unit and range, in place; what lies outside is a finding."""
    column = column_of(layer)
    if layer.monthly_rate:
        values *= _month_days(layer.times)
    np.copyto(values, column.low, where=(values < column.low) & (values > column.low - NOISE))
    np.copyto(values, column.high, where=(values > column.high) & (values < column.high + NOISE))
    wrong = (values < column.low) | (values > column.high) | np.isinf(values)
    if not wrong.any():
        return

    def told(cell: int, time: int) -> tuple[str, str, str]:
        where = layer.latitude[numbers[cell]], layer.longitude[numbers[cell]]
        value = f"{values[cell, time]:.6g}"
        return (
            _place(*where, when(layer, int(layer.times[time]))),
            value,
            f"{value} {column.fault}",
        )

    if findings.impossible_values(layer.file, layer.name, np.argwhere(wrong), told):
        values[wrong] = np.nan


def _known(arrays: dict[str, Array]) -> NDArray[np.bool_]:
    """Cells with any value."""
    known = np.zeros(len(next(iter(arrays.values()))), dtype=bool)
    for array in arrays.values():
        known |= ~np.isnan(array).all(axis=1)
    return known


def _month_days(months: NDArray[np.int64]) -> NDArray[np.int64]:
    years = Years(int(months.min()) // 12, int(months.max()) // 12)
    return month_lengths(years)[months - years.start * 12]


def _place(latitude: float, longitude: float, when: str) -> str:
    return f"at {latitude:g}, {longitude:g} in {when}"
