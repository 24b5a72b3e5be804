"""What the second act prints: a row per school from the database, what was caught, where the pages lie."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import asyncpg
from rich.console import Console
from rich.padding import Padding
from rich.style import Style
from rich.text import Text

from ops.demo.report import titled_table

_ROWS = """
    SELECT s.org_id, s.total_students AS students, s.crit_count AS crit, s.warn_count AS warn,
           s.ok_count AS ok, s.insufficient_data AS insufficient,
           max(d.state) FILTER (WHERE d.channel = 'email') AS email,
           max(d.state) FILTER (WHERE d.channel = 'slack') AS slack
    FROM tenant_risk_summary s LEFT JOIN report_deliveries d USING (org_id, report_date)
    WHERE s.report_date = $1 AND s.org_id = ANY ($2)
    GROUP BY s.org_id, s.report_date ORDER BY array_position($2, s.org_id)
"""


@dataclass(frozen=True, slots=True)
class SchoolRow:
    """One school's report: students by level, and the state of each delivery, None without the channel."""

    org_id: str
    students: int
    crit: int
    warn: int
    ok: int
    insufficient: int
    email: str | None
    slack: str | None


async def school_rows(
    connection: asyncpg.Connection, report_date: date, org_ids: Sequence[str]
) -> list[SchoolRow]:
    """The schools' reports of a date, in the order of the ids."""
    return [SchoolRow(**row) for row in await connection.fetch(_ROWS, report_date, org_ids)]


def print_schools(console: Console, rows: Iterable[SchoolRow], title: str) -> None:
    """The table."""
    table = titled_table(title)
    table.add_column("school", no_wrap=True)
    for heading in ("students", "CRIT", "WARN", "OK", "insufficient"):
        table.add_column(heading, justify="right")
    for heading in ("e-mail", "Slack"):
        table.add_column(heading, no_wrap=True)
    for row in rows:
        counts = (row.students, row.crit, row.warn, row.ok, row.insufficient)
        table.add_row(row.org_id, *map(str, counts), row.email or "-", row.slack or "-")
    console.print(table)


def print_caught(console: Console, what: str, caught: Iterable[tuple[str, str]]) -> None:
    """What a receiver of the demo holds: a line in its own words, and one on how it came."""
    console.print(f"{what}:", highlight=False)
    for text, details in caught:
        console.print(Padding(Text(text), (0, 0, 0, 2)))
        console.print(Padding(Text(details), (0, 0, 0, 6)))


def print_pages(console: Console, folder: Path, report_date: date, org_ids: Iterable[str]) -> None:
    """Addresses that a terminal opens."""
    console.print(f"The pages (the next demo overwrites {folder}):", highlight=False, soft_wrap=True)
    for org_id in org_ids:
        page = folder.absolute() / report_date.isoformat() / f"{org_id}_report.html"
        # The link is whole where the terminal breaks its text.
        console.print("  ", Text(page.as_uri(), Style(link=page.as_uri())), sep="", soft_wrap=True)
