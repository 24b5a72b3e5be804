"""Parts of the tenants of open weekly jobs as the ledger holds them, and the messages about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from producers.work import SOURCE, Work
from schemas.codec import Record, encode
from schemas.tenant_messages import TenantChunk, TenantMetrics
from schemas.tenants import Tenant
from schemas.topics import TENANT_CHUNKS, TENANT_METRICS

# A tenant that has ended, be it by another part's failure, has nothing left to compute.
_FIELDS = """
    SELECT j.job_id, j.job_seq, j.traceparent, c.chunk_id, c.chunk, c.losses, c.org_id, c.part,
           c.first_student, c.before_student, t.report_date, t.parts, t.tenant
    FROM batch_job_logs j JOIN batch_job_chunks c USING (job_id)
    JOIN batch_job_tenants t USING (job_id, org_id)
    WHERE c.topic = $1 AND j.status IN ('pending', 'running') AND j.job_seq > 0 AND c.kinds_left > 0
      AND t.ended_at IS NULL
"""
_UNSENT = f"{_FIELDS} AND c.sent_at IS NULL ORDER BY j.job_seq, c.chunk LIMIT $2"
_BY_ID = f"{_FIELDS} AND c.chunk_id = ANY ($2::text[]) ORDER BY c.chunk_id"


@dataclass(frozen=True, slots=True)
class TenantPart(Work[TenantChunk]):
    """A part of an open tenant's students that has no outcome yet."""

    topic = TENANT_CHUNKS

    def failures(self, reason: str) -> list[Record]:
        """The failed result of the part."""
        shared = self.message.model_dump(include=set(TenantMetrics.model_fields))
        result = TenantMetrics(**shared, failure=reason)
        return [encode(TENANT_METRICS, result, source=SOURCE, traceparent=self.traceparent)]


async def unsent(connection: asyncpg.Connection, limit: int) -> list[TenantPart]:
    """Parts that wait to be sent, in order of acceptance and place."""
    return [_part(row) for row in await connection.fetch(_UNSENT, TENANT_CHUNKS.name, limit)]


async def by_id(connection: asyncpg.Connection, chunk_ids: Sequence[str]) -> list[TenantPart]:
    """Those of the named parts that belong to open tenants of open jobs and lack an outcome."""
    return [_part(row) for row in await connection.fetch(_BY_ID, TENANT_CHUNKS.name, list(chunk_ids))]


def _part(row: asyncpg.Record) -> TenantPart:
    tenant = Tenant.model_validate_json(row["tenant"])
    message = TenantChunk(
        job_id=row["job_id"],
        job_seq=row["job_seq"],
        chunk_id=row["chunk_id"],
        chunk=row["chunk"],
        org_id=row["org_id"],
        report_date=row["report_date"],
        part=row["part"],
        parts=row["parts"],
        first_student=row["first_student"],
        before_student=row["before_student"],
        timezone=tenant.timezone,
        irt_scaling=tenant.irt_scaling,
        thresholds=tenant.thresholds,
    )
    return TenantPart(message, row["traceparent"], row["losses"])
