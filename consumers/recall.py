"""Tenants whose report waited for another job that will never have one, told of again."""

from __future__ import annotations

import asyncio

import asyncpg
import structlog

from consumers.letters import put
from consumers.tenant_ledger import stored_event
from schemas.database import session
from schemas.faults import is_passing
from schemas.metrics import ERRORS
from schemas.pauses import pause
from schemas.pulse import Pulse
from schemas.settings import Settings
from schemas.start import asked_of

SOURCE = "recall"
LOOK_SECONDS = 30.0
"""How often is looked, and how long a tenant is given until it is told of again (expert assumption)."""

# The other job has failed, or somebody has deleted or cancelled it: nobody tells the renderer. A job that
# was resumed is newer than one that replaced rows of its run before; those have no rank until all are in.
_RECALL = """
    WITH waiting AS (
        SELECT t.job_id, t.org_id FROM batch_job_tenants t JOIN batch_job_logs j USING (job_id)
        WHERE t.state = 'stored' AND t.ended_at IS NULL AND j.status <> 'cancelled'
          AND t.changed_at < clock_timestamp() - make_interval(secs => $1)
          AND EXISTS (SELECT FROM student_risk_metrics m
                      WHERE (m.org_id, m.report_date) = (t.org_id, t.report_date)
                        AND (m.job_seq > j.job_seq OR m.rank IS NULL))
          AND NOT EXISTS (SELECT FROM batch_job_tenants n JOIN batch_job_logs o USING (job_id)
                          WHERE (n.org_id, n.report_date) = (t.org_id, t.report_date)
                            AND n.state = 'pending' AND n.ended_at IS NULL AND o.job_id <> j.job_id
                            AND o.status IN ('pending', 'running'))
        FOR NO KEY UPDATE OF t SKIP LOCKED
    )
    UPDATE batch_job_tenants t SET changed_at = clock_timestamp()
    FROM waiting JOIN batch_job_logs j USING (job_id)
    WHERE (t.job_id, t.org_id) = (waiting.job_id, waiting.org_id)
    RETURNING j.job_id, j.job_type, j.total_grids, j.processed_grids, j.failed_grids, j.traceparent, t.org_id
"""

log = structlog.get_logger(__name__)


async def run(settings: Settings, stop: asyncio.Event, pulse: Pulse | None = None) -> None:
    """Look every LOOK_SECONDS until `stop`; a database that is away is waited for."""
    loop = (pulse or Pulse()).loop("recall", late=None)
    loop.ready()
    while not stop.is_set():
        await pause(stop, LOOK_SECONDS)
        try:
            async with session(settings.dsn, application="recall") as connection, connection.transaction():
                await recall(connection)
        except Exception as error:
            if not is_passing(error):
                raise
            log.warning("waiting reports not looked for", error=repr(error))
            ERRORS.labels("recall").inc()
            loop.waiting(asked_of(settings, error))
        else:
            loop.ready()


async def recall(connection: asyncpg.Connection, after: float = LOOK_SECONDS) -> None:
    """Announce stored tenants again whose rows another job has changed without getting to its end.

    Args:
        connection: Inside a transaction.
        after: Seconds since the tenant was stored or last told of.
    """
    rows = await connection.fetch(_RECALL, after)
    await put(connection, [stored_event(row, row["org_id"], SOURCE) for row in rows])
