"""A weekly job in the ledger, as the acceptor leaves it."""

from __future__ import annotations

from datetime import date
from typing import Any

import asyncpg

from schemas.tenants import Tenant
from schemas.topics import TENANT_CHUNKS

REPORT_DATE = date(2026, 11, 23)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def tenant_of(org_id: str, **fields: Any) -> Tenant:
    common = {"org_id": org_id, "name": org_id, "timezone": "Asia/Seoul", "language": "ko"}
    return Tenant(**(common | fields))


async def weekly_job(
    connection: asyncpg.Connection, job_id: str, *tenants: tuple[Tenant | str, int], status: str = "pending"
) -> None:
    """Insert a job whose tenants have so many parts each, students s1 to s<parts>."""
    found = [(each if isinstance(each, Tenant) else tenant_of(each), parts) for each, parts in tenants]
    await connection.execute(
        "INSERT INTO batch_job_logs (job_id, job_seq, job_type, status, kinds, risks, report_date, "
        "traceparent, total_grids, processed_grids, failed_grids, chunks_total) "
        "VALUES ($1, nextval('riskflow.job_seq'), 'weekly', $2, '{metrics}', '{}', $3, $4, $5, 0, 0, $6)",
        job_id,
        status,
        REPORT_DATE,
        TRACEPARENT,
        len(found),
        sum(parts for _, parts in found),
    )
    await connection.executemany(
        "INSERT INTO batch_job_tenants (job_id, org_id, report_date, tenant, students, parts, parts_left) "
        "VALUES ($1, $2, $3, $4, $5, $5, $5)",
        [(job_id, each.org_id, REPORT_DATE, each.model_dump_json(), parts) for each, parts in found],
    )
    await connection.executemany(
        "INSERT INTO batch_job_chunks "
        "(job_id, chunk, chunk_id, topic, org_id, part, first_student, before_student, cells, kinds_left) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, 1)",
        [
            (job_id, chunk, f"{job_id}:{chunk}", TENANT_CHUNKS.name, *part)
            for chunk, part in enumerate(_parts(found), start=1)
        ],
    )


def _parts(tenants: list[tuple[Tenant, int]]) -> list[tuple[str, int, str | None, str | None]]:
    return [
        (tenant.org_id, part, None if part == 1 else f"s{part}", None if part == parts else f"s{part + 1}")
        for tenant, parts in tenants
        for part in range(1, parts + 1)
    ]
