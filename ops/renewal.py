"""What has to be said again on a fresh broker, where all that lay on the old one is gone."""

from __future__ import annotations

import asyncpg

from consumers.letters import put
from consumers.report.files import csv_name, html_name
from consumers.tenant_ledger import stored_event
from schemas.codec import Record, encode
from schemas.database import connect
from schemas.tenant_messages import ReportReady
from schemas.topics import REPORTS

SOURCE = "stack"

_UNSEND = """
    UPDATE batch_job_chunks SET sent_at = NULL, partition = NULL, "offset" = NULL
    WHERE kinds_left > 0 AND sent_at IS NOT NULL
"""
_UNPUBLISH = """
    UPDATE outbox SET published_at = NULL, partition = NULL, "offset" = NULL
    WHERE job_id IS NOT NULL AND published_at IS NOT NULL AND answered_at IS NULL
"""
_OPEN_TENANTS = """
    SELECT t.job_id, t.org_id, t.report_date, j.job_type, j.traceparent,
           j.total_grids, j.processed_grids, j.failed_grids
    FROM batch_job_tenants t JOIN batch_job_logs j USING (job_id)
    WHERE t.state = $1 AND t.ended_at IS NULL AND j.status IN ('pending', 'running')
      AND ($2::text IS NULL OR t.job_id = $2)
    ORDER BY j.job_seq, t.org_id
"""


async def mark_unreported_unsent(dsn: str) -> None:
    """Have all that is unfinished sent again: chunks, triggers, and what is said of tenants.

    For a broker whose topics are gone: what was on its way is lost, whatever the offsets say. What
    arrives twice changes nothing.
    """
    connection = await connect(dsn, application="stack")
    try:
        async with connection.transaction():
            await connection.execute(_UNSEND)
            await connection.execute(_UNPUBLISH)
            await tell_again(connection)
    finally:
        await connection.close()


async def tell_again(connection: asyncpg.Connection, job_id: str | None = None) -> None:
    """Announce the stored tenants and the rendered reports of open jobs, or of one of them, again."""
    stored = await connection.fetch(_OPEN_TENANTS, "stored", job_id)
    rendered = await connection.fetch(_OPEN_TENANTS, "rendered", job_id)
    told = [stored_event(row, row["org_id"], SOURCE) for row in stored]
    await put(connection, [*told, *map(_report_ready, rendered)])


def _report_ready(row: asyncpg.Record) -> Record:
    folder = row["report_date"].isoformat()
    report = ReportReady(
        job_id=row["job_id"],
        org_id=row["org_id"],
        report_date=row["report_date"],
        html=f"{folder}/{html_name(row['org_id'])}",
        csv=f"{folder}/{csv_name(row['org_id'])}",
    )
    return encode(REPORTS, report, source=SOURCE, traceparent=row["traceparent"])
