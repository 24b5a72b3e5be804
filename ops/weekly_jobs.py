"""What cancelling and resuming mean for the tenants of a weekly job: their parts, reports and deliveries."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import date

import asyncpg

from consumers import reopening
from schemas.storable import plain

# A later job's report that relies on one of these deliveries must not wait for what is never sent.
_HAND_OVER = """
    UPDATE report_deliveries d SET job_id = heir.job_id, changed_at = clock_timestamp()
    FROM (
        SELECT DISTINCT ON (t.org_id, t.report_date) t.org_id, t.report_date, t.job_id
        FROM batch_job_tenants t JOIN batch_job_logs j USING (job_id)
        WHERE t.state = 'rendered' AND t.ended_at IS NULL AND t.job_id <> $1
          AND j.status IN ('pending', 'running')
        ORDER BY t.org_id, t.report_date, j.job_seq DESC
    ) AS heir
    WHERE d.job_id = $1 AND d.state IN ('pending', 'retrying', 'sending')
      AND (d.org_id, d.report_date) = (heir.org_id, heir.report_date)
"""
_STOP = """
    UPDATE report_deliveries
    SET state = 'cancelled', detail = $2, next_try_at = NULL, changed_at = clock_timestamp()
    WHERE job_id = $1 AND state IN ('pending', 'retrying')
"""
_GO_ON = """
    UPDATE report_deliveries
    SET state = 'pending', detail = NULL, changed_at = clock_timestamp()
    WHERE job_id = $1 AND state = 'cancelled'
"""
_LOCK_TENANTS = """
    SELECT FROM batch_job_tenants WHERE job_id = $1 AND state = 'pending' AND ended_at IS NULL
    ORDER BY org_id FOR NO KEY UPDATE
"""
# Rows of one tenant must be of one run: a part of the run before may have been replaced since by a job
# that this run outranks, and its students would be taken for such that have left.
_REOPEN = """
    WITH unfinished AS (
        SELECT org_id FROM batch_job_tenants WHERE job_id = $1 AND state = 'pending' AND ended_at IS NULL
    ), taken AS (
        DELETE FROM batch_job_outcomes o
        USING batch_job_chunks c JOIN unfinished USING (org_id)
        WHERE (o.job_id, o.chunk) = (c.job_id, c.chunk) AND c.job_id = $1
        RETURNING o.chunk, c.org_id
    ), reopened AS (
        UPDATE batch_job_chunks c SET kinds_left = 1 FROM taken WHERE (c.job_id, c.chunk) = ($1, taken.chunk)
    ), tenants AS (
        UPDATE batch_job_tenants t SET parts_left = t.parts, changed_at = clock_timestamp()
        FROM unfinished WHERE (t.job_id, t.org_id) = ($1, unfinished.org_id)
    )
    UPDATE batch_job_logs SET chunks_done = chunks_done - (SELECT count(*) FROM taken)
    WHERE job_id = $1 RETURNING (SELECT count(*) FROM taken)
"""
_PARTS_LEFT = """
    SELECT count(*) FROM batch_job_chunks c JOIN batch_job_tenants t USING (job_id, org_id)
    WHERE c.job_id = $1 AND c.kinds_left > 0 AND t.ended_at IS NULL
"""


async def stop_deliveries(connection: asyncpg.Connection, job_id: str, by: str) -> None:
    """Keep back what has not been sent; mails that are being handed over go on."""
    await connection.execute(_HAND_OVER, job_id)
    detail = f"not sent: job {job_id} was cancelled by {by}; riskflow jobs resume {job_id} sends it"
    await connection.execute(_STOP, job_id, plain(detail))


async def reopen_parts(connection: asyncpg.Connection, job_id: str) -> int:
    """Have every part of the tenants that are not whole computed in the new run.

    Returns:
        How many of them had been computed before.
    """
    await connection.execute(_LOCK_TENANTS, job_id)
    await reopening.lock(connection, job_id)
    reopened: int = await connection.fetchval(_REOPEN, job_id)
    await reopening.unsend(connection, job_id)
    return reopened


async def release_deliveries(connection: asyncpg.Connection, job_id: str) -> None:
    """Let be sent what was kept back; call it before any tenant or job is locked."""
    await connection.execute(_GO_ON, job_id)


async def parts_left(connection: asyncpg.Connection, job_id: str) -> int:
    """Parts without an outcome of tenants that have not ended."""
    count: int = await connection.fetchval(_PARTS_LEFT, job_id)
    return count


def trigger_again(report_date: date, tenants: Sequence[str]) -> str:
    """The command that reports tenants of a date anew."""
    named = " ".join(f"--tenant {shlex.quote(org_id)}" for org_id in tenants)
    return f"riskflow trigger weekly --date {report_date} {named}".rstrip()
