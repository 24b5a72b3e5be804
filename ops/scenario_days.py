"""Deriving a scenario with daily weather: the files of its source, changed day by day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace as changed
from pathlib import Path

import asyncpg

from ops.load.change import DeltaChange
from ops.load.loader import load
from ops.load.options import Loaded, LoadOptions
from ops.scenarios import Derived, derive

_OF_DAYS = {
    "high_temperature": "WSDI over the thresholds of historical",
    "cold_wave": "CSDI under the thresholds of historical",
    "wildfire": "FWI",
}


async def derive_with_days(  # noqa: PLR0913 - each named at the call
    connection: asyncpg.Connection,
    files: Sequence[Path],
    options: LoadOptions,
    change: DeltaChange,
    *,
    by: str,
    replaced: bool = False,
) -> tuple[Derived, Loaded]:
    """As `ops.scenarios.derive`, and spells and fire weather from changed days.

    Args:
        connection: Outside a transaction; this is one.
        files: Daily weather of `change.source`, as `riskflow load daily` takes it.
        options: Of the load.
        change: The change, and the names of both scenarios.
        by: Who asks.
        replaced: As `replace` of `derive`.

    Returns:
        What was derived, and what the files gave.

    Raises:
        InvalidFile: A file is refused. Nothing was changed.
        RefusedScenario: As `derive`.
    """
    async with connection.transaction():
        derived = await derive(
            connection,
            source=change.source,
            name=change.scenario,
            ta=change.ta,
            rn=change.rn,
            by=by,
            replace=replaced,
        )
        loaded = await load("daily", files, connection, changed(options, change=change))
    told = derived.rests_on | {
        risk: f"{index} of the changed days in the files; cells that are not in them: no number, or as below"
        for risk, index in _OF_DAYS.items()
    }
    return changed(derived, rests_on=told), loaded
