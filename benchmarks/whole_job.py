"""A whole climate job against the old access pattern."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping

import asyncpg

from benchmarks.outcome import Outcome, speeds
from benchmarks.program import program
from benchmarks.rounds import Size, alternate
from benchmarks.stage import YEARS, now, stage
from ops.generator.cells import Cells
from schemas.errors import RiskflowError
from streams.models.inputs import HISTORICAL
from streams.models.risks import RISKS

WORKERS = 2
RESULTS = {"probability": "probability_results", "hazard": "hazard_results"}
OLD = {kind: f"old_{table}" for kind, table in RESULTS.items()}
"""Tables of the old pattern: the same shape and key, so that no side meets the other's rows."""


async def annual(size: Size) -> list[Outcome]:
    """With annual indices in the database."""
    return await _whole_job("job-annual", size, size.of(8_000, 64), goal=30)


async def daily(size: Size) -> list[Outcome]:
    """The same with FWI from 30 years of days that are drawn from months."""
    return await _whole_job("job-daily", size, size.of(4_000, 64), goal=12, drawn=True)


async def _whole_job(name: str, size: Size, count: int, *, goal: float, drawn: bool = False) -> list[Outcome]:
    services = stage("sink", "producers", "worker", workers=WORKERS)
    async with services as here, program("benchmarks.old_way") as old:
        cells = await here.draw(count, indices=True)
        if drawn:
            await _forget_fire_weather(here.connection)
        part = cells[:: count // size.of(200, 16)]
        await _create_old_tables(here.connection)
        order = _order(here.stack.postgres.url, part)

        async def whole_job() -> float:
            return count / await _complete(here.connection, RESULTS, count, here.job("climate"))

        async def old_way() -> float:
            return len(part) / await _complete(here.connection, OLD, len(part), _seconds(old.ask(order)))

        a, b = await alternate(size, whole_job, old_way)
        note = _note(count, len(part), drawn=drawn, more=here.notes)
        return [speeds(name, "climate job, 2 workers, against the old pattern", "cells/s", a, b, goal, note)]


async def _forget_fire_weather(connection: asyncpg.Connection) -> None:
    """Leave a job the indices of heat, cold and rain, so that only FWI wants drawn days."""
    await connection.execute("UPDATE climate_extremes SET fwi_days = NULL, fwi_max = NULL")
    await connection.execute("VACUUM FULL ANALYZE climate_extremes")


async def _create_old_tables(connection: asyncpg.Connection) -> None:
    for kind, table in OLD.items():
        await connection.execute(
            f"CREATE TABLE {table} (LIKE {RESULTS[kind]} INCLUDING ALL) WITH (fillfactor = 50)"
        )


def _order(dsn: str, cells: Cells) -> dict[str, object]:
    return {
        "dsn": dsn,
        "tables": OLD,
        "scenario": HISTORICAL,
        "window": [YEARS.start, YEARS.end],
        "cells": list(zip(cells.latitude.tolist(), cells.longitude.tolist(), strict=True)),
    }


async def _seconds(work: Awaitable[object]) -> float:
    begun = now()
    await work
    return now() - begun


async def _complete(
    connection: asyncpg.Connection, tables: Mapping[str, str], cells: int, work: Awaitable[float]
) -> float:
    """What the work gives, which has written a row of each risk and kind for so many cells.

    Raises:
        RiskflowError: Rows are missing, or were left as they had been.
    """
    begun = await connection.fetchval("SELECT clock_timestamp()")
    value = await work
    for table in tables.values():
        new = await connection.fetchval(f"SELECT count(*) FROM {table} WHERE calculated_at >= $1", begun)
        if new != cells * len(RISKS):
            raise RiskflowError(f"{table} has {new} new rows; {cells} cells are {cells * len(RISKS)}")
    return value


def _note(cells: int, part: int, *, drawn: bool, more: list[str]) -> str:
    weather = ", FWI from 30 years of drawn days," if drawn else ", annual indices loaded,"
    said = (
        f"A: {cells:,} cells, both kinds{weather} in one pass. B: {part} cells spread over the same grid, "
        "both kinds as two jobs, four processes, a new connection per SELECT and a committed INSERT per "
        "row; its yearly intensities are plain aggregates of months, without SPEI, FWI, GEV, storm winds or "
        "daily weather. Both write 18 rows a cell."
    )
    return " ".join([said, *(f"({note})" for note in more)])
