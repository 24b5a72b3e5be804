"""The tenant agent's work: a part of a tenant's students in, one message with their metrics out."""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from zoneinfo import ZoneInfo

import asyncpg

from schemas.codec import Record, decode, encode
from schemas.tenant_messages import TenantChunk, TenantMetrics
from schemas.tenants import Thresholds
from schemas.topics import TENANT_CHUNKS, TENANT_METRICS
from streams.ledger import Start, find_part, patiently
from streams.metrics import PartOrigin, failed_part, part_metrics
from streams.models.student_levels import StudentThresholds, student_levels
from streams.models.students import student_metrics
from streams.students import Reading, read_students
from streams.work import Compute, UncomputableChunk, chunk_in_json, is_of_other_run, within_bytes

SOURCE = "tenant-agent"
"""Who speaks, for the header ce_source."""


class TenantWork:
    """Parts of tenants.

    Args:
        pool: Connections for as many parts as an agent's window holds.
    """

    name = "tenant"
    topic = TENANT_CHUNKS

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    def read_message(self, value: bytes | None) -> TenantChunk:
        """The part that a record asks for.

        Raises:
            InvalidMessage: It cannot be decoded; names the field.
            UncomputableChunk: There is no such time zone.
        """
        chunk = decode(TenantChunk, value)
        # PostgreSQL would take a misspelt zone such as Seoul9 for one of POSIX, with the wrong sign.
        try:
            ZoneInfo(chunk.timezone)
        except (OSError, ValueError, KeyError) as error:
            raise UncomputableChunk(
                f"time zone {chunk.timezone} is not in the IANA database; correct it in TENANTS_FILE"
            ) from error
        return chunk

    async def prepare(self, chunk: TenantChunk, start: Start, traceparent: str | None) -> Compute:
        """Read the rows of the part's students."""
        reading = await patiently(self._pool, lambda connection: read_students(connection, chunk))
        return partial(compute_part, chunk, start.job_seq, reading, traceparent)

    async def failures(
        self, key: bytes | None, value: bytes | None, error: Exception, traceparent: str | None
    ) -> list[Record]:
        """The failure of the part, of the present run only; the record's key is its tenant, names no part."""
        del key
        chunk_id = chunk_in_json(value)
        origin = await find_part(self._pool, chunk_id) if chunk_id else None
        if origin is None or is_of_other_run(value, origin.job_seq):
            return []
        failure = f"part {origin.part} of {origin.parts}: {error}"
        return [encoded(failed_part(origin, failure), traceparent)]


def compute_part(
    chunk: TenantChunk, job_seq: int, reading: Reading, traceparent: str | None = None
) -> list[Record]:
    """The result record of a part; runs in a thread.

    Raises:
        UncomputableChunk: The models refuse the inputs, or the result is larger than MAX_RESULT_BYTES.
        pydantic.ValidationError: A metric is outside its range.
    """
    thresholds = student_thresholds(chunk.thresholds)
    try:
        metrics = student_metrics(
            reading.inputs,
            irt_scaling=chunk.irt_scaling,
            excused_is_absent=thresholds.excused_is_absent,
        )
        levels = student_levels(metrics, thresholds)
    except Exception as error:
        raise UncomputableChunk(f"the models fail on this part: {type(error).__name__}: {error}") from error
    record = encoded(
        part_metrics(origin_of(chunk, job_seq), reading.student_ids, metrics, levels), traceparent
    )
    return within_bytes([record], f"{len(reading.student_ids)} students", "STUDENTS_PER_PART")


def student_thresholds(thresholds: Thresholds) -> StudentThresholds:
    """The same as the models take them."""
    return StudentThresholds(
        **{f"theta_{name}": value for name, value in thresholds.theta},
        **{f"omit_{name}": value for name, value in thresholds.omit},
        **{f"guess_{name}": value for name, value in thresholds.guess},
        **dict(thresholds.attendance),
    )


def origin_of(chunk: TenantChunk, job_seq: int) -> PartOrigin:
    """Results bear the job's present sequence, which a resumed job has renewed."""
    same = {field.name: getattr(chunk, field.name) for field in fields(PartOrigin)}
    return PartOrigin(**same | {"job_seq": job_seq})


def encoded(message: TenantMetrics, traceparent: str | None) -> Record:
    """The record of a result."""
    return encode(TENANT_METRICS, message, source=SOURCE, traceparent=traceparent)
