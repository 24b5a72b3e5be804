"""NetCDF files as layers: one variable of one file, its days or months and its cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ops.load.cf import Quantity, conversion, converted, is_rate, recognise
from ops.load.fields import DEGREE_DECIMALS, EPOCH
from schemas.errors import InvalidFile, RiskflowError
from streams.models.inputs import HISTORICAL, Array

Step = Literal["daily", "monthly"]

MISSING_EXTRA = "load netcdf needs more libraries; install them with: pip install 'riskflow[netcdf]'"

REAL_CALENDARS = {"standard", "gregorian", "proleptic_gregorian", "noleap", "365_day"}
"""Calendars all of whose days exist; those without leap days lack a 29 February, which then is missing."""

SCENARIO_ATTRIBUTES = ("scenario", "experiment_id", "driving_experiment_name", "experiment")
"""Global attributes that name the scenario: own files, CMIP6, CORDEX, CMIP5."""

STEPS: Mapping[Step, tuple[float, float]] = {"daily": (0.9, 1.5), "monthly": (27.0, 32.0)}
"""Days between two times."""

FREQUENCIES: Mapping[str, Step] = {"day": "daily", "mon": "monthly"}
"""CMIP's attribute `frequency`, for a file with a single time."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One variable of one file.

    Attributes:
        file, name: For sentences.
        quantity: What it is.
        scenario: Of the file.
        step: Daily or monthly.
        times: Days since 1970-01-01, or months since January of year 0, (times,).
        latitude, longitude: [degrees], rounded, (cells,), the cells in the order of `shape`.
        shape: Cells along the one or two dimensions in space.
        monthly_rate: Whether values are a month's mean rate of precipitation, mm/day.
    """

    file: str
    name: str
    quantity: Quantity
    scenario: str
    step: Step
    times: NDArray[np.int64]
    latitude: Array
    longitude: Array
    shape: tuple[int, int]
    monthly_rate: bool
    _data: Any
    _conversion: tuple[float, float]

    @property
    def column(self) -> str | None:
        """Column of the daily or monthly CSV that this is, None where it has none."""
        return self.quantity.daily if self.step == "daily" else self.quantity.monthly

    def read(self, rows: slice, columns: slice) -> Array:
        """Values of some cells in our unit, (cells, times); NaN where missing."""
        values = np.asarray(self._data[:, rows, columns].values, dtype=np.float64)
        return converted(values.reshape(len(self.times), -1).T, self._conversion)


def open_layers(paths: list[Path], scenario: str | None, files: ExitStack) -> Iterator[Layer]:
    """Layers of NetCDF files; the files stay open until `files` closes.

    Args:
        paths: The files.
        scenario: Of all files; None takes each one's attribute, `historical` where it has none.
        files: Takes the open files.

    Raises:
        InvalidFile: A file is no NetCDF, or its time, place or unit cannot be understood.
        RiskflowError: The extra that reads NetCDF is not installed.
    """
    if find_spec("xarray") is None or find_spec("cftime") is None:
        raise RiskflowError(MISSING_EXTRA)
    import xarray as xr  # noqa: PLC0415 - an extra

    for path in paths:
        try:
            dataset = xr.open_dataset(path, decode_times=False, decode_timedelta=False, cache=False)
        except ImportError as error:
            raise RiskflowError(f"{MISSING_EXTRA} ({error})") from error
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InvalidFile(f"{path.name} cannot be read as NetCDF: {reason}") from error
        files.callback(dataset.close)
        yield from _layers(path.name, dataset, scenario or _scenario(dataset.attrs))


def _scenario(attributes: Mapping[str, Any]) -> str:
    return next((str(attributes[name]) for name in SCENARIO_ATTRIBUTES if attributes.get(name)), HISTORICAL)


def _layers(file: str, dataset: Any, scenario: str) -> Iterator[Layer]:
    found = 0
    for name, variable in dataset.data_vars.items():
        quantity = recognise(str(name), variable.attrs)
        time = next((dataset[dim] for dim in variable.dims if _is_time(dataset, dim)), None)
        if quantity is None or time is None:
            continue
        found += 1
        yield _layer(file, dataset, variable, (quantity, time, scenario))
    if not found:
        present = ", ".join(str(name) for name in dataset.data_vars) or "none"
        raise InvalidFile(
            f"{file}: no variable is known by name or standard_name (tasmax, tasmin, tas, pr, hurs, "
            f"sfcWind, rsds) with a time axis; there are: {present}"
        )


def _is_time(dataset: Any, dim: Any) -> bool:
    return dim in dataset.variables and " since " in str(dataset[dim].attrs.get("units", ""))


def _layer(file: str, dataset: Any, variable: Any, what: tuple[Quantity, Any, str]) -> Layer:
    quantity, time, scenario = what
    place = f"{file}, variable {variable.name}"
    step, times = _times(time, str(dataset.attrs.get("frequency", "")), place)
    latitude, longitude, dims = _cells(dataset, variable, time.dims[0], place)
    unit = str(variable.attrs.get("units", ""))
    data = variable.squeeze(drop=True) if variable.ndim > 1 else variable
    if time.dims[0] not in data.dims:
        data = data.expand_dims(time.dims[0])
    for dim in dims:
        if dim not in data.dims:
            data = data.expand_dims(dim)
    while len(dims) < 2:  # noqa: PLR2004 - a point or a list of stations is a grid of one column
        dims = (*dims, f"_column{len(dims)}")
        data = data.expand_dims(dims[-1])
    data = data.transpose(time.dims[0], *dims)
    return Layer(
        file=file,
        name=str(variable.name),
        quantity=quantity,
        scenario=scenario,
        step=step,
        times=times,
        latitude=latitude,
        longitude=longitude,
        shape=(data.shape[1], data.shape[2]),
        monthly_rate=step == "monthly" and is_rate(quantity, unit),
        _data=data,
        _conversion=conversion(quantity, unit, place),
    )


def _times(time: Any, frequency: str, place: str) -> tuple[Step, NDArray[np.int64]]:
    import cftime  # noqa: PLC0415 - an extra

    calendar = str(time.attrs.get("calendar", "standard")).lower()
    try:
        dates = cftime.num2date(time.values, time.attrs["units"], calendar, only_use_cftime_datetimes=True)
    except ValueError as error:
        raise InvalidFile(f"{place}: the time axis cannot be understood: {error}") from error
    if not len(dates):
        raise InvalidFile(f"{place}: the time axis is empty")
    step = _step(dates, frequency, place)
    if step == "monthly":
        return step, np.array([each.year * 12 + each.month - 1 for each in dates])
    if calendar not in REAL_CALENDARS:
        raise InvalidFile(
            f"{place}: daily values in the calendar {calendar}, which has other days than real years; "
            f"convert it first (allowed: {', '.join(sorted(REAL_CALENDARS))})"
        )
    return step, np.array([date(each.year, each.month, each.day).toordinal() - EPOCH for each in dates])


def _step(dates: Any, frequency: str, place: str) -> Step:
    if len(dates) == 1:
        if frequency in FREQUENCIES:
            return FREQUENCIES[frequency]
        raise InvalidFile(f"{place}: one time only, and no attribute frequency (day, mon) says what it is")
    days = float(np.median([gap.total_seconds() for gap in np.diff(dates)])) / 86_400
    for step, (low, high) in STEPS.items():
        if low <= days <= high:
            return step
    raise InvalidFile(f"{place}: the times lie {days:g} days apart; daily and monthly values are read")


def _cells(dataset: Any, variable: Any, time: Any, place: str) -> tuple[Array, Array, tuple[Any, ...]]:
    """Coordinates of the cells, flat, and the dimensions in space that they follow."""
    latitude, longitude = (_coordinate(dataset, variable, name, place) for name in ("latitude", "longitude"))
    dims: tuple[Any, ...] = latitude.dims
    if latitude.dims == longitude.dims:
        north, east = latitude.values, longitude.values
    else:
        dims = (*latitude.dims, *longitude.dims)
        north, east = np.meshgrid(latitude.values, longitude.values, indexing="ij")
    others = [dim for dim in variable.dims if dim not in (time, *dims) and variable.sizes[dim] > 1]
    if others or len(dims) > 2:  # noqa: PLR2004 - a grid
        names = ", ".join(f"{dim} ({dataset.sizes[dim]})" for dim in others or dims)
        raise InvalidFile(
            f"{place}: dimensions besides time, latitude and longitude: {names}; choose one level"
        )
    return _rounded(north), _rounded(east), dims


def _coordinate(dataset: Any, variable: Any, name: str, place: str) -> Any:
    for candidate in (*variable.coords, *dataset.variables):
        found = dataset[candidate]
        if (found.attrs.get("standard_name") == name or candidate in {name, name[:3]}) and set(
            found.dims
        ) <= set(variable.dims):
            return found
    raise InvalidFile(f"{place}: there is no coordinate {name} (by standard_name, {name} or {name[:3]})")


def _rounded(degrees: Any) -> Array:
    values = np.asarray(degrees, dtype=np.float64).ravel()
    # Coordinates kept as float32 carry noise in the sixth decimal: 37.549999 is 37.55.
    if np.asarray(degrees).dtype == np.float32:
        values = np.array([float(str(np.float32(value))) for value in values])
    return np.round(values, DEGREE_DECIMALS) + 0.0
