"""Rows of the result tables, and how they get there: COPY into a temporary table, then one upsert."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson

from schemas.errors import InvalidMessage
from schemas.messages import HazardColumns, HazardResult, ProbabilityColumns, ProbabilityResult
from schemas.metrics import count_rows

Row = tuple[Any, ...]
SCORE_SCALE = 100  # hazard_score_100 is hazard_score in points of a hundred

_KEY = ("latitude", "longitude", "risk_type", "scenario", "window_start", "window_end")
_ORIGIN = ("reason", "basis", "risk_table", "calculated_at", "job_id", "job_seq")
_ORIGIN_SQL = """
    reason text, basis text, risk_table text, calculated_at timestamptz, job_id text, job_seq bigint
"""


@dataclass(frozen=True, slots=True)
class Table:
    """A result table: `columns` in the order of the rows, `temporary` where COPY puts them."""

    name: str
    columns: tuple[str, ...]
    definition: str

    @property
    def temporary(self) -> str:
        """Name of the session's temporary table."""
        return f"incoming_{self.name}"

    @property
    def create(self) -> str:
        """Statement that makes the temporary table, emptied at each commit."""
        return f"""
            CREATE TEMPORARY TABLE {self.temporary} (
                latitude float8, longitude float8, risk_type text, scenario text,
                window_start integer, window_end integer, {self.definition}, {_ORIGIN_SQL}
            ) ON COMMIT DELETE ROWS
        """

    @property
    def upsert(self) -> str:
        """Statement that moves the rows on: per key the latest job, never over a later one."""
        others = [column for column in self.columns if column not in _KEY]
        # Collation "C" orders as the index need not, but cheaply and the same in every session.
        order = 'latitude, longitude, risk_type COLLATE "C", scenario COLLATE "C", window_start, window_end'
        return f"""
            INSERT INTO {self.name} AS stored ({", ".join(self.columns)})
            SELECT DISTINCT ON ({order}) {", ".join(self.columns)}
            FROM (SELECT round(i.latitude::numeric, 6) AS latitude,
                         round(i.longitude::numeric, 6) AS longitude, {", ".join(self.columns[2:])}
                  FROM pg_temp.{self.temporary} AS i) AS incoming
            ORDER BY {order}, job_seq DESC
            ON CONFLICT ({", ".join(_KEY)}) DO UPDATE
            SET {", ".join(f"{column} = excluded.{column}" for column in others)}
            WHERE stored.job_seq <= excluded.job_seq
        """  # noqa: S608 - names of this module


PROBABILITY = Table(
    "probability_results",
    (*_KEY, "probability", "bin_data", "aal", "aal_p05", "aal_p95", *_ORIGIN),
    "probability jsonb, bin_data jsonb, aal float8, aal_p05 float8, aal_p95 float8",
)
HAZARD = Table(
    "hazard_results",
    (*_KEY, "hazard_score", "hazard_score_100", "hazard_level", *_ORIGIN),
    "hazard_score float8, hazard_score_100 float8, hazard_level text",
)
TABLES = (PROBABILITY, HAZARD)
"""In the order in which every transaction writes them."""


async def create_temporary(connection: asyncpg.Connection) -> None:
    """Make the temporary tables of a new session."""
    for table in TABLES:
        await connection.execute(table.create)


async def write(connection: asyncpg.Connection, table: Table, rows: Sequence[Row]) -> None:
    """Upsert rows inside the caller's transaction."""
    if not rows:
        return
    await connection.copy_records_to_table(
        table.temporary, schema_name="pg_temp", columns=table.columns, records=rows
    )
    count_rows(table.name, await connection.execute(table.upsert))


async def clear(connection: asyncpg.Connection) -> None:
    """Forget what an earlier record of the same transaction put into the temporary tables."""
    for table in TABLES:
        await connection.execute(f"DELETE FROM pg_temp.{table.temporary}")  # noqa: S608 - names of this module


