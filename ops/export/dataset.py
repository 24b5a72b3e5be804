"""Rows as an xarray dataset that follows the CF conventions 1.11; brings xarray.

Risks are a dimension, so that they can be compared. Edges of bins are in the unit of their risk and
so a variable per risk; where each cell has its own, they have the dimensions of the cells too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ops.export.columns import Axes, Column, axes
from ops.export.flags import hazard_levels, texts
from ops.export.risk_names import RiskName
from ops.export.rows import Outline
from schemas.messages import Window
from streams.models.inputs import Array

EPOCH = date(1850, 1, 1)
"""Day from which the time of the window counts."""

UNITS = {"days": "day", "standard deviations": "1", "ratio": "1", "m/s": "m s-1"}
"""Units of intensities as UDUNITS writes them, where it does not know riskflow's word."""

NUMBERS = {
    "aal": "expected annual loss as a share of asset value",
    "aal_p05": "expected annual loss as a share of asset value, 5th percentile of resampled years",
    "aal_p95": "expected annual loss as a share of asset value, 95th percentile of resampled years",
    "hazard_score": "hazard score, comparable between cells of one risk only",
}
"""Numbers of each risk and cell and their long names; all are shares."""

Variable = tuple[tuple[str, ...], NDArray[Any], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Layout:
    """Places of the rows in arrays over risk, bin and cells."""

    risks: tuple[str, ...]
    bins: int
    axes: Axes
    risk: NDArray[np.int64]

    def spread(self, values: Column, fill: Any = np.nan) -> NDArray[Any]:
        """A column over (risk, cells); `fill` where there is no row."""
        cells = int(np.prod(self.axes.shape))
        block = np.full((len(self.risks), cells), fill, dtype=values.dtype)
        block[self.risk, self.axes.place] = values
        return block

    def shaped(self, block: NDArray[Any]) -> NDArray[Any]:
        """An array whose last axis is the cells, with the dimensions of the cells."""
        return block.reshape(*block.shape[:-1], *self.axes.shape)


def dataset(
    found: Outline, columns: Mapping[str, Column], risks: Mapping[str, RiskName], window: Window
) -> xr.Dataset:
    """Everything but the attributes of the whole; times and missing values are encoded.

    Args:
        found: Risks and number of bins.
        columns: The rows, sorted by latitude and longitude.
        risks: What is known of each risk.
        window: Years of the results.
    """
    place = axes(columns)
    names = tuple(sorted(found.risks, key=lambda name: (risks[name].position, name)))
    index = {name: number for number, name in enumerate(names)}
    of_row = np.array([index[name] for name in columns["risk_type"]], dtype=np.int64)
    layout = Layout(names, found.bins, place, of_row)
    variables = _numbers(layout, columns)
    variables |= _of_bins(layout, columns, risks) if found.bins else {}
    dims = ("risk", *place.dims)
    for name, column, about in (
        ("reason", columns["reason"], "why there is no expected annual loss"),
        ("hazard_reason", columns["hazard_reason"], "why there is no hazard score"),
        ("basis", columns["basis"], "what the number rests on"),
    ):
        variables |= texts(name, layout.shaped(layout.spread(column, fill=np.nan)), dims, about)
    levels = layout.shaped(layout.spread(columns["hazard_level"], fill=None))
    variables["hazard_level"] = hazard_levels(levels, dims)
    return xr.Dataset(variables, coords=_coordinates(layout, window))


def _numbers(layout: Layout, columns: Mapping[str, Column]) -> dict[str, Variable]:
    dims = ("risk", *layout.axes.dims)
    found: dict[str, Variable] = {}
    for name, long_name in NUMBERS.items():
        attributes = {"long_name": long_name, "units": "1"}
        attributes |= {"cell_methods": "time: mean"} if name.startswith("aal") else {}
        attributes |= {"ancillary_variables": "hazard_reason hazard_level"} if name == "hazard_score" else {}
        attributes |= {"ancillary_variables": "reason basis"} if name == "aal" else {}
        found[name] = (dims, layout.shaped(layout.spread(columns[name])), attributes)
    return found


def _of_bins(
    layout: Layout, columns: Mapping[str, Column], risks: Mapping[str, RiskName]
) -> dict[str, Variable]:
    probability, rates = (_stacked(layout, columns, name) for name in ("probability", "damage_rate"))
    dims = ("risk", "bin", *layout.axes.dims)
    found: dict[str, Variable] = {
        "bin_probability": (
            dims,
            layout.shaped(probability),
            {"long_name": "probability that a year falls into the bin", "units": "1"},
        )
    }
    about = {"long_name": "share of asset value lost in a year of the bin", "units": "1"}
    shared = _shared(rates)
    found["bin_damage_rate"] = (
        (dims, layout.shaped(rates), about) if shared is None else (dims[:2], shared, about)
    )
    edges = np.stack([_stacked(layout, columns, name) for name in ("lower", "upper")], axis=2)
    for number, name in enumerate(layout.risks):
        found |= _edges(layout, columns, number, risks[name], edges[number], probability[number])
    return found


def _edges(  # noqa: PLR0913, PLR0917 - the arrays of one risk
    layout: Layout,
    columns: Mapping[str, Column],
    number: int,
    risk: RiskName,
    edges: Array,
    probability: Array,
) -> dict[str, Variable]:
    """Edges of one risk, (bin, bounds) or (bin, bounds, cells): open ends are infinite, absent bins NaN."""
    known = ~np.isnan(probability)
    if not known.any():
        return {}
    below, above = np.isnan(edges[:, 0]) & known, np.isnan(edges[:, 1]) & known
    edges[:, 0][below], edges[:, 1][above] = -np.inf, np.inf
    unit = next(unit for unit in columns["bin_unit"][layout.risk == number] if unit is not None)
    about = {
        "long_name": f"lower and upper edge of the bins of {risk.name}: {risk.intensity}",
        "units": UNITS.get(unit, unit),
    }
    dims, shared = ("bin", "bounds"), _shared(edges)
    if shared is not None:
        return {f"{risk.name}_bin_edges": (dims, shared, about)}
    return {f"{risk.name}_bin_edges": ((*dims, *layout.axes.dims), layout.shaped(edges), about)}


def _stacked(layout: Layout, columns: Mapping[str, Column], name: str) -> Array:
    """A column of every bin over (risk, bin, cells)."""
    bins = [layout.spread(columns[f"bin{number}_{name}"]) for number in range(1, layout.bins + 1)]
    return np.stack(bins, axis=1)


def _shared(values: Array) -> Array | None:
    """What all cells, the last axis, have in common where they differ in being missing only; else None."""
    some = np.where(np.isnan(values), -np.inf, values).max(axis=-1)
    missing = np.isnan(values).all(axis=-1)
    same = np.isnan(values) | (values == some[..., None])
    return np.where(missing, np.nan, some) if same.all() else None


def _coordinates(layout: Layout, window: Window) -> dict[str, Any]:
    first = (date(window.start, 1, 1) - EPOCH).days
    last = (date(window.end + 1, 1, 1) - EPOCH).days
    found: dict[str, Any] = {
        # Under the dimension's own name CF has numbers only; see ops.export.frames for the index.
        "risk_type": ("risk", np.array(layout.risks, dtype=object), {"long_name": "risk"}),
        "time": (
            (),
            (first + last) / 2,
            {
                "standard_name": "time",
                "long_name": "middle of the window",
                "axis": "T",
                "units": f"days since {EPOCH}",
                "units_metadata": "leap_seconds: none",
                "calendar": "standard",
                "bounds": "time_bnds",
            },
        ),
        "time_bnds": ("bounds", np.array([first, last], dtype=float)),
        **_places(layout.axes),
    }
    if layout.bins:
        about = {"long_name": "number of the bin, 1 is the mildest", "units": "1"}
        found["bin"] = ("bin", np.arange(1, layout.bins + 1, dtype=np.int32), about)
    return found


def _places(place: Axes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, values, unit, axis in (
        ("latitude", place.latitude, "degrees_north", "Y"),
        ("longitude", place.longitude, "degrees_east", "X"),
    ):
        attributes = {"standard_name": name, "long_name": name, "units": unit}
        if place.step is None:
            found[name] = ("cell", values, attributes)
            continue
        half = place.step[name == "longitude"] / 2
        found[name] = (name, values, attributes | {"axis": axis, "bounds": f"{name}_bnds"})
        bounds = np.stack([values - half, values + half], axis=1)
        found[f"{name}_bnds"] = ((name, "bounds"), bounds)
    return found
