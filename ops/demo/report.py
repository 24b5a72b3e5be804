"""What the demo prints: a row per risk, read from the rows that the jobs have written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import asyncpg
from rich import box
from rich.console import Console
from rich.table import Table

from streams.models.hazard import LEVELS

SMALL_LOSS = 1e-5
"""Expected annual loss below which six decimals would hide the number."""

_ROWS = """
    SELECT p.risk_type, count(*) AS cells, count(p.aal) AS with_number, avg(p.aal) AS mean_aal,
           array_agg(h.hazard_level) AS levels,
           array_agg(DISTINCT p.reason) FILTER (WHERE p.reason IS NOT NULL) AS reasons,
           array_agg(DISTINCT p.basis) FILTER (WHERE p.basis IS NOT NULL) AS bases
    FROM probability_results p
    JOIN hazard_results h USING (latitude, longitude, risk_type, scenario, window_start, window_end)
    LEFT JOIN riskflow.risk_types USING (risk_type)
    WHERE (p.scenario, p.window_start, p.window_end) = ($1, $2, $3)
    GROUP BY risk_type, position ORDER BY position
"""


@dataclass(frozen=True, slots=True)
class RiskSummary:
    """One risk over all cells of a scenario and window."""

    risk_type: str
    cells: int
    with_number: int
    mean_aal: float | None
    level_counts: Mapping[str, int]
    reasons: list[str]
    bases: list[str]


async def summaries(
    connection: asyncpg.Connection, scenario: str, window_start: int, window_end: int
) -> list[RiskSummary]:
    """Every risk that both jobs have written for the scenario and window."""
    rows = await connection.fetch(_ROWS, scenario, window_start, window_end)
    return [
        RiskSummary(
            risk_type=row["risk_type"],
            cells=row["cells"],
            with_number=row["with_number"],
            mean_aal=row["mean_aal"],
            level_counts={level: row["levels"].count(level) for level in LEVELS},
            reasons=row["reasons"] or [],
            bases=row["bases"] or [],
        )
        for row in rows
    ]


def print_summaries(
    console: Console, risks: list[RiskSummary], assumed: Mapping[str, tuple[str, ...]], title: str
) -> None:
    """The table; a star marks a risk that rests on an assumption for the demonstration."""
    table = titled_table(title)
    table.add_column("risk", no_wrap=True)
    table.add_column("cells", justify="right", no_wrap=True)
    table.add_column("mean AAL", justify="right", no_wrap=True)
    for level in LEVELS:
        table.add_column(level, justify="right", min_width=6)
    table.add_column("gaps")
    for risk in risks:
        table.add_row(
            risk.risk_type + ("*" if risk.risk_type in assumed else ""),
            str(risk.cells),
            _loss(risk.mean_aal),
            *[_share(risk.level_counts[level], risk.with_number) for level in LEVELS],
            _without(risk),
        )
    console.print(table)
    if assumed:
        marks = "; ".join(f"{risk}: {', '.join(tables)}" for risk, tables in assumed.items())
        console.print(f"* rests on an assumption for the demonstration ({marks}).", highlight=False)
    console.print(
        "AAL: expected loss a year as a share of the asset's value. Levels compare cells within a risk; "
        "across risks compare AAL.",
        highlight=False,
    )


def titled_table(title: str) -> Table:
    """An empty table as the demo prints them: a line under the head, and nothing else."""
    return Table(
        title=title,
        title_justify="left",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )


def _loss(aal: float | None) -> str:
    if aal is None:
        return ""
    return f"{aal:.6f}" if aal == 0 or aal >= SMALL_LOSS else f"{aal:.1e}"


def _share(count: int, of: int) -> str:
    return f"{100 * count / of:.0f} %" if of else ""


def _without(risk: RiskSummary) -> str:
    missing = risk.cells - risk.with_number
    return f"{missing}: {'; '.join(risk.reasons)}" if missing else "0"
