"""What to say where there is nothing to export: which results there are."""

from __future__ import annotations

import asyncpg

from ops.export.request import ExportRequest
from ops.export.rows import Outline
from ops.result_windows import ResultWindow, result_windows
from schemas.errors import NotFound

LISTED = 8
"""Most scenarios and windows that a sentence lists."""


class NoResults(NotFound):
    """Nothing is stored of the risks, scenario, window and part of the grid that are asked for."""


async def nothing_found(connection: asyncpg.Connection, request: ExportRequest, found: Outline) -> NoResults:
    """The sentence about what is missing and what there is instead."""
    missing = [risk for risk in request.risks if risk not in found.risks]
    what = f"of {', '.join(missing)} " if missing else ""
    where = " in this bbox" if request.bbox else ""
    window = f"{request.window.start}-{request.window.end}"
    there = _listed(await result_windows(connection))
    return NoResults(
        f"there are no results {what}under scenario {request.scenario}, {window}{where}; {there}"
    )


def _listed(windows: list[ResultWindow]) -> str:
    if not windows:
        return "no job has stored any; start one with: riskflow trigger climate"
    shown = "; ".join(
        f"{one.scenario} {one.start}-{one.end} ({', '.join(one.risks)})" for one in windows[:LISTED]
    )
    return f"there are: {shown}" + ("; and more" if len(windows) > LISTED else "")
