"""The stored number of a cell and risk: whose it is, whether it still holds, and when a later run failed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson

from schemas.messages import Kind, Window

SAME = 1e-9
"""Relative difference up to which numbers are the same: another BATCH_SIZE may change the last bit."""

_ROW = """
    SELECT r.job_id, r.job_seq, j.job_type, r.calculated_at, r.reason, r.basis, r.risk_table, {columns},
           j.baseline_start, j.baseline_end
    FROM {table} r LEFT JOIN batch_job_logs j USING (job_id)
    WHERE (r.latitude, r.longitude, r.risk_type, r.scenario, r.window_start, r.window_end)
        = (round($1::float8::numeric, 6), round($2::float8::numeric, 6), $3, $4, $5, $6)
"""
_ROWS: dict[Kind, str] = {
    "probability": _ROW.format(table="probability_results", columns="r.probability, r.bin_data, r.aal"),
    "hazard": _ROW.format(table="hazard_results", columns="r.hazard_score, r.hazard_level"),
}
# A failure leaves the row of before: where the row is older than a job that has reported this cell, the
# risk failed in that job. Cells of a chunk ascend, so its ends tell most chunks apart.
_FAILURE = """
    SELECT j.job_id, j.job_type, j.job_seq, o.kind, o.recorded_at AS failed_at, o.error AS reason
    FROM batch_job_logs j JOIN batch_job_outcomes o USING (job_id)
    JOIN batch_job_chunks c USING (job_id, chunk)
    WHERE (j.scenario, j.window_start, j.window_end) = ($4, $5, $6) AND $3 = ANY (j.risks)
      AND j.job_seq > $8 AND o.kind = $7 AND o.failed_cells <> '{}'
      AND (o.counts IS NULL OR (o.counts -> $3 ->> 2)::integer > 0)
      AND $1::float8 BETWEEN c.latitudes[1] AND c.latitudes[c.cells]
      AND EXISTS (
          SELECT FROM unnest(c.latitudes, c.longitudes) WITH ORDINALITY AS u (latitude, longitude, place)
          WHERE (u.latitude, u.longitude) = ($1::float8, $2::float8) AND u.place - 1 = ANY (o.failed_cells))
    ORDER BY j.job_seq DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Place:
    """What a row of the result tables is of."""

    latitude: float
    longitude: float
    risk: str
    scenario: str
    window: Window

    @property
    def key(self) -> tuple[Any, ...]:
        """In the order of the statements."""
        return self.latitude, self.longitude, self.risk, self.scenario, self.window.start, self.window.end


async def stored(
    connection: asyncpg.Connection, place: Place, computed: Mapping[str, Any], baseline: Window, table: str
) -> dict[str, Any]:
    """What `explain --json` says of the stored rows.

    Args:
        connection: To the result tables and the ledger.
        place: The cell, risk, scenario and window.
        computed: The numbers of now, as ops.explain names them.
        baseline: Of now.
        table: Name of the edges and damage rates of now.

    Returns:
        `stored`: an object or None per kind; `failures`: the latest run of each kind that failed this
        risk of the cell after the row was written.
    """
    rows: dict[str, Any] = {}
    failures: list[dict[str, Any]] = []
    for kind, query in _ROWS.items():
        row = await connection.fetchrow(query, *place.key)
        rows[kind] = None if row is None else _document(row, computed, baseline, table)
        seq = -1 if row is None else row["job_seq"]
        failure = await connection.fetchrow(_FAILURE, *place.key, kind, seq)
        failures += [] if failure is None else [dict(failure)]
    return {"stored": rows, "failures": failures}


def _document(
    row: asyncpg.Record, computed: Mapping[str, Any], baseline: Window, table: str
) -> dict[str, Any]:
    differs = _differs(row, computed)
    return {
        "job_id": row["job_id"],
        "job_type": row["job_type"],
        "job_seq": row["job_seq"],
        "calculated_at": row["calculated_at"],
        **{name: row[name] for name in ("aal", "hazard_score", "hazard_level", "reason") if name in row},
        "same": not differs,
        "differs": differs,
        "why": _why(row, baseline, table) if differs else None,
    }


def _differs(row: asyncpg.Record, computed: Mapping[str, Any]) -> list[str]:
    """Names of what is not as it is computed now; of two without a number only the reason counts."""
    names = ["reason"]
    was: dict[str, Any] = dict(row)
    if row["reason"] is None and computed["reason"] is None:
        names += ["basis", "aal"] if "aal" in was else ["basis", "hazard_score", "hazard_level"]
        if "bin_data" in was:
            names += ["probability", "edges", "base_damage_rate"]
            bins = _listed(was["bin_data"])
            was |= {
                "probability": _listed(was["probability"]),
                "edges": [_field(each, "lower") for each in bins][1:],
                "base_damage_rate": [_field(each, "base_damage_rate") for each in bins],
            }
    return [name for name in names if not _same(was[name], computed[name])]


def _listed(text: str | None) -> list[Any]:
    """A jsonb array; that of another system may be something else, which then differs."""
    value = orjson.loads(text) if text is not None else None
    return value if isinstance(value, list) else []


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=SAME, abs_tol=SAME * SAME)
    return bool(one == other)


def _why(row: asyncpg.Record, baseline: Window, table: str) -> str:
    causes: list[str] = []
    then = row["baseline_start"], row["baseline_end"]
    if not row["job_seq"]:
        causes.append("it was there before riskflow")
    if then[0] is not None and then != (baseline.start, baseline.end):
        causes.append(f"its baseline was {then[0]}-{then[1]}, now it is {baseline.start}-{baseline.end}")
    if row["risk_table"] not in (None, table):
        causes.append(f"its edges and damage rates were {row['risk_table']}, now they are {table}")
    return "; ".join(causes) or "its input data or riskflow have changed since"
