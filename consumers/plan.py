"""What a trigger will do, or why it is refused."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from schemas.errors import RefusedTrigger
from schemas.messages import KINDS_OF, Bbox, Kind, Trigger, Window
from schemas.settings import Settings

WORLD = Bbox(min_latitude=-90, min_longitude=-180, max_latitude=90, max_longitude=360)

# Coast and storms need no series of their own for the climate that has been.
_SCENARIOS = """
    SELECT scenario FROM climate_packed UNION SELECT scenario FROM climate_extremes
    UNION SELECT scenario FROM sea_level_rise UNION SELECT scenario FROM climate_warming
    UNION SELECT 'historical'
    WHERE EXISTS (SELECT FROM sea_level_stations) OR EXISTS (SELECT FROM storm_fixes)
    ORDER BY 1
"""
_HAS_SERIES = """
    SELECT EXISTS (SELECT FROM climate_packed WHERE scenario = $1)
        OR EXISTS (SELECT FROM climate_extremes WHERE scenario = $1)
"""
_CELLS = """
    SELECT count(*) FROM grid_cells
    WHERE latitude BETWEEN $1::float8 AND $3::float8 AND longitude BETWEEN $2::float8 AND $4::float8
"""
_EXTENT = """
    SELECT count(*) AS cells, min(latitude)::float8 AS south, max(latitude)::float8 AS north,
           min(longitude)::float8 AS west, max(longitude)::float8 AS east
    FROM grid_cells
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """A climate job with everything that the trigger left out."""

    kinds: tuple[Kind, ...]
    risks: tuple[str, ...]
    scenario: str
    window: Window
    baseline: Window
    bbox: Bbox
    uncertainty: bool
    cells: int


async def plan(connection: asyncpg.Connection, trigger: Trigger, settings: Settings) -> Plan:
    """Check a trigger against the database, as the acceptor does before it freezes the chunks.

    Packs stale months first, so that what another system has just written counts.

    Raises:
        RefusedTrigger: The sentence names what is allowed.
    """
    kinds = _kinds(trigger)
    risks = await _risks(connection, trigger)
    await connection.execute("SELECT riskflow.repack()")
    scenario = trigger.scenario or settings.scenario
    await _check_scenario(connection, scenario)
    bbox = trigger.bbox or WORLD
    return Plan(
        kinds=kinds,
        risks=risks,
        scenario=scenario,
        window=trigger.window or settings.default_window,
        baseline=settings.baseline,
        bbox=bbox,
        uncertainty=trigger.uncertainty,
        cells=await _count_cells(connection, bbox),
    )


def _kinds(trigger: Trigger) -> tuple[Kind, ...]:
    kinds = KINDS_OF.get(trigger.job_type)
    if kinds is None:
        allowed = ", ".join(KINDS_OF)
        raise RefusedTrigger(f"job type {trigger.job_type} is not built yet; allowed: {allowed}")
    if trigger.tenants is not None or trigger.report_date is not None:
        raise RefusedTrigger(
            f"tenants and report_date belong to job type weekly; {trigger.job_type} takes "
            "scenario, window, risks, bbox, uncertainty"
        )
    return kinds


async def _risks(connection: asyncpg.Connection, trigger: Trigger) -> tuple[str, ...]:
    rows = await connection.fetch("SELECT risk_type FROM riskflow.risk_types ORDER BY position")
    known = [row["risk_type"] for row in rows]
    if not known:
        raise RefusedTrigger("the database knows no risks; run `riskflow migrate`")
    unknown = [risk for risk in trigger.risks or () if risk not in known]
    if unknown:
        raise RefusedTrigger(f"unknown risk {', '.join(unknown)}; allowed: {', '.join(known)}")
    return tuple(risk for risk in known if trigger.risks is None or risk in trigger.risks)


async def _check_scenario(connection: asyncpg.Connection, scenario: str) -> None:
    if await connection.fetchval(_HAS_SERIES, scenario):
        return
    known = [row["scenario"] for row in await connection.fetch(_SCENARIOS)]
    if scenario not in known:
        held = (
            f"scenarios with data: {', '.join(known)}" if known else "no scenario has data; load some first"
        )
        raise RefusedTrigger(f"scenario {scenario} has no data; {held}")


async def _count_cells(connection: asyncpg.Connection, bbox: Bbox) -> int:
    cells = int(await connection.fetchval(_CELLS, *corners(bbox)))
    if cells:
        return cells
    extent = await connection.fetchrow(_EXTENT)
    if not extent["cells"]:
        raise RefusedTrigger("the grid has no cells; load climate data or sites first")
    raise RefusedTrigger(
        f"bbox {bbox.min_latitude:g},{bbox.min_longitude:g},{bbox.max_latitude:g},{bbox.max_longitude:g} "
        f"holds no cell; the grid's {extent['cells']} cells lie in latitude "
        f"{extent['south']:g} to {extent['north']:g}, longitude {extent['west']:g} to {extent['east']:g}"
    )


def corners(bbox: Bbox) -> tuple[float, float, float, float]:
    """South, west, north, east."""
    return bbox.min_latitude, bbox.min_longitude, bbox.max_latitude, bbox.max_longitude
