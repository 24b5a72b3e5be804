"""What a climate trigger will do, or why it is refused; and its cells as chunks in the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

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
_FREEZE = """
    WITH placed AS (
        SELECT latitude::float8 AS latitude, longitude::float8 AS longitude,
               (row_number() OVER (ORDER BY latitude, longitude) - 1) / $3 + 1 AS chunk
        FROM grid_cells
        WHERE latitude BETWEEN $4::float8 AND $6::float8 AND longitude BETWEEN $5::float8 AND $7::float8
    ), planned AS (
        INSERT INTO batch_job_chunks (job_id, chunk, chunk_id, latitudes, longitudes, cells, kinds_left)
        SELECT $1::text, chunk, $1 || ':' || chunk, array_agg(latitude ORDER BY latitude, longitude),
               array_agg(longitude ORDER BY latitude, longitude), count(*), $2
        FROM placed GROUP BY chunk ORDER BY chunk
        RETURNING cells
    )
    UPDATE batch_job_logs
    SET total_grids = s.cells, chunks_total = s.chunks
    FROM (SELECT sum(cells) AS cells, count(*) AS chunks FROM planned) AS s
    WHERE job_id = $1 RETURNING total_grids
"""
_COUNTERS = """
    INSERT INTO batch_job_risks (job_id, risk_type)
    SELECT $1, risk FROM unnest($2::text[]) AS r (risk) ORDER BY risk
"""


@dataclass(frozen=True, slots=True)
class JobColumns:
    """What a job's row holds of its plan; what a job type does not have is null."""

    kinds: tuple[str, ...]
    risks: tuple[str, ...] = ()
    scenario: str | None = None
    window: Window | None = None
    baseline: Window | None = None
    uncertainty: bool = False
    report_date: date | None = None


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

    @property
    def columns(self) -> JobColumns:
        """What the job's row holds of the plan."""
        return JobColumns(
            kinds=self.kinds,
            risks=self.risks,
            scenario=self.scenario,
            window=self.window,
            baseline=self.baseline,
            uncertainty=self.uncertainty,
        )

    async def freeze(self, connection: asyncpg.Connection, job_id: str, settings: Settings) -> int:
        """Write the job's chunks with their cells and its counters, and return the number of cells."""
        cells: int = await connection.fetchval(
            _FREEZE, job_id, len(self.kinds), settings.batch_size, *corners(self.bbox)
        )
        await connection.execute(_COUNTERS, job_id, self.risks)
        return cells


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
        raise RefusedTrigger(f"job type {trigger.job_type} is no climate job; allowed: {allowed}")
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
            f"scenarios with data: {', '.join(known)}"
            if known
            else "no scenario has data; load some first (riskflow load)"
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
