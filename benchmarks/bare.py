"""The limit of what the work allows: read, compute, write, without broker and ledger; a program of its own.

The same bulk read, kernels and upsert as riskflow's, chunk after chunk, a commit each. Results go from the
kernels to the rows as objects: no message is written as JSON or read from it, no outcome is noted, no counter
moved. What is JSON in a row (probability, bin_data) stays JSON.

The first line in is {"dsn"}, answered by {"ready": true} with kernels compiled; each further one {"job_id",
"job_seq", "window": [first, last], "chunks": [[[latitude, longitude], ...], ...]}, answered by {"cells": how
many were written}.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
import orjson

from consumers import upserts
from ops.logs import configure
from schemas.database import session
from schemas.messages import KINDS_OF, HazardResult, ProbabilityResult, Window
from schemas.settings import Settings
from streams.cells import Reading, input_groups, read_chunk, read_tracks
from streams.isolation import assess_apart
from streams.models.inputs import HISTORICAL, HourlyTracks, Years
from streams.models.risks import RISKS
from streams.models.tables import builtin_tables
from streams.request import Request
from streams.results import Origin, result
from streams.service import compile_kernels

TABLES = builtin_tables()
GROUPS = input_groups(RISKS)

Chunk = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Order:
    """Which chunks, for which years; whose rows they are, and their place among jobs."""

    job_id: str
    job_seq: int
    window: tuple[int, int]
    chunks: Sequence[Chunk]


def ordered(line: str) -> Order:
    """The order that a line gives."""
    told = orjson.loads(line)
    start, end = told["window"]
    chunks = [[(latitude, longitude) for latitude, longitude in cells] for cells in told["chunks"]]
    return Order(told["job_id"], told["job_seq"], (start, end), chunks)


def computed(reading: Reading, origin: Origin) -> tuple[list[upserts.Row], list[upserts.Row]]:
    """Rows of both kinds."""
    unreadable = reading.corrupt_months
    outcomes = [
        assess_apart(reading.inputs, risk, TABLES, uncertainty=False, unreadable=unreadable)
        for risk in RISKS.values()
    ]
    probability: list[upserts.Row] = []
    hazard: list[upserts.Row] = []
    for kind in KINDS_OF["climate"]:
        found = result(kind, origin, outcomes, TABLES)
        if isinstance(found, ProbabilityResult):
            probability.extend(upserts.probability_rows(found))
        elif isinstance(found, HazardResult):
            hazard.extend(upserts.hazard_rows(found))
    return probability, hazard


async def store(
    connection: asyncpg.Connection, order: Order, chunk: int, cells: Chunk, tracks: HourlyTracks
) -> None:
    """One chunk, from its inputs to its rows' commit."""
    years = Years(*order.window)
    reading = await read_chunk(connection, Request(cells, HISTORICAL, years, years, GROUPS), tracks)
    window = Window(start=years.start, end=years.end)
    origin = Origin(order.job_id, order.job_seq, f"{order.job_id}:{chunk}", chunk, HISTORICAL, window, cells)
    probability, hazard = computed(reading, origin)
    async with connection.transaction():
        await upserts.write(connection, upserts.PROBABILITY, probability)
        await upserts.write(connection, upserts.HAZARD, hazard)


async def work(connection: asyncpg.Connection, order: Order) -> int:
    """All chunks of an order; returns the cells written."""
    years = Years(*order.window)
    tracks = await read_tracks(connection, years, years)
    for chunk, cells in enumerate(order.chunks, 1):
        await store(connection, order, chunk, cells, tracks)
    return sum(map(len, order.chunks))


def say(answer: object) -> None:
    """One line."""
    sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
    sys.stdout.buffer.flush()


async def main(dsn: str) -> None:
    """Answer orders until there are none."""
    async with session(dsn, application="bare") as connection:
        await upserts.create_temporary(connection)
        say({"ready": True})
        while line := await asyncio.to_thread(sys.stdin.readline):
            say({"cells": await work(connection, ordered(line))})


if __name__ == "__main__":
    configure(Settings(_env_file=None, log_level="ERROR"), "bare")
    compile_kernels()
    asyncio.run(main(orjson.loads(sys.stdin.readline())["dsn"]))
