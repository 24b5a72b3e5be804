"""Assess the cells of a chunk: probabilities, expected annual loss and hazard score per risk."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streams.models.bootstrap import aal_interval
from streams.models.frame import Assessment, Risk, blank, first_reason, label_where
from streams.models.hazard import hazard_level, hazard_score
from streams.models.inputs import Array, CellInputs, Labels
from streams.models.risks import RISKS
from streams.models.tables import RiskTables

SUM_TOLERANCE = 1e-12
"""How far a row of probabilities may be from 1 [1]; METHODS, section 1."""

NOT_A_DISTRIBUTION = "failed: the estimate is not a probability distribution"


def assess(
    inputs: CellInputs, risks: Sequence[str], tables: RiskTables, *, uncertainty: bool = False
) -> dict[str, Assessment]:
    """Assess several risks, by name, in the order given.

    Raises:
        ValueError: a name is not in the table of risks.
        Exception: whatever a risk raises; call `assess_risk` to keep the risks apart.
    """
    unknown = [name for name in risks if name not in RISKS]
    if unknown:
        raise ValueError(f"unknown risk {', '.join(unknown)}; allowed are {', '.join(RISKS)}")
    return {name: assess_risk(inputs, RISKS[name], tables, uncertainty=uncertainty) for name in risks}


def assess_risk(
    inputs: CellInputs, risk: Risk, tables: RiskTables, *, uncertainty: bool = False
) -> Assessment:
    """Assess one risk for all cells; a cell without a number has NaN throughout and a reason."""
    bins = tables.bins(risk)
    edges, damage = np.array(bins.edges), np.array(bins.damage)
    annual = risk.annual(inputs)
    estimate = risk.estimate(inputs, annual, edges)
    reason = first_reason(annual.reason, estimate.reason, _not_a_distribution(estimate.probability))
    probability = blank(estimate.probability, reason)
    score = hazard_score(probability, risk.susceptibility(inputs))
    low, high = aal_interval(inputs, risk, annual, edges, damage) if uncertainty else (None, None)
    return Assessment(
        risk=risk,
        years=np.arange(inputs.window.start, inputs.window.end + 1),
        intensity=estimate.intensity,
        edges=estimate.edges,
        probability=probability,
        damage=damage,
        aal=(probability * damage).sum(axis=1),
        aal_p05=None if low is None else blank(low, reason),
        aal_p95=None if high is None else blank(high, reason),
        hazard_score=score,
        hazard_level=hazard_level(score),
        parameters=estimate.parameters,
        reason=reason,
        basis=annual.basis,
    )


def _not_a_distribution(probability: Array) -> Labels:
    """A reason where a row is not one of probabilities, so that a model's defect never passes as a number."""
    with np.errstate(invalid="ignore"):
        good = (np.abs(probability.sum(axis=1) - 1) <= SUM_TOLERANCE) & (probability >= 0).all(axis=1)
    return label_where(~good, NOT_A_DISTRIBUTION)
