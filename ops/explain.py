"""`riskflow explain`: everything behind one cell's number, computed anew by the same code as the job."""

from __future__ import annotations

from typing import Any

import asyncpg
import numpy as np

from ops.stored import Place, stored
from schemas.errors import NotFound
from schemas.messages import Window
from schemas.settings import Settings
from streams.cells import read_cells, read_tracks
from streams.models.assess import assess_risk
from streams.models.frame import Assessment
from streams.models.inputs import Array, Years
from streams.models.risks import RISKS
from streams.risk_tables import risk_tables

NEAR = 5
"""Cells that an error names when the asked one is not of the grid."""


async def explain(  # noqa: PLR0913 - what the command line asks
    connection: asyncpg.Connection,
    settings: Settings,
    *,
    latitude: float,
    longitude: float,
    risk: str,
    scenario: str | None = None,
    window: Window | None = None,
    uncertainty: bool = False,
) -> dict[str, Any]:
    """What `riskflow explain --json` prints: the documented contract.

    Raises:
        NotFound: The risk is unknown or the cell is not of the grid; the sentence names what is.
    """
    if risk not in RISKS:
        raise NotFound(f"risk {risk!r} is not known; allowed: {', '.join(RISKS)}")
    await _must_be_a_cell(connection, latitude, longitude)
    scenario = scenario or settings.scenario
    window = window or settings.default_window
    years = Years(window.start, window.end)
    baseline = Years(settings.baseline_start, settings.baseline_end)
    tracks = await read_tracks(connection, years, baseline) if "storms" in RISKS[risk].inputs else None
    inputs = await read_cells(
        connection,
        [(latitude, longitude)],
        scenario=scenario,
        window=years,
        baseline=baseline,
        risks=[risk],
        tracks=tracks,
    )
    tables = risk_tables(settings)
    assessment = assess_risk(inputs, RISKS[risk], tables, uncertainty=uncertainty)
    numbers = _numbers(assessment)
    place = Place(round(latitude, 6), round(longitude, 6), risk, scenario, window)
    return {
        "latitude": latitude,
        "longitude": longitude,
        "risk_type": risk,
        "scenario": scenario,
        "window": {"start": window.start, "end": window.end},
        **numbers,
        **await stored(connection, place, numbers, settings.baseline, tables.name),
    }


async def _must_be_a_cell(connection: asyncpg.Connection, latitude: float, longitude: float) -> None:
    near = await connection.fetch(
        """
        SELECT latitude::float8, longitude::float8 FROM grid_cells
        ORDER BY (latitude::float8 - $1) ^ 2 + ((longitude::float8 - $2) * cosd($1)) ^ 2 LIMIT $3
        """,
        latitude,
        longitude,
        NEAR,
    )
    if not near:
        raise NotFound("the grid is empty; load climate or site data first (riskflow load --help)")
    if (round(latitude, 6), round(longitude, 6)) not in {tuple(row) for row in near}:
        cells = "; ".join(f"{row[0]:.9g}, {row[1]:.9g}" for row in near)
        raise NotFound(f"{latitude:.9g}, {longitude:.9g} is not a cell of the grid; the nearest are {cells}")


def _numbers(assessment: Assessment) -> dict[str, Any]:
    risk = assessment.risk
    return {
        "years": assessment.years.tolist(),
        "intensity": _listed(assessment.intensity[0]),
        "intensity_meaning": risk.intensity,
        "unit": risk.unit,
        "edges": _listed(assessment.edges[0]),
        "edge_unit": risk.bin_unit or risk.unit,
        "probability": _listed(assessment.probability[0]) if assessment.reason[0] is None else None,
        "base_damage_rate": assessment.damage.tolist(),
        "aal": _number(assessment.aal[0]),
        "aal_p05": _number(assessment.aal_p05[0]) if assessment.aal_p05 is not None else None,
        "aal_p95": _number(assessment.aal_p95[0]) if assessment.aal_p95 is not None else None,
        "hazard_score": _number(assessment.hazard_score[0]),
        "hazard_level": assessment.hazard_level[0],
        "estimator": risk.estimator,
        "parameters": {name: _plain(values[0]) for name, values in assessment.parameters.items()},
        "basis": assessment.basis[0],
        "reason": assessment.reason[0],
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _listed(values: Array) -> list[float | None]:
    return [_number(value) for value in values]


def _plain(value: Any) -> Any:
    return _listed(value) if np.ndim(value) else _number(value)
