"""What there is to look at: risks, scenarios with their windows, and where the grid lies."""

from __future__ import annotations

from typing import get_args

import asyncpg
from fastapi import APIRouter
from pydantic import BaseModel

from ops.scenarios import Scenario, scenarios
from ops.web.documents import Years
from ops.web.office import Here, Who
from schemas.messages import HazardLevel
from schemas.version import riskflow_version

router = APIRouter(tags=["results"])

_RISKS = "SELECT risk_type, title, intensity, unit, position FROM riskflow.risk_types ORDER BY position"
_BOUNDS = """
    SELECT min(latitude)::float8 AS south, min(longitude)::float8 AS west,
           max(latitude)::float8 AS north, max(longitude)::float8 AS east FROM grid_cells
"""


class Risk(BaseModel):
    """A risk that this version knows."""

    risk_type: str
    title: str
    intensity: str
    unit: str
    position: int


class Defaults(BaseModel):
    """Scenario and window of a trigger that names none."""

    scenario: str
    window: Years


class WindowOf(Years):
    """A window with results."""

    cells: int
    risks: list[str]


class ScenarioOf(BaseModel):
    """A scenario with climate or with results."""

    scenario: str
    derived_from: str | None
    ta: float | None
    rn: float | None
    has_climate: bool
    windows: list[WindowOf]


class Bounds(BaseModel):
    """Where the cells of the grid lie [degrees]."""

    south: float
    west: float
    north: float
    east: float


class Meta(BaseModel):
    """What there is."""

    version: str
    defaults: Defaults
    risks: list[Risk]
    levels: list[str]
    scenarios: list[ScenarioOf]
    bounds: Bounds | None


@router.get("/meta")
async def meta(here: Here, _who: Who) -> Meta:
    """Risks, scenarios with the windows that have results, and the bounds of the grid."""
    async with here.database() as connection:
        return Meta(
            version=riskflow_version(),
            defaults=Defaults(
                scenario=here.settings.scenario,
                window=Years(start=here.settings.window_start, end=here.settings.window_end),
            ),
            risks=[Risk(**row) for row in await connection.fetch(_RISKS)],
            levels=list(get_args(HazardLevel)),
            scenarios=[_scenario(each) for each in await scenarios(connection)],
            bounds=await _bounds(connection),
        )


def _scenario(found: Scenario) -> ScenarioOf:
    return ScenarioOf.model_validate(found, from_attributes=True)


async def _bounds(connection: asyncpg.Connection) -> Bounds | None:
    row = await connection.fetchrow(_BOUNDS)
    return None if row["south"] is None else Bounds(**row)
