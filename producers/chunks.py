"""Chunks of open climate jobs as the ledger holds them, and the messages about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from producers.work import SOURCE, Work
from schemas.codec import Record, encode
from schemas.messages import GridChunk, HazardResult, Kind, ProbabilityResult, Window
from schemas.topics import GRID_CHUNKS, RESULT_TOPICS

NO_TABLE = "none"
"""risk_table of a result that no table of risks has made."""

# Kinds that have an outcome already are left out, so that a repeat computes only what is missing.
_FIELDS = """
    SELECT j.job_id, j.job_seq, j.scenario, j.window_start, j.window_end, j.baseline_start, j.baseline_end,
           j.risks, j.uncertainty, j.traceparent, j.chunks_total,
           c.chunk_id, c.chunk, c.latitudes, c.longitudes, c.losses,
           ARRAY (SELECT k.kind FROM unnest(j.kinds) WITH ORDINALITY AS k (kind, place)
                  WHERE NOT EXISTS (SELECT FROM batch_job_outcomes o
                                    WHERE (o.job_id, o.chunk, o.kind) = (c.job_id, c.chunk, k.kind))
                  ORDER BY k.place) AS kinds
    FROM batch_job_logs j JOIN batch_job_chunks c USING (job_id)
    WHERE c.topic = $1 AND j.status IN ('pending', 'running') AND j.job_seq > 0 AND c.kinds_left > 0
"""
_UNSENT = f"{_FIELDS} AND c.sent_at IS NULL ORDER BY j.job_seq, c.chunk LIMIT $2"
_BY_ID = f"{_FIELDS} AND c.chunk_id = ANY ($2::text[]) ORDER BY c.chunk_id"


@dataclass(frozen=True, slots=True)
class Chunk(Work[GridChunk]):
    """A chunk of an open climate job with the kinds that have no outcome yet."""

    topic = GRID_CHUNKS

    def failures(self, reason: str) -> list[Record]:
        """A failed result per kind that is still missing."""
        return [self._failure(kind, reason) for kind in self.message.kinds]

    def _failure(self, kind: Kind, reason: str) -> Record:
        model = ProbabilityResult if kind == "probability" else HazardResult
        chunk = self.message
        result = model(
            job_id=chunk.job_id,
            job_seq=chunk.job_seq,
            chunk_id=chunk.chunk_id,
            chunk=chunk.chunk,
            scenario=chunk.scenario,
            window=chunk.window,
            cells=chunk.cells,
            risk_table=NO_TABLE,
            risks=[],
            failure=reason,
        )
        return encode(RESULT_TOPICS[kind], result, source=SOURCE, traceparent=self.traceparent)


async def unsent(connection: asyncpg.Connection, limit: int) -> list[Chunk]:
    """Chunks that wait to be sent, in order of acceptance and place."""
    return [_chunk(row) for row in await connection.fetch(_UNSENT, GRID_CHUNKS.name, limit)]


async def by_id(connection: asyncpg.Connection, chunk_ids: Sequence[str]) -> list[Chunk]:
    """Those of the named chunks that belong to open jobs and lack an outcome."""
    return [_chunk(row) for row in await connection.fetch(_BY_ID, GRID_CHUNKS.name, list(chunk_ids))]


def _chunk(row: asyncpg.Record) -> Chunk:
    message = GridChunk(
        job_id=row["job_id"],
        job_seq=row["job_seq"],
        chunk_id=row["chunk_id"],
        chunk=row["chunk"],
        chunks=row["chunks_total"],
        kinds=row["kinds"],
        risks=row["risks"],
        scenario=row["scenario"],
        window=Window(start=row["window_start"], end=row["window_end"]),
        baseline=Window(start=row["baseline_start"], end=row["baseline_end"]),
        uncertainty=row["uncertainty"],
        cells=list(zip(row["latitudes"], row["longitudes"], strict=True)),
    )
    return Chunk(message, row["traceparent"], row["losses"])
