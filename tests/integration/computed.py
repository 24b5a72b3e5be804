"""Whole climate jobs without broker and processes: accepted, computed and stored in one call."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import asyncpg
from flow_samples import accept, as_read, open_sink, sink

from producers.chunks import unsent
from schemas.codec import Record
from schemas.messages import Trigger
from schemas.settings import Settings
from streams.cells import Reading, read_cells, read_tracks
from streams.chunk import compute, origin_of
from streams.models.inputs import Years
from streams.models.tables import builtin_tables

MANY = 10_000


async def run_job(
    connection: asyncpg.Connection,
    settings: Settings,
    job_id: str,
    risks: Sequence[str] | None = None,
    **fields: Any,
) -> None:
    """Accept a job, compute its chunks as the worker does and store them as the sink does."""
    asked = Trigger(**({"job_type": "climate"} | fields), job_id=job_id, risks=risks)
    await accept(connection, settings, as_read(asked))
    session = await open_sink(settings)
    for work in await unsent(connection, MANY):
        chunk = work.message
        if chunk.job_id != job_id:
            continue
        window = Years(chunk.window.start, chunk.window.end)
        baseline = Years(chunk.baseline.start, chunk.baseline.end)
        inputs = await read_cells(
            connection,
            chunk.cells,
            scenario=chunk.scenario,
            window=window,
            baseline=baseline,
            risks=chunk.risks,
            tracks=await read_tracks(connection, window, baseline),
        )
        origin = origin_of(chunk, chunk.job_seq)
        for record in compute(chunk, origin, Reading(inputs, {}), builtin_tables()):
            await sink(session, settings, _read(record))
    await session.close()


def _read(record: Record) -> SimpleNamespace:
    place = {"topic": record.topic, "partition": 0, "offset": 0, "timestamp": 1_700_000_000_000}
    return SimpleNamespace(key=record.key, value=record.value, headers=tuple(record.headers), **place)
