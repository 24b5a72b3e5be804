"""What a large grid needs, computed from measured costs: `python -m benchmarks.capacity` prints the tables.

`--write docs/scaling.md` puts them, and those of `benchmarks.simulation`, in their places of the page.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

KIB, GIB, TIB = 2**10, 2**30, 2**40
HOUR = 3600.0
RISKS = 9
KINDS = 2
DAYS_KEPT = 14.0
"""Retention of chunks and results (schemas.topics)."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Of one cell of one scenario and window: both kinds, nine risks, 30 years; CPU in ms, sizes in bytes.

    Those of `python -m benchmarks.footprint` (CPU the mean of a job that inserts and one that updates) and,
    for `worker_daily`, of the note of the benchmark `scaling`, on 2026-11-29; see docs/scaling.md.
    """

    worker_annual: float = 0.64
    worker_daily: float = 2.46
    database_read: float = 0.21
    database_write: float = 0.39
    sink: float = 0.19
    broker: float = 0.09
    producers: float = 0.02
    chunk_message: float = 25
    probability_message: float = 1357
    hazard_message: float = 427
    probability_rows: float = 20_620
    probability_index: float = 974
    hazard_rows: float = 3_502
    hazard_index: float = 974
    wal_insert: float = 16_249
    wal_update: float = 4_160
    chunk_row: float = 64 * 88
    outcome_rows: float = 64 * 16
    event_rows: float = 64 * 30
    packed_month: float = 25_026 / 360
    month_row: float = 68_768 / 360
    extremes_year: float = 5_224 / 30
    site_row: float = 276
    parquet: float = 856

    @property
    def database(self) -> float:
        """CPU of PostgreSQL, ms."""
        return self.database_read + self.database_write

    @property
    def messages(self) -> float:
        """Bytes of the chunk and of its results."""
        return self.chunk_message + self.probability_message + self.hazard_message

    @property
    def results(self) -> float:
        """Bytes of the rows of both kinds with their indexes."""
        return self.probability_rows + self.probability_index + self.hazard_rows + self.hazard_index

    @property
    def ledger(self) -> float:
        """Bytes per chunk of its row, its outcomes and its events."""
        return self.chunk_row + self.outcome_rows + self.event_rows


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be computed; each scenario but the first has a series of its own years."""

    cells: int = 10_000_000
    scenarios: int = 4
    windows: int = 3
    chunk: int = 64
    past_years: int = 30
    future_years: int = 80

    @property
    def pairs(self) -> int:
        """Jobs: one per scenario and window."""
        return self.scenarios * self.windows

    @property
    def cell_pairs(self) -> int:
        """Cells of all jobs."""
        return self.cells * self.pairs

    @property
    def chunks_of_pair(self) -> int:
        """Chunks of one job."""
        return math.ceil(self.cells / self.chunk)

    @property
    def chunks(self) -> int:
        """Chunks of all jobs."""
        return self.chunks_of_pair * self.pairs

    @property
    def rows(self) -> int:
        """Rows of both result tables."""
        return self.cell_pairs * RISKS * KINDS

    @property
    def years(self) -> int:
        """Years of input of one cell, all scenarios."""
        return self.past_years + (self.scenarios - 1) * self.future_years


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the page."""

    name: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """As Markdown."""
        lines = [self.header, ("---",) * len(self.header), *self.rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def core_hours(costs: Costs, plan: Plan, *, daily: bool) -> dict[str, float]:
    """CPU time of all jobs by process, hours of one core."""
    each = {
        "workers": costs.worker_daily if daily else costs.worker_annual,
        "PostgreSQL": costs.database,
        "sinks": costs.sink,
        "brokers": costs.broker,
        "producers": costs.producers,
    }
    return {name: plan.cell_pairs * ms / 1e3 / HOUR for name, ms in each.items()}


def workers_needed(hours: float, within: float, partitions: int) -> int:
    """Workers of one core each for so many core-hours, filled to nine tenths, no more than partitions."""
    return min(partitions, math.ceil(hours / within / FILLED))


FILLED = 0.9
"""Share of a core that a worker uses when its queue is never empty (expert assumption)."""


def tables(costs: Costs, plan: Plan) -> list[Table]:
    """All tables of the page that follow from the costs."""
    return [
        constants(costs),
        work(costs, plan),
        cores(costs, plan),
        deadlines(costs, plan),
        storage(costs, plan),
    ]


def constants(costs: Costs) -> Table:
    """The constants themselves."""
    cpu = {"worker_annual", "worker_daily", "database_read", "database_write", "sink", "broker", "producers"}
    rows = [
        (MEANINGS[field.name], _number(getattr(costs, field.name), "ms" if field.name in cpu else "B"))
        for field in fields(costs)
    ]
    return Table("constants", ("cost", "measured"), tuple(rows))


def work(costs: Costs, plan: Plan) -> Table:
    """Jobs, chunks, rows and messages."""
    sent = plan.cell_pairs * costs.messages
    return Table(
        "work",
        ("", "one scenario and window", f"all {plan.pairs}"),
        (
            ("cells computed", f"{plan.cells:,}", f"{plan.cell_pairs:,}"),
            (f"chunks of {plan.chunk} cells", f"{plan.chunks_of_pair:,}", f"{plan.chunks:,}"),
            ("result rows", f"{plan.rows // plan.pairs:,}", f"{plan.rows:,}"),
            ("messages, bytes", _size(sent / plan.pairs), _size(sent)),
            (
                f"on the broker, three copies, kept {DAYS_KEPT:.0f} days",
                _size(3 * sent / plan.pairs),
                _size(3 * sent),
            ),
            (
                "ledger: chunks, outcomes, events",
                _size(plan.chunks_of_pair * costs.ledger),
                _size(plan.chunks * costs.ledger),
            ),
        ),
    )


def cores(costs: Costs, plan: Plan) -> Table:
    """CPU time by process, and hours on machines of some sizes if all were shared evenly."""
    rows = []
    for label, daily in (("annual indices loaded", False), ("daily weather drawn", True)):
        hours = core_hours(costs, plan, daily=daily)
        total = sum(hours.values())
        rows.append(
            (
                label,
                *(f"{hours[name]:,.1f}" for name in ("workers", "PostgreSQL", "sinks", "brokers")),
                f"{total:,.0f}",
                *(f"{total / n:,.1f}" for n in (2, 16, 64)),
            )
        )
    return Table(
        "cores",
        (
            "core-hours of",
            "workers",
            "PostgreSQL",
            "sinks",
            "brokers",
            "all",
            "on 2 cores, h",
            "on 16",
            "on 64",
        ),
        tuple(rows),
    )


def deadlines(costs: Costs, plan: Plan) -> Table:
    """What all jobs need within a night and within an hour."""
    rows = []
    for label, daily in (("annual indices loaded", False), ("daily weather drawn", True)):
        hours = core_hours(costs, plan, daily=daily)
        for within in (8.0, 1.0):
            workers = workers_needed(hours["workers"], within, sys.maxsize)
            rate = plan.cell_pairs / within / HOUR
            # A sink waits for its database, so it is bound by both.
            sinks = math.ceil((costs.sink + costs.database_write) / 1e3 * rate / FILLED)
            rows.append(
                (
                    f"{label}, {within:.0f} h",
                    f"{rate:,.0f}",
                    f"{workers}",
                    f"{8 * math.ceil(workers / 8)}",
                    f"{sinks}",
                    f"{hours['PostgreSQL'] / within:.1f}",
                    f"{rate * costs.wal_insert / 1e6:,.0f}",
                    f"{rate * costs.results / 1e6:,.0f}",
                    f"{rate * costs.messages * 3 / 1e6:,.0f}",
                )
            )
    header = (
        *("all jobs within", "cells/s", "workers (cores)", "partitions", "sinks", "cores of PostgreSQL"),
        *("WAL, MB/s", "rows and indexes, MB/s", "brokers' disks, MB/s"),
    )
    return Table("deadlines", header, tuple(rows))


def storage(costs: Costs, plan: Plan) -> Table:
    """Bytes in the database and elsewhere."""
    months = plan.cells * plan.years * 12
    rows = (
        ("climate_data, monthly rows", f"{months:,}", months * costs.month_row),
        ("climate_packed", f"{plan.cells * plan.scenarios:,}", months * costs.packed_month),
        ("climate_extremes", f"{plan.cells * plan.years:,}", plan.cells * plan.years * costs.extremes_year),
        ("grid_cells", f"{plan.cells:,}", plan.cells * costs.site_row),
        (
            "probability_results",
            f"{plan.rows // KINDS:,}",
            plan.cell_pairs * (costs.probability_rows + costs.probability_index),
        ),
        (
            "hazard_results",
            f"{plan.rows // KINDS:,}",
            plan.cell_pairs * (costs.hazard_rows + costs.hazard_index),
        ),
        ("WAL of all jobs, all rows new", "", plan.cell_pairs * costs.wal_insert),
        ("WAL of all jobs, all rows replaced", "", plan.cell_pairs * costs.wal_update),
        ("both results as Parquet instead", "", plan.cell_pairs * costs.parquet),
    )
    return Table("storage", ("", "rows", "size"), tuple((name, count, _size(b)) for name, count, b in rows))


MEANINGS = {
    "worker_annual": "worker, annual indices loaded",
    "worker_daily": "worker, daily weather drawn from months",
    "database_read": "PostgreSQL, what a worker reads",
    "database_write": "PostgreSQL, rows and ledger",
    "sink": "sink",
    "broker": "broker (embedded)",
    "producers": "producers",
    "chunk_message": "message of the chunk",
    "probability_message": "message of the probabilities",
    "hazard_message": "message of the hazards",
    "probability_rows": "nine rows of probability_results",
    "probability_index": "their entries in its two indexes",
    "hazard_rows": "nine rows of hazard_results",
    "hazard_index": "their entries in its two indexes",
    "wal_insert": "WAL of a new row each, without full-page images",
    "wal_update": "WAL of a replaced row each, without full-page images",
    "chunk_row": "a chunk of 64 cells in batch_job_chunks (per chunk)",
    "outcome_rows": "its outcomes (per chunk)",
    "event_rows": "its job events in the outbox (per chunk)",
    "packed_month": "a month in climate_packed",
    "month_row": "a month in climate_data with its index",
    "extremes_year": "a year in climate_extremes with its indexes",
    "site_row": "a cell in grid_cells",
    "parquet": "both results in Parquet, Zstandard",
}


def _number(value: float, unit: str) -> str:
    return f"{value:,.2f} {unit}" if unit == "ms" else f"{value:,.0f} {unit}"


def _size(size: float) -> str:
    for unit, scale in (("TiB", TIB), ("GiB", GIB), ("MiB", 2**20)):
        if size >= scale:
            return f"{size / scale:,.1f} {unit}"
    return f"{size / KIB:,.1f} KiB"


def placed(page: str, written: Sequence[Table]) -> str:
    """The page with each table between its marks.

    Raises:
        ValueError: The page has no place for one of them.
    """
    for table in written:
        begin, end = f"<!-- table: {table.name} -->\n", "<!-- end of table -->"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(
                f"the page has no place for the table {table.name!r}: write {begin.strip()} there"
            )
        page = f"{before}{begin}{table.markdown()}\n{end}{after}"
    return page


def main() -> None:
    """Print the tables, or write them into a page."""
    from benchmarks import simulation  # noqa: PLC0415 - it takes its costs from here

    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity", description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE", help="put them into this page")
    told = parser.parse_args()
    made = [*tables(Costs(), Plan()), *simulation.tables(Costs())]
    if told.write:
        told.write.write_text(placed(told.write.read_text(), made))
    else:
        sys.stdout.write("\n\n".join(f"{table.name}\n\n{table.markdown()}" for table in made) + "\n")


if __name__ == "__main__":
    main()
