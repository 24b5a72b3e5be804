"""A chunk between its record and its results: read, computed, encoded; no I/O."""

from __future__ import annotations

from schemas.codec import Record, decode, encode
from schemas.messages import GridChunk, HazardResult, Kind, ProbabilityResult
from schemas.topics import RESULT_TOPICS
from streams.cells import Reading
from streams.isolation import assess_apart
from streams.models.risks import RISKS
from streams.models.tables import RiskTables
from streams.results import Origin, result
from streams.work import UncomputableChunk, chunk_in_json, within_bytes

SOURCE = "climate-agent"
"""Who speaks, for the header ce_source."""


def compute(
    chunk: GridChunk, origin: Origin, reading: Reading, tables: RiskTables, traceparent: str | None = None
) -> list[Record]:
    """The result records of a chunk, one per kind; runs in a thread.

    Raises:
        UncomputableChunk: A result would be larger than MAX_RESULT_BYTES.
    """
    uncertainty = chunk.uncertainty and "probability" in chunk.kinds
    outcomes = [
        assess_apart(
            reading.inputs,
            RISKS[name],
            tables,
            uncertainty=uncertainty,
            unreadable=reading.corrupt_months if "months" in RISKS[name].inputs else {},
        )
        for name in chunk.risks
    ]
    records = [encoded(kind, result(kind, origin, outcomes, tables), traceparent) for kind in chunk.kinds]
    return within_bytes(records, f"{len(chunk.cells)} cells", "BATCH_SIZE")


def read_message(value: bytes | None) -> GridChunk:
    """The chunk that a record asks for.

    Raises:
        InvalidMessage: It cannot be decoded; names the field.
        UncomputableChunk: It asks for a risk that this version does not know.
    """
    chunk = decode(GridChunk, value)
    unknown = [risk for risk in chunk.risks if risk not in RISKS]
    if unknown:
        raise UncomputableChunk(f"unknown risk {', '.join(unknown)}; this worker knows {', '.join(RISKS)}")
    return chunk


def origin_of(chunk: GridChunk, job_seq: int) -> Origin:
    """Results bear the job's present sequence, which a resumed job has renewed."""
    return Origin(
        job_id=chunk.job_id,
        job_seq=job_seq,
        chunk_id=chunk.chunk_id,
        chunk=chunk.chunk,
        scenario=chunk.scenario,
        window=chunk.window,
        cells=chunk.cells,
    )


def encoded(kind: Kind, message: ProbabilityResult | HazardResult, traceparent: str | None) -> Record:
    """The record of a result."""
    return encode(RESULT_TOPICS[kind], message, source=SOURCE, traceparent=traceparent)


def named_chunk(key: bytes | None, value: bytes | None) -> str | None:
    """Which chunk a record was that cannot be decoded: by its key, else by what its JSON still says."""
    return key.decode(errors="replace") if key else chunk_in_json(value)
