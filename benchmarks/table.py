"""The table of ratios, on the terminal, as JSON and as a page of the docs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import orjson
from rich.table import Table

from benchmarks.machine import described
from benchmarks.outcome import Outcome

COLUMNS = ("benchmark", "A against B", "A", "B", "ratio", "goal", "")
PASSED = {True: "pass", False: "MISS"}
LEGEND = """\
Each row measures A and B in alternation in one run, after a warm-up of both; A and B are medians, and their
ratio is what counts: the times themselves are those of this machine on that day. Where there is no B, the
ratio is that of A to a fixed bound.
"""


def cells(outcome: Outcome) -> tuple[str, ...]:
    """One row as the table shows it."""
    return (
        outcome.name,
        outcome.compares,
        number(median(outcome.a), outcome.unit),
        number(median(outcome.b), outcome.unit) if outcome.b else "-",
        figures(outcome.ratio),
        f"{outcome.sense} {outcome.goal:g}",
        PASSED[outcome.passed],
    )


def number(value: float, unit: str) -> str:
    """A median with its unit, three figures of it."""
    return f"{figures(value)} {unit}"


def figures(value: float) -> str:
    """Three figures of a number, all before its point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"  # noqa: PLR2004 - four figures are whole


def terminal_table(outcomes: Sequence[Outcome]) -> Table:
    """The table for a terminal."""
    table = Table(*COLUMNS)
    for outcome in outcomes:
        table.add_row(*cells(outcome), style=None if outcome.passed else "red")
    return table


def write_json(file: Path, outcomes: Sequence[Outcome]) -> None:
    """A list of objects, one per row."""
    file.write_bytes(
        orjson.dumps([outcome.document() for outcome in outcomes], option=orjson.OPT_INDENT_2) + b"\n"
    )


def write_page(file: Path, outcomes: Sequence[Outcome], command: str) -> None:
    """The table as Markdown, with date, command, machine and what each row says of itself."""
    rows = ["| " + " | ".join(cells(outcome)) + " |" for outcome in outcomes]
    notes = [
        f"- *{outcome.name}*, {outcome.compares}: {outcome.note}" for outcome in outcomes if outcome.note
    ]
    lines = [
        "# Benchmarks",
        "",
        f"`{command}` on {dt.datetime.now(tz=dt.UTC):%Y-%m-%d}; {described()}.",
        "",
        LEGEND,
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
        *rows,
        "",
        *notes,
    ]
    file.write_text("\n".join(lines).rstrip() + "\n")
