"""The common frame of the nine risks: what a risk is, what it gives, how many years it needs.

Source: METHODS, section 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streams.models.inputs import AnnualSeries, Array, CellInputs, Labels, Years

MIN_YEARS = 20
"""Valid years a window and a baseline need [years]; METHODS, section 1."""


@dataclass(frozen=True, slots=True)
class Annual:
    """The yearly quantities of one risk: what the bootstrap draws from.

    An estimate reads what belongs to a cell from here alone, never from the inputs' arrays: under
    the bootstrap the rows are draws stacked along the cells axis, and only the scalars of the
    inputs (scenario, window, baseline) still hold.

    Attributes:
        window: Yearly values, (cells, years of the window); NaN missing.
        baseline: Yearly values, (cells, years of the baseline); None where the risk needs none.
        constants: Per cell, (cells,) or (cells, k): site attributes, GEV of the station, ...
        reason: (cells,) None, or why there can be no number.
        basis: (cells,) short words on what the numbers rest on ("fwi: drawn"), or None.
    """

    window: Array
    baseline: Array | None
    constants: Mapping[str, Array]
    reason: Labels
    basis: Labels


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bin probabilities of one risk and what they came from.

    Attributes:
        intensity: (cells, years), the yearly intensity in the risk's unit; NaN missing.
        edges: (cells, bins - 1), in the unit of the estimator's variable (`Risk.bin_unit`).
        probability: (cells, bins), mildest first; NaN rows where there is no number.
        parameters: Per cell, (cells,) or (cells, k): location, scale, shape, bandwidth, ...
        reason: (cells,) None, or why there is no number.
    """

    intensity: Array
    edges: Array
    probability: Array
    parameters: Mapping[str, Array]
    reason: Labels


@dataclass(frozen=True, slots=True)
class Risk:
    """One row of the table of risks.

    Attributes:
        name: The risk_type.
        title: The name a reader sees.
        intensity: The yearly intensity in words.
        unit: The intensity's unit.
        estimator: gev, shrunk_kde, hurdle or sea_level.
        edges: Bin edges as METHODS prints them, in `edge_unit`.
        damage: Base damage rate per bin, share of asset value.
        inputs: Input groups read: months, indices, site, sea_level, basins, demand, warming, storms.
        annual: Yearly quantities from the inputs.
        estimate: Probabilities from yearly quantities and the edges in use, (bins - 1,).
        susceptibility: Factor on the hazard score, (cells,); 1.0 where unknown.
        edge_unit: Unit of `edges` ("years" for return periods); None: that of the intensity.
        bin_unit: Unit of `Estimate.edges` where the estimator takes another variable than the
            intensity; None: that of the intensity.
        edge_minimum: The least edge that a table may give.
        baseline_edges: Whether the bins are cut by the cell's own baseline.
    """

    name: str
    title: str
    intensity: str
    unit: str
    estimator: str
    edges: tuple[float, ...]
    damage: tuple[float, ...]
    inputs: tuple[str, ...]
    annual: Callable[[CellInputs], Annual]
    estimate: Callable[[CellInputs, Annual, Array], Estimate]
    susceptibility: Callable[[CellInputs], Array]
    edge_unit: str | None = None
    bin_unit: str | None = None
    edge_minimum: float = -np.inf
    baseline_edges: bool = False


@dataclass(frozen=True, slots=True)
class Assessment:
    """All that one risk says of a chunk's cells.

    `intensity`, `edges`, `probability`, `parameters` and `basis` are those of Estimate and Annual;
    `years` (years of the window,) and `damage` (bins,) go with them. `aal`, `aal_p05`, `aal_p95`
    [share of value a year] and `hazard_score` [0-1] are (cells,), NaN where there is no number;
    the two percentiles are None unless asked for. `reason` is None where the cell has a number.
    """

    risk: Risk
    years: NDArray[np.int64]
    intensity: Array
    edges: Array
    probability: Array
    damage: Array
    aal: Array
    aal_p05: Array | None
    aal_p95: Array | None
    hazard_score: Array
    hazard_level: Labels
    parameters: Mapping[str, Array]
    reason: Labels
    basis: Labels


def no_labels(cells: int) -> Labels:
    """None for each of `cells` cells, shape (cells,)."""
    return np.full(cells, None, dtype=object)


def label_where(mask: NDArray[np.bool_], label: str) -> Labels:
    """`label` where the mask holds, else None; shape of the mask."""
    labels = np.full(mask.shape, None, dtype=object)
    labels[mask] = label
    return labels


def has_reason(reason: Labels) -> NDArray[np.bool_]:
    """Which cells have a reason, (cells,)."""
    return reason.astype(bool)


def first_reason(*reasons: Labels) -> Labels:
    """The first reason that each cell has among `reasons`, each (cells,); None where it has none."""
    found = reasons[0].copy()
    for reason in reasons[1:]:
        found = np.where(has_reason(found), found, reason)
    return found


def window_reason(values: Array, quantity: str) -> Labels:
    """Why the window's `values`, (cells, years), do not carry an estimate; None where they do.

    `no_data: <quantity>` without a single valid year, `too_short: n of N years` below MIN_YEARS.
    """
    reason = _short(values, "too_short: {valid} of {years} years")
    reason[np.isnan(values).all(axis=1)] = f"no_data: {quantity}"
    return reason


def baseline_reason(values: Array) -> Labels:
    """`too_short: baseline n of N` where fewer than MIN_YEARS of `values`, (cells, years), are valid."""
    return _short(values, "too_short: baseline {valid} of {years}")


def _short(values: Array, sentence: str) -> Labels:
    valid = np.count_nonzero(~np.isnan(values), axis=1)
    reason = no_labels(len(values))
    for count in np.unique(valid[valid < MIN_YEARS]):
        reason[valid == count] = sentence.format(valid=count, years=values.shape[1])
    return reason


def blank(values: Array, reason: Labels) -> Array:
    """`values`, (cells, ...), with NaN in the rows of the cells that have a reason, (cells,)."""
    blanked = values.copy()
    blanked[has_reason(reason)] = np.nan
    return blanked


def annual_index(series: AnnualSeries, index: str, years: Years) -> Array:
    """One annual index over `years`, shape (cells, len(years)); NaN where the series does not reach."""
    values = series.values[index]
    found = np.full((len(values), len(years)), np.nan)
    start = max(years.start, series.first_year)
    stop = min(years.end + 1, series.first_year + values.shape[1])
    if start < stop:
        found[:, start - years.start : stop - years.start] = values[
            :, start - series.first_year : stop - series.first_year
        ]
    return found


def site_number(inputs: CellInputs, attribute: str) -> Array:
    """A numeric site attribute, (cells,); NaN where unknown."""
    unknown = np.full(len(inputs.latitude), np.nan)
    return inputs.site.get(attribute, unknown)


def no_susceptibility(inputs: CellInputs) -> Array:
    """1.0 for every cell: the risk's score does not depend on the site."""
    return np.ones(len(inputs.latitude))
