"""A whole climate job against the bare limit: the same work in two processes, without broker and ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

import asyncpg

from benchmarks.outcome import Outcome, speeds
from benchmarks.program import Program, program
from benchmarks.rounds import Size, alternate
from benchmarks.stage import YEARS, now, stage
from schemas.errors import RiskflowError
from streams.models.risks import RISKS

JOB_ID = "bare"
"""Of the rows that the bare side writes."""
PROCESSES = 2
GOAL = 0.70
TABLES = ("probability_results", "hazard_results")
OF_ITS_OWN = "ARRAY['id', 'calculated_at', 'job_id', 'job_seq']"
"""Columns in which the rows of two jobs differ whatever they compute."""

Chunks = Sequence[Sequence[tuple[float, float]]]


async def limit(size: Size) -> list[Outcome]:
    """Annual indices are stored; both sides update the rows of a job before."""
    count = size.of(8_000, 128)
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(stage("sink", "producers", "worker", workers=PROCESSES))
        programs = [await stack.enter_async_context(program("benchmarks.bare")) for _ in range(PROCESSES)]
        await here.draw(count, indices=True)
        await asyncio.gather(*(each.ask({"dsn": here.stack.postgres.url}) for each in programs))
        await here.job("climate")
        chunks, rows = await _last_chunks(here.connection), await _digests(here.connection)

        async def whole_job() -> float:
            return count / await here.job("climate")

        async def bare() -> float:
            return count / await _bare(here.connection, programs, chunks)

        a, b = await alternate(size, whole_job, bare)
        await _check(here.connection, count, rows)
        note = " ".join([_note(count, here.settings.batch_size), *(f"({note})" for note in here.notes)])
        return [speeds("limit", "climate job against the bare limit", "cells/s", a, b, GOAL, note)]


async def _last_chunks(connection: asyncpg.Connection) -> Chunks:
    """Cells of the last job, as its chunks have them."""
    rows = await connection.fetch(
        """
        SELECT latitudes::float8[], longitudes::float8[] FROM batch_job_chunks
        WHERE job_id = (SELECT job_id FROM batch_job_logs ORDER BY job_seq DESC LIMIT 1) ORDER BY chunk
        """
    )
    return [list(zip(row["latitudes"], row["longitudes"], strict=True)) for row in rows]


async def _bare(connection: asyncpg.Connection, programs: Sequence[Program], chunks: Chunks) -> float:
    """Seconds that the programs take, each with every other chunk."""
    order = {
        "job_id": JOB_ID,
        "job_seq": await connection.fetchval("SELECT nextval('riskflow.job_seq')"),
        "window": [YEARS.start, YEARS.end],
    }
    orders = [order | {"chunks": chunks[i :: len(programs)]} for i in range(len(programs))]
    begun = now()
    await asyncio.gather(*(each.ask(order) for each, order in zip(programs, orders, strict=True)))
    return now() - begun


async def _digests(connection: asyncpg.Connection) -> list[str]:
    """What the rows of each table say, to the last digit."""
    return [
        await connection.fetchval(
            f"""
            SELECT md5(string_agg(said::text, '' ORDER BY latitude, longitude, risk_type))
            FROM {table} r, LATERAL (SELECT to_jsonb(r) - {OF_ITS_OWN}) AS content (said)
            """
        )
        for table in TABLES
    ]


async def _check(connection: asyncpg.Connection, cells: int, before: Sequence[str]) -> None:
    """Whether the bare side, which came last, has replaced every row by an equal one.

    Raises:
        RiskflowError: It has not.
    """
    for table in TABLES:
        written = await connection.fetchval(f"SELECT count(*) FROM {table} WHERE job_id = $1", JOB_ID)
        if written != cells * len(RISKS):
            raise RiskflowError(f"the bare side wrote {written} rows of {table}, not {cells * len(RISKS)}")
    if await _digests(connection) != before:
        raise RiskflowError("the bare side's rows differ from riskflow's")


def _note(cells: int, batch_size: int) -> str:
    return (
        f"{cells:,} cells in chunks of {batch_size}, both kinds, rows updated, equal on both sides to the "
        "last digit. B: bulk read, kernels and COPY upsert in two processes, a commit per chunk; no broker, "
        "no message, no JSON but that of the rows, no ledger and no counters."
    )
