"""Which scenarios and windows have results, without reading the result tables: they may be large."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

# The log says what each job has reported. What was there before riskflow no job has written: the
# migration counted it once.
_WINDOWS = """
    SELECT scenario, window_start, window_end, max(cells)::integer AS cells,
           array_agg(DISTINCT risk_type ORDER BY risk_type) AS risks
    FROM (SELECT j.scenario, j.window_start, j.window_end, r.risk_type,
                 -- A job of two kinds reports each cell twice.
                 (r.reported - r.failed + cardinality(j.kinds) - 1)
                     / greatest(cardinality(j.kinds), 1) AS cells
          FROM batch_job_logs j JOIN batch_job_risks r USING (job_id)
          WHERE j.scenario IS NOT NULL AND r.reported > r.failed
          UNION ALL
          SELECT scenario, window_start, window_end, risk_type, cells FROM riskflow.results_before) AS reports
    GROUP BY 1, 2, 3 ORDER BY scenario <> 'historical', scenario, window_start, window_end
"""


@dataclass(frozen=True, slots=True)
class ResultWindow:
    """A scenario and years with results.

    Attributes:
        scenario: The scenario.
        start, end: First and last year.
        cells: Most cells that one job has reported of a risk; jobs for parts of the grid are not added up.
        risks: Names of the risks that have results, ascending.
    """

    scenario: str
    start: int
    end: int
    cells: int
    risks: tuple[str, ...]


async def result_windows(connection: asyncpg.Connection) -> list[ResultWindow]:
    """All of them, `historical` first."""
    return [
        ResultWindow(
            row["scenario"], row["window_start"], row["window_end"], row["cells"], tuple(row["risks"])
        )
        for row in await connection.fetch(_WINDOWS)
    ]