def probability_rows(result: ProbabilityResult) -> Iterator[Row]:
    """Rows of the cells that did not fail.

    Raises:
        InvalidMessage: Bins, edges and damage rates of a cell do not fit.
    """
    window = (result.scenario, result.window.start, result.window.end)
    made = (result.risk_table, result.calculated_at, result.job_id, result.job_seq)
    for risk in result.risks:
        bins = _BinData(risk)
        low, high = (column or [None] * len(result.cells) for column in (risk.aal_p05, risk.aal_p95))
        for i, (latitude, longitude) in enumerate(result.cells):
            if risk.failure[i] is not None:
                continue
            probability, bin_data = bins.of_cell(i)
            yield (
                latitude,
                longitude,
                risk.risk_type,
                *window,
                probability,
                bin_data,
                risk.aal[i],
                low[i],
                high[i],
                risk.reason[i],
                risk.basis[i],
                *made,
            )


def hazard_rows(result: HazardResult) -> Iterator[Row]:
    """Rows of the cells that did not fail.

    Raises:
        InvalidMessage: A cell has neither a score nor a reason.
    """
    window = (result.scenario, result.window.start, result.window.end)
    made = (result.risk_table, result.calculated_at, result.job_id, result.job_seq)
    for risk in result.risks:
        for i, (latitude, longitude) in enumerate(result.cells):
            if risk.failure[i] is not None:
                continue
            score, reason = risk.hazard_score[i], risk.reason[i]
            if score is None and reason is None:
                raise InvalidMessage(_says_nothing(risk, i))
            points = None if score is None else SCORE_SCALE * score
            level = risk.hazard_level[i]
            numbers = (score, points, level)
            yield latitude, longitude, risk.risk_type, *window, *numbers, reason, risk.basis[i], *made


class _BinData:
    """Writes the JSON of a cell's bins: the same text for all cells but for the probabilities."""

    def __init__(self, risk: ProbabilityColumns) -> None:
        self._risk = risk
        self._shared = None if risk.edges is None else self._template(risk.edges)

    def of_cell(self, i: int) -> tuple[str, str] | tuple[None, None]:
        """JSON of `probability` and `bin_data`, None where the cell has a reason instead."""
        risk = self._risk
        probability = risk.probability[i]
        if probability is None:
            if risk.reason[i] is None:
                raise InvalidMessage(_says_nothing(risk, i))
            return None, None
        template = self._shared or self._own_template(i)
        if len(probability) != len(risk.base_damage_rate):
            raise InvalidMessage(
                f"{risk.risk_type}: {len(probability)} probabilities for {len(risk.base_damage_rate)} bins"
            )
        text = orjson.dumps(probability).decode()
        return text, template % tuple(text[1:-1].split(","))

    def _own_template(self, i: int) -> str:
        own = self._risk.cell_edges[i] if self._risk.cell_edges else None
        if own is None:
            raise InvalidMessage(f"{self._risk.risk_type}: cell {i} has probabilities but no edges")
        return self._template(own)

    def _template(self, edges: Sequence[float]) -> str:
        rates = self._risk.base_damage_rate
        if len(edges) + 1 != len(rates):
            raise InvalidMessage(f"{self._risk.risk_type}: {len(edges)} edges for {len(rates)} damage rates")
        bounds = [None, *edges, None]
        bins = [
            {"bin": b + 1, "lower": bounds[b], "upper": bounds[b + 1], "unit": self._risk.unit}
            | {"probability": _HOLE, "base_damage_rate": rate}
            for b, rate in enumerate(rates)
        ]
        return orjson.dumps(bins).decode().replace("%", "%%").replace(f'"{_HOLE}"', "%s")


_HOLE = "<probability>"


def _says_nothing(risk: ProbabilityColumns | HazardColumns, i: int) -> str:
    return f"{risk.risk_type}: cell {i} has no number, no reason and no failure"
