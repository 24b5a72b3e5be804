"""Results over HTTP: rows by pages, the columns of a map, and what is behind one number."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import asyncpg
import orjson
from fastapi import APIRouter, Query, Response

from ops.export.spacing import spacing
from ops.trigger import bbox_of
from ops.web.documents import MapColumns, ResultRow, Years
from ops.web.office import Here, Who
from ops.web.paging import Cursor, Limit, Page, cursor_of, values_of
from schemas.codec import validated
from schemas.errors import NotFound
from schemas.messages import Bbox, Window
from schemas.settings import Settings

router = APIRouter(tags=["results"])

Risk = Annotated[str, Query(description="The risk, such as drought.")]
Scenario = Annotated[str | None, Query(description="Default: setting SCENARIO.")]
Start = Annotated[int | None, Query(description="First year of the window. Default: settings.")]
Box = Annotated[str | None, Query(description="south,west,north,east in degrees, edges included.")]
End = Annotated[int | None, Query(description="Its last year.")]

EVERYWHERE = (-90.0, -180.0, 90.0, 360.0)

_SIDE = """
    (SELECT * FROM {table}
     WHERE (risk_type, scenario, window_start, window_end) = ($1, $2, $3, $4)
       AND latitude BETWEEN $5::float8::numeric AND $7::float8::numeric
       AND longitude BETWEEN $6::float8::numeric AND $8::float8::numeric {page})
"""
# A row of either kind is a result: who has only run the hazard job sees its scores too.
_JOINED = "FROM {} AS p FULL JOIN {} AS h USING (latitude, longitude)"
# The first cells of both together are among the first of each.
_AFTER = """
    AND (latitude, longitude) > ($9::float8::numeric, $10::float8::numeric)
    ORDER BY latitude, longitude LIMIT $11
"""


def _joined(page: str = "") -> str:
    tables = ("probability_results", "hazard_results")
    return _JOINED.format(*(_SIDE.format(table=table, page=page) for table in tables))


_MAP = f"""
    SELECT latitude::float8, longitude::float8, p.aal, p.aal_p05, p.aal_p95,
           (p.probability ->> -1)::float8 AS worst_bin, h.hazard_score, h.hazard_level,
           p.reason, h.reason AS hazard_reason, coalesce(p.basis, h.basis) AS basis,
           p.bin_data -> -1 AS label, greatest(p.calculated_at, h.calculated_at) AS calculated_at
    {_joined()} ORDER BY 1, 2
"""
_UNIT = "SELECT unit FROM riskflow.risk_types WHERE risk_type = $1"
_ROWS = f"""
    SELECT latitude::float8, longitude::float8, p.aal, p.aal_p05, p.aal_p95, p.bin_data AS bins,
           h.hazard_score, h.hazard_score_100, h.hazard_level,
           p.reason, h.reason AS hazard_reason, coalesce(p.basis, h.basis) AS basis,
           p.job_id AS probability_job_id, h.job_id AS hazard_job_id,
           greatest(p.calculated_at, h.calculated_at) AS calculated_at
    {_joined(_AFTER)} ORDER BY 1, 2 LIMIT $11
"""


def years_of(settings: Settings, start: int | None, end: int | None) -> Window:
    """The window that is meant.

    Raises:
        InvalidMessage: The years make no window.
    """
    default = settings.default_window
    years = {
        "start": default.start if start is None else start,
        "end": default.end if end is None else end,
    }
    return validated(Window, years)


def box_of(text: str | None) -> Bbox | None:
    """The part of the grid that is meant; None for all.

    Raises:
        RefusedTrigger: The text is not four numbers.
        InvalidMessage: They are no box.
    """
    return validated(Bbox, bbox_of(text)) if text else None


@router.get("/map", response_model=MapColumns)
async def columns(
    here: Here, _who: Who, risk: Risk, scenario: Scenario = None, start: Start = None, end: End = None
) -> Response:
    """All cells of a risk as columns, in the order of latitude and longitude."""
    window = years_of(here.settings, start, end)
    key = (risk, scenario or here.settings.scenario, window.start, window.end)
    async with here.database() as connection:
        rows = await connection.fetch(_MAP, *key, *EVERYWHERE)
        unit = await connection.fetchval(_UNIT, risk)
    if not rows:
        raise NotFound(_nothing(key))
    # Encoding 50,000 cells takes a tenth of a second, in which others would wait.
    return Response(await asyncio.to_thread(_columns, key, rows, unit), media_type="application/json")


@router.get("/results")
async def rows(
    here: Here,
    _who: Who,
    risk: Risk,
    scenario: Scenario = None,
    start: Start = None,
    end: End = None,
    bbox: Box = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[ResultRow]:
    """Results cell by cell, in the order of latitude and longitude."""
    window = years_of(here.settings, start, end)
    key = (risk, scenario or here.settings.scenario, window.start, window.end)
    within = box_of(bbox)
    box = tuple(within.model_dump().values()) if within else EVERYWHERE
    after = values_of(cursor, (float, float)) if cursor else [-91.0, -181.0]
    async with here.database() as connection:
        found = await connection.fetch(_ROWS, *key, *box, *after, limit)
    items = [_row(key, each) for each in found]
    following = cursor_of(found[-1]["latitude"], found[-1]["longitude"]) if len(found) == limit else None
    return Page(items=items, next=following)


def _row(key: tuple[str, str, int, int], row: asyncpg.Record) -> ResultRow:
    risk, scenario, start, end = key
    values: dict[str, Any] = dict(row) | {"bins": row["bins"] and orjson.loads(row["bins"])}
    return ResultRow(risk_type=risk, scenario=scenario, window=Years(start=start, end=end), **values)


def _columns(key: tuple[str, str, int, int], rows: list[asyncpg.Record], unit: str | None) -> bytes:
    risk, scenario, start, end = key
    names = list(rows[0].keys())
    values: dict[str, Any] = dict(zip(names, zip(*rows, strict=True), strict=True))
    labels = {label for label in values.pop("label") if label is not None}
    document = {
        "risk_type": risk,
        "scenario": scenario,
        "window": {"start": start, "end": end},
        "unit": unit,
        "cell_size": spacing(list(zip(values["latitude"], values["longitude"], strict=True))),
        "worst_bin_label": _label([orjson.loads(label) for label in labels]),
        **values,
        "calculated_at": max(values["calculated_at"]),
    }
    return orjson.dumps(document)


def _label(worst: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The worst bin of all cells; without an edge where that differs from cell to cell."""
    if not worst:
        return None
    edges = {name: {each.get(name) for each in worst} for name in ("lower", "upper", "unit")}
    return {name: values.pop() if len(values) == 1 else None for name, values in edges.items()}


def _nothing(key: tuple[str, str, int, int]) -> str:
    risk, scenario, start, end = key
    return (
        f"there are no results of {risk} for scenario {scenario}, {start}-{end}; "
        "GET /api/v1/meta lists what there is, `riskflow trigger climate` computes more"
    )
