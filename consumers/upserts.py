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
        bins = _bins(risk)
        low, high = (column or [None] * len(result.cells) for column in (risk.aal_p05, risk.aal_p95))
        columns = zip(
            *(result.cells, bins, risk.aal, low, high, risk.reason, risk.basis, risk.failure), strict=True
        )
        for (latitude, longitude), texts, aal, aal_p05, aal_p95, reason, basis, failure in columns:
            if failure is None:
                numbers = (*texts, aal, aal_p05, aal_p95)
                yield latitude, longitude, risk.risk_type, *window, *numbers, reason, basis, *made


def hazard_rows(result: HazardResult) -> Iterator[Row]:
    """Rows of the cells that did not fail.

    Raises:
        InvalidMessage: A cell has neither a score nor a reason.
    """
    window = (result.scenario, result.window.start, result.window.end)
    made = (result.risk_table, result.calculated_at, result.job_id, result.job_seq)
    for risk in result.risks:
        columns = zip(
            *(result.cells, risk.hazard_score, risk.hazard_level, risk.reason, risk.basis, risk.failure),
            strict=True,
        )
        for i, ((latitude, longitude), score, level, reason, basis, failure) in enumerate(columns):
            if failure is not None:
                continue
            if score is None and reason is None:
                raise InvalidMessage(_says_nothing(risk, i))
            points = None if score is None else SCORE_SCALE * score
            numbers = (score, points, level)
            yield latitude, longitude, risk.risk_type, *window, *numbers, reason, basis, *made


def _bins(risk: ProbabilityColumns) -> list[tuple[str, str] | tuple[None, None]]:
    """JSON of `probability` and `bin_data` of each cell, None where it has none.

    Raises:
        InvalidMessage: A cell that did not fail has neither probabilities nor a reason; bins, edges and
            damage rates do not fit.
    """
    shared = None if risk.edges is None else _template(risk, risk.edges)
    found: list[tuple[str, str] | tuple[None, None]] = []
    for i, text in enumerate(_texts(risk.probability)):
        if text is None or risk.failure[i] is not None:
            if risk.reason[i] is None and risk.failure[i] is None:
                raise InvalidMessage(_says_nothing(risk, i))
            found.append((None, None))
            continue
        values = text.split(",")
        if len(values) != len(risk.base_damage_rate):
            raise InvalidMessage(
                f"{risk.risk_type}: {len(values)} probabilities for {len(risk.base_damage_rate)} bins"
            )
        found.append((f"[{text}]", (shared or _own_template(risk, i)) % tuple(values)))
    return found


def _texts(probability: Sequence[Sequence[float] | None]) -> Iterator[str | None]:
    """The numbers of each cell as JSON without brackets: one call for all costs a fifth of one a cell."""
    given = [values for values in probability if values is not None]
    texts = iter(orjson.dumps(given)[2:-2].decode().split("],["))
    return (None if values is None else next(texts) for values in probability)


def _own_template(risk: ProbabilityColumns, i: int) -> str:
    own = risk.cell_edges[i] if risk.cell_edges else None
    if own is None:
        raise InvalidMessage(f"{risk.risk_type}: cell {i} has probabilities but no edges")
    return _template(risk, own)


def _template(risk: ProbabilityColumns, edges: Sequence[float]) -> str:
    """The JSON of a cell's bins with a hole for each probability: all else is the same for many cells."""
    rates = risk.base_damage_rate
    if len(edges) + 1 != len(rates):
        raise InvalidMessage(f"{risk.risk_type}: {len(edges)} edges for {len(rates)} damage rates")
    bounds = [None, *edges, None]
    bins = [
        {"bin": b + 1, "lower": bounds[b], "upper": bounds[b + 1], "unit": risk.unit}
        | {"probability": _HOLE, "base_damage_rate": rate}
        for b, rate in enumerate(rates)
    ]
    return orjson.dumps(bins).decode().replace("%", "%%").replace(f'"{_HOLE}"', "%s")


_HOLE = "<probability>"


def _says_nothing(risk: ProbabilityColumns | HazardColumns, i: int) -> str:
    return f"{risk.risk_type}: cell {i} has no number, no reason and no failure"
