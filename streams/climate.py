"""The climate agent's work: a chunk of cells in, one result message per kind out."""

from __future__ import annotations

from functools import partial

import asyncpg

from schemas.codec import Record
from schemas.messages import GridChunk
from schemas.topics import GRID_CHUNKS
from streams.cells import Reading, input_groups, read_chunk, read_tracks
from streams.chunk import compute, encoded, named_chunk, origin_of, read_message
from streams.ledger import Start, find_cells, patiently
from streams.models.inputs import HourlyTracks, Years
from streams.models.tables import RiskTables
from streams.request import Request
from streams.results import failed_chunk
from streams.tracks import JobTracks
from streams.work import Compute, is_of_other_run


class ClimateWork:
    """Chunks of cells.

    Args:
        pool: Connections for as many chunks as an agent's window holds.
        tables: Edges and damage rates in use.
    """

    name = "climate"
    topic = GRID_CHUNKS

    def __init__(self, pool: asyncpg.Pool, tables: RiskTables) -> None:
        self._pool = pool
        self._tables = tables
        self._tracks = JobTracks(self._read_tracks)

    def read_message(self, value: bytes | None) -> GridChunk:
        """As `streams.chunk.read_message`."""
        return read_message(value)

    async def prepare(self, chunk: GridChunk, start: Start, traceparent: str | None) -> Compute:
        """Read the inputs of all the chunk's cells."""
        reading = await self._read(chunk, start)
        return partial(compute, chunk, origin_of(chunk, start.job_seq), reading, self._tables, traceparent)

    async def failures(
        self, key: bytes | None, value: bytes | None, error: Exception, traceparent: str | None
    ) -> list[Record]:
        """A failure result for each kind of the chunk's job; none of an earlier run fails the present one."""
        chunk_id = named_chunk(key, value)
        found = await find_cells(self._pool, chunk_id) if chunk_id else None
        if found is None:
            return []
        origin, kinds = found
        if is_of_other_run(value, origin.job_seq):
            return []
        failure = f"chunk {origin.chunk}: {error}"
        return [
            encoded(kind, failed_chunk(kind, origin, failure, self._tables), traceparent) for kind in kinds
        ]

    async def _read(self, chunk: GridChunk, start: Start) -> Reading:
        window = Years(chunk.window.start, chunk.window.end)
        baseline = Years(chunk.baseline.start, chunk.baseline.end)
        groups = input_groups(chunk.risks)
        tracks = None
        if "storms" in groups:
            tracks = await self._tracks.of_job(chunk.job_id, start.job_seq, window, baseline)
        request = Request(chunk.cells, chunk.scenario, window, baseline, groups)
        return await patiently(self._pool, lambda connection: read_chunk(connection, request, tracks))

    async def _read_tracks(self, window: Years, baseline: Years) -> HourlyTracks:
        return await patiently(self._pool, lambda connection: read_tracks(connection, window, baseline))
