"""Assess a chunk so that a cell that makes a model fail fails alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from streams.models.assess import assess_risk
from streams.models.frame import Assessment, Risk
from streams.models.inputs import AnnualSeries, CellInputs, MonthlySeries, YearTable
from streams.models.tables import RiskTables

MESSAGE_CHARACTERS = 200
"""Length at which an exception's message is cut, so that no array is printed (expert assumption)."""

Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one risk says of a chunk.

    `assessment` is that of the cells at `places`, in this order; None where no cell could be assessed.
    `failures` tells of each other cell why not.
    """

    risk: Risk
    assessment: Assessment | None
    places: Places
    failures: Mapping[int, str]


def assess_apart(
    inputs: CellInputs, risk: Risk, tables: RiskTables, *, uncertainty: bool, unreadable: Mapping[int, str]
) -> Outcome:
    """Assess one risk of all cells; the cells that make it raise are found by bisection and left out.

    Args:
        inputs: Of the whole chunk.
        risk: The risk.
        tables: Edges and damage rates in use.
        uncertainty: Whether the percentiles of the AAL are asked for.
        unreadable: By place, cells whose inputs for this risk could not be read, and why.
    """
    failures = dict(unreadable)
    places = np.setdiff1d(np.arange(len(inputs.latitude)), list(failures))
    assessment = None
    while len(places) and assessment is None:
        try:
            assessment = assess_risk(take(inputs, places), risk, tables, uncertainty=uncertainty)
        except Exception as error:  # noqa: BLE001 - whatever a model raises is the fault of some cell
            # Cells may fail only in company; then the whole failed although every half passed.
            culprits = _culprits(inputs, risk, tables, places, uncertainty=uncertainty) or {
                int(place): _sentence(error) for place in places
            }
            failures |= culprits
            places = np.setdiff1d(places, list(culprits))
    return Outcome(risk, assessment, places, failures)


def _culprits(
    inputs: CellInputs, risk: Risk, tables: RiskTables, places: Places, *, uncertainty: bool
) -> dict[int, str]:
    """The cells among `places` that fail alone, and why."""
    try:
        assess_risk(take(inputs, places), risk, tables, uncertainty=uncertainty)
    except Exception as error:  # noqa: BLE001 - as above
        if len(places) == 1:
            return {int(places[0]): _sentence(error)}
        half = len(places) // 2
        return _culprits(inputs, risk, tables, places[:half], uncertainty=uncertainty) | _culprits(
            inputs, risk, tables, places[half:], uncertainty=uncertainty
        )
    return {}


def _sentence(error: Exception) -> str:
    message = (str(error).splitlines() or [""])[0][:MESSAGE_CHARACTERS]
    return f"{type(error).__name__}: {message}".removesuffix(": ")


def take(inputs: CellInputs, places: Places) -> CellInputs:
    """The inputs of some of the cells; all of them as they are."""
    if len(places) == len(inputs.latitude):
        return inputs
    return replace(
        inputs,
        latitude=inputs.latitude[places],
        longitude=inputs.longitude[places],
        baseline_months=_months(inputs.baseline_months, places),
        months=_months(inputs.months, places),
        baseline_indices=_indices(inputs.baseline_indices, places),
        indices=_indices(inputs.indices, places),
        site={name: values[places] for name, values in inputs.site.items()},
        land_cover=inputs.land_cover[places],
        sea_level={name: values[places] for name, values in inputs.sea_level.items()},
        sea_level_rise=_rise(inputs.sea_level_rise, places),
        basin={name: values[places] for name, values in inputs.basin.items()},
    )


def _months(series: MonthlySeries, places: Places) -> MonthlySeries:
    return MonthlySeries(series.first_year, {name: values[places] for name, values in series.values.items()})


def _indices(series: AnnualSeries, places: Places) -> AnnualSeries:
    return AnnualSeries(series.first_year, {name: values[places] for name, values in series.values.items()})


def _rise(table: YearTable | None, places: Places) -> YearTable | None:
    return table if table is None else YearTable(table.years, table.values[places])
