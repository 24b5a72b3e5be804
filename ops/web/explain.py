"""What is behind one number, over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from ops.web.office import Here, Who
from ops.web.results import End, Risk, Scenario, Start, years_of

router = APIRouter(tags=["results"])

Uncertainty = Annotated[
    bool | None,
    Query(description="The 5-95 % band of the expected loss too. Default: where the stored row has it."),
]

_HAS_BAND = """
    SELECT aal_p05 IS NOT NULL FROM probability_results
    WHERE (latitude, longitude, risk_type, scenario, window_start, window_end)
        = (round($1::float8::numeric, 6), round($2::float8::numeric, 6), $3, $4, $5, $6)
"""


@router.get("/explain", response_model=dict[str, Any])
async def explain(
    here: Here,
    _who: Who,
    latitude: Annotated[float, Query(ge=-90, le=90)],
    longitude: Annotated[float, Query(ge=-180, le=360)],
    risk: Risk,
    scenario: Scenario = None,
    start: Start = None,
    end: End = None,
    uncertainty: Uncertainty = None,
) -> Response:
    """Years, fit, bins, probabilities, loss and score of one cell: `riskflow explain --json`."""
    window = years_of(here.settings, start, end)
    if uncertainty is None:
        async with here.database() as connection:
            key = (latitude, longitude, risk, scenario or here.settings.scenario, window.start, window.end)
            uncertainty = bool(await connection.fetchval(_HAS_BAND, *key))
    cell = {
        "latitude": latitude,
        "longitude": longitude,
        "risk": risk,
        "scenario": scenario,
        "uncertainty": uncertainty,
    }
    body = await here.explainer.explain(f"{window.start}-{window.end}", cell)
    return Response(body, media_type="application/json")
