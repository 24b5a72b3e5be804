"""What a chunk's assessments say, as the messages that the sink reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.messages import (
    HazardColumns,
    HazardResult,
    Kind,
    ProbabilityColumns,
    ProbabilityResult,
    Window,
)
from streams.isolation import Outcome, Places
from streams.models.frame import Risk
from streams.models.inputs import Array
from streams.models.tables import RiskTables

MAX_RESULT_BYTES = 700_000
"""Largest value of a result [bytes]; DESIGN, section 2."""

FAILED = "failed: "
"""Beginning of a reason that is a model's failure and not a lack of data."""

NOT_FINITE = "the model gave no finite number and no reason"
"""Failure of a cell that would else say nothing at all."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose results these are: what every result message of a chunk repeats."""

    job_id: str
    job_seq: int
    chunk_id: str
    chunk: int
    scenario: str
    window: Window
    cells: Sequence[tuple[float, float]]


def result(
    kind: Kind, origin: Origin, outcomes: Iterable[Outcome], tables: RiskTables
) -> ProbabilityResult | HazardResult:
    """The message of one kind, all risks of the chunk inside."""
    head = _head(origin, tables)
    cells = len(origin.cells)
    if kind == "probability":
        return ProbabilityResult(
            **head, risks=[probability_columns(outcome, cells, tables) for outcome in outcomes]
        )
    return HazardResult(**head, risks=[hazard_columns(outcome, cells) for outcome in outcomes])


def failed_chunk(
    kind: Kind, origin: Origin, failure: str, tables: RiskTables
) -> ProbabilityResult | HazardResult:
    """The message of a chunk that could not be computed at all."""
    head = _head(origin, tables) | {"failure": failure, "risks": []}
    return ProbabilityResult(**head) if kind == "probability" else HazardResult(**head)


def probability_columns(outcome: Outcome, cells: int, tables: RiskTables) -> ProbabilityColumns:
    """Probabilities of one risk, a value per cell; edges per cell where each cell has its own."""
    risk, assessment = outcome.risk, outcome.assessment
    own = own_edges(risk)
    values: dict[str, Array] = {}
    if assessment is not None:
        values = {"probability": _shares(assessment.probability), "aal": _shares(assessment.aal)}
        values |= {"cell_edges": assessment.edges} if own else {}
    percentiles: dict[str, Array] = {}
    if assessment is not None and assessment.aal_p05 is not None and assessment.aal_p95 is not None:
        percentiles = {"aal_p05": _shares(assessment.aal_p05), "aal_p95": _shares(assessment.aal_p95)}
    bins = tables.bins(risk)
    return ProbabilityColumns(
        risk_type=risk.name,
        unit=risk.bin_unit or risk.unit,
        edges=None if own else list(bins.edges),
        base_damage_rate=list(bins.damage),
        **_columns(outcome, cells, ("probability", "aal", *(["cell_edges"] if own else [])), values),
        **_columns(outcome, cells, tuple(percentiles), percentiles),
        **_said(outcome, cells, list(values.values())),
    )


def hazard_columns(outcome: Outcome, cells: int) -> HazardColumns:
    """Hazard scores of one risk, a value per cell."""
    level: list[Any] = [None] * cells
    values: dict[str, Array] = {}
    if outcome.assessment is not None:
        level = _scattered(outcome.assessment.hazard_level.tolist(), outcome.places, cells)
        values = {"hazard_score": _shares(outcome.assessment.hazard_score)}
    return HazardColumns(
        risk_type=outcome.risk.name,
        hazard_level=level,
        **_columns(outcome, cells, ("hazard_score",), values),
        **_said(outcome, cells, list(values.values())),
    )


def own_edges(risk: Risk) -> bool:
    """Whether each cell has bin edges of its own."""
    return risk.baseline_edges or risk.bin_unit is not None


def _head(origin: Origin, tables: RiskTables) -> dict[str, Any]:
    return {
        "job_id": origin.job_id,
        "job_seq": origin.job_seq,
        "chunk_id": origin.chunk_id,
        "chunk": origin.chunk,
        "scenario": origin.scenario,
        "window": origin.window,
        "cells": list(origin.cells),
        "risk_table": tables.name,
    }


def _columns(
    outcome: Outcome, cells: int, names: Sequence[str], values: Mapping[str, Array]
) -> dict[str, list[Any]]:
    """Named columns of the message, all None where nothing could be assessed."""
    return {
        name: _scattered(_listed(values[name]), outcome.places, cells) if name in values else [None] * cells
        for name in names
    }


def _said(outcome: Outcome, cells: int, values: Sequence[Array]) -> dict[str, list[str | None]]:
    """Reason, basis and failure of every cell; a cell without any of `values` must say why."""
    reason: list[str | None] = [None] * cells
    basis: list[str | None] = [None] * cells
    failure = [outcome.failures.get(place) for place in range(cells)]
    assessment = outcome.assessment
    if assessment is not None:
        numbers = np.all([_finite(column) for column in values], axis=0)
        for row, place in enumerate(outcome.places.tolist()):
            why = assessment.reason[row]
            if why is not None and why.startswith(FAILED):
                failure[place] = why.removeprefix(FAILED)
            elif why is None and not numbers[row]:
                failure[place] = NOT_FINITE
            else:
                reason[place], basis[place] = why, assessment.basis[row]
    return {"reason": reason, "basis": basis, "failure": failure}


def _shares(values: Array) -> Array:
    """Shares within 0-1, of which a sum may be a rounding error beyond."""
    return np.clip(values, 0.0, 1.0)


def _finite(values: Array) -> NDArray[np.bool_]:
    """Which cells have nothing but finite numbers, (cells,)."""
    return np.asarray(np.isfinite(values).reshape(len(values), -1).all(axis=1))


def _listed(values: Array) -> list[Any]:
    """One entry per cell: a number or a list of numbers, None where any is NaN or infinite."""
    return [value if good else None for value, good in zip(values.tolist(), _finite(values), strict=True)]


def _scattered(values: Sequence[Any], places: Places, cells: int) -> list[Any]:
    column: list[Any] = [None] * cells
    for place, value in zip(places.tolist(), values, strict=True):
        column[place] = value
    return column
