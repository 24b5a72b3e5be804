"""The rows of an export: probability and hazard of a cell and risk side by side, read by a cursor.

Only one batch is in memory at a time, whatever the size of the result tables.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from ops.export.request import ExportRequest

Row = tuple[Any, ...]

BATCH_ROWS = 5_000
"""Rows that are read and written at a time, some 10 MB."""

BASE = {
    "latitude": float,
    "longitude": float,
    "risk_type": str,
    "scenario": str,
    "window_start": int,
    "window_end": int,
    "aal": float,
    "aal_p05": float,
    "aal_p95": float,
    "hazard_score": float,
    "hazard_score_100": float,
    "hazard_level": str,
    "reason": str,
    "hazard_reason": str,
    "basis": str,
    "risk_table": str,
    "job_id": str,
    "calculated_at": datetime,
    "bin_unit": str,
}
"""Columns that every export has, and their types; docs/exports.md says what they mean."""

OF_BIN = {
    "probability": "probability",
    "lower": "lower",
    "upper": "upper",
    "damage_rate": "base_damage_rate",
}
"""Columns of each bin, `bin1_probability` and so on, and what bin_data calls them."""

# A reader that is slower than the database must not lose its snapshot.
_BEGIN = "SET LOCAL idle_in_transaction_session_timeout = '15min'"

_WHERE = """
    scenario = $1 AND window_start = $2 AND window_end = $3
    AND ($4::text[] = '{}' OR risk_type = ANY ($4::text[]))
    AND ($5::float8 IS NULL OR (latitude BETWEEN $5::float8::numeric AND $6::float8::numeric
                                AND longitude BETWEEN $7::float8::numeric AND $8::float8::numeric))
"""
_ROWS = f"""
    SELECT latitude::float8, longitude::float8, risk_type::text, scenario, window_start, window_end,
           p.aal, p.aal_p05, p.aal_p95, h.hazard_score, h.hazard_score_100, h.hazard_level::text,
           CASE WHEN p.id IS NULL THEN 'not_computed: no probability job'
                WHEN p.aal IS NULL THEN coalesce(p.reason, 'not_stored: aal') ELSE p.reason END AS reason,
           CASE WHEN h.id IS NULL THEN 'not_computed: no hazard job'
                WHEN h.hazard_score IS NULL THEN coalesce(h.reason, 'not_stored: hazard_score')
                ELSE h.reason END AS hazard_reason,
           coalesce(p.basis, h.basis) AS basis, coalesce(p.risk_table, h.risk_table) AS risk_table,
           coalesce(p.job_id, h.job_id) AS job_id,
           greatest(p.calculated_at::timestamptz, h.calculated_at::timestamptz) AS calculated_at, p.bin_data
    FROM (SELECT * FROM probability_results WHERE {_WHERE}) AS p
    FULL JOIN (SELECT * FROM hazard_results WHERE {_WHERE}) AS h
        USING (latitude, longitude, risk_type, scenario, window_start, window_end)
    ORDER BY latitude, longitude, risk_type COLLATE "C"
"""  # noqa: S608 - composed of constants only
_OUTLINE = f"""
    WITH p AS MATERIALIZED (
        SELECT risk_type::text,
               max(CASE WHEN jsonb_typeof(bin_data) = 'array' THEN jsonb_array_length(bin_data) END) AS bins
        FROM probability_results WHERE {_WHERE} GROUP BY 1
    ), h AS (SELECT DISTINCT risk_type::text FROM hazard_results WHERE {_WHERE})
    SELECT ARRAY(SELECT risk_type FROM p UNION SELECT risk_type FROM h ORDER BY 1) AS risks,
           (SELECT coalesce(max(bins), 0) FROM p) AS bins
"""  # noqa: S608 - as above
_CELLS = f"""
    SELECT latitude::float8, longitude::float8 FROM (
        SELECT latitude, longitude FROM probability_results WHERE {_WHERE}
        UNION SELECT latitude, longitude FROM hazard_results WHERE {_WHERE}) AS cells
    ORDER BY 1, 2
"""  # noqa: S608 - as above


@dataclass(frozen=True, slots=True)
class Outline:
    """What a request finds: names of its risks, and the most bins that any of its rows has."""

    risks: tuple[str, ...]
    bins: int

    @property
    def columns(self) -> dict[str, type]:
        """Names and types of the columns of its rows."""
        return BASE | {f"bin{number}_{name}": float for number in range(1, self.bins + 1) for name in OF_BIN}


@asynccontextmanager
async def snapshot(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """A block whose reads all see the same rows."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(_BEGIN)
        yield


async def outline(connection: asyncpg.Connection, request: ExportRequest) -> Outline:
    """What there is; without a single risk where nothing is."""
    row = await connection.fetchrow(_OUTLINE, *_arguments(request))
    return Outline(tuple(row["risks"]), row["bins"])


async def cells(connection: asyncpg.Connection, request: ExportRequest) -> list[tuple[float, float]]:
    """Latitude and longitude of the cells that have a row, ascending."""
    return [tuple(row) for row in await connection.fetch(_CELLS, *_arguments(request))]


async def batches(
    connection: asyncpg.Connection, request: ExportRequest, found: Outline
) -> AsyncIterator[list[Row]]:
    """Rows in the order of `found.columns`, by latitude, longitude and risk; inside `snapshot`."""
    cursor = await connection.cursor(_ROWS, *_arguments(request))
    while records := await cursor.fetch(BATCH_ROWS):
        yield [_row(record, found.bins) for record in records]


def _arguments(request: ExportRequest) -> tuple[Any, ...]:
    box = request.bbox
    corners: Sequence[float | None] = (None,) * 4
    if box is not None:
        corners = (box.min_latitude, box.max_latitude, box.min_longitude, box.max_longitude)
    window = request.window
    return request.scenario, window.start, window.end, list(request.risks), *corners


def _row(record: asyncpg.Record, width: int) -> Row:
    *values, text = record
    bins = _bins(text)
    numbers = [each.get(name) for each in bins for name in OF_BIN.values()]
    absent = (None,) * (len(OF_BIN) * (width - len(bins)))
    return (*values, bins[0].get("unit") if bins else None, *numbers, *absent)


def _bins(text: str | None) -> list[dict[str, Any]]:
    """Bins of a row; none where another system, before riskflow, stored something else."""
    value = orjson.loads(text) if text is not None else None
    return value if isinstance(value, list) and all(isinstance(each, dict) for each in value) else []
