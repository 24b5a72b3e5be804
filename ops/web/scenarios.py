"""Deriving a scenario over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from ops import scenarios
from ops.web.office import Here, Operator
from schemas.messages import Name

router = APIRouter(prefix="/scenarios", tags=["scenarios"])


class NewScenario(BaseModel):
    """A what-if scenario by the delta-change method."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    source: Annotated[Name, Field(alias="from", description="Scenario that it is derived from.")]
    name: Name
    ta: Annotated[float, Field(description="Added to every temperature [degC], -20 to 20.")] = 0.0
    rn: Annotated[float, Field(description="Factor of all rain, above 0 and at most 10.")] = 1.0


class DerivedScenario(BaseModel):
    """A scenario that was derived."""

    scenario: str
    rows: int
    sentence: str


@router.post("", status_code=201)
async def derive(asked: NewScenario, here: Here, who: Operator) -> DerivedScenario:
    """Derive a scenario by the delta-change method, as `riskflow scenario derive` does."""
    async with here.database() as connection:
        done = await scenarios.derive(
            connection, source=asked.source, name=asked.name, ta=asked.ta, rn=asked.rn, by=who.name
        )
    return DerivedScenario(scenario=asked.name, rows=done.rows, sentence=done.sentence)
