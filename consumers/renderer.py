"""Stored tenants to files: renders reports in parallel, then announces them in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import asyncpg
import structlog

from consumers.handler import Handler
from consumers.letters import dead_letter, put
from consumers.report.files import Unwritable, folder_of, replacing, sweep_all
from consumers.report.limits import HARD_SECONDS
from consumers.report.pool import Pool
from consumers.report.tables import write_summary
from consumers.report.worker import Outcome, Task
from consumers.tenant_ledger import TenantEnd, end_tenants
from schemas.codec import Record, decode, encode
from schemas.messages import JobEvent
from schemas.settings import Settings
from schemas.tenant_messages import ReportReady
from schemas.tenants import Tenant
from schemas.topics import JOB_EVENTS, RENDERER_GROUP, REPORTS, Topic
from schemas.tracing import tracing

SOURCE = "renderer"
SUMMARY = "summary.csv"
IDLE_LIMIT = "30s"
"""How long the session may idle once it holds locks (expert assumption)."""
PATIENCE = 900.0
"""Seconds that a batch may take beside the limits of its pages (expert assumption)."""
_SUMMARY_LOCK = "riskflow.summary"

_STORED = """
    SELECT t.job_id, t.org_id, t.report_date, t.tenant, j.traceparent
    FROM batch_job_tenants t JOIN batch_job_logs j USING (job_id)
    WHERE t.state = 'stored' AND t.ended_at IS NULL AND j.status <> 'cancelled'
      AND (t.org_id, t.report_date) IN (
        SELECT n.org_id, n.report_date FROM unnest($1::text[], $2::text[]) AS told (job_id, org_id)
        JOIN batch_job_tenants n USING (job_id, org_id))
    ORDER BY j.job_seq DESC
"""
_RENDERED = """
    WITH locked AS (
        SELECT t.job_id, t.org_id
        FROM unnest($1::text[], $2::text[]) AS r (job_id, org_id)
        JOIN batch_job_tenants t USING (job_id, org_id)
        WHERE t.state = 'stored' ORDER BY t.job_id, t.org_id FOR NO KEY UPDATE OF t
    )
    UPDATE batch_job_tenants t SET state = 'rendered', changed_at = clock_timestamp()
    FROM locked WHERE (t.job_id, t.org_id) = (locked.job_id, locked.org_id)
    RETURNING t.job_id, t.org_id
"""

_LIMIT_IDLENESS = "SELECT set_config('idle_in_transaction_session_timeout', $1, true)"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Stored:
    """A tenant of a job whose rows are complete."""

    job_id: str
    org_id: str
    report_date: date
    tenant: Tenant
    traceparent: str | None


class Renderer(Handler):
    """Handler of the job events: a tenant that is stored gets its page and its CSV."""

    name = "renderer"
    group = RENDERER_GROUP
    topics: tuple[Topic, ...] = (JOB_EVENTS,)

    def __init__(
        self, settings: Settings, pool: Pool | None = None, beat: Callable[[], None] = lambda: None
    ) -> None:
        self._settings = settings
        self._pool = pool or Pool()
        self._beat = beat

    async def opened(self, connection: asyncpg.Connection) -> None:
        """Remove what killed renderers have left in the folders."""
        del connection
        await asyncio.to_thread(sweep_all, self._settings.reports_dir)

    async def store(self, connection: asyncpg.Connection, records: Sequence[Any]) -> None:
        """Render the reports of the tenants that the events call stored, and announce them.

        Raises:
            InvalidMessage: A record is no job event.
            OSError: REPORTS_DIR cannot be written (full, read-only); the batch is tried again.
        """
        stored = await _stored(connection, [decode(JobEvent, record.value) for record in records])
        if not stored:
            return
        # Two jobs of one tenant and date share their files; the newer one's entry of tenants.yaml counts.
        tasks: dict[tuple[str, date], Task] = {}
        for each in stored:
            tasks.setdefault((each.org_id, each.report_date), self._task(each))
        # It waits for the pages without locks; with them, a process that is stopped must not bar others.
        await connection.execute(_LIMIT_IDLENESS, _longest(list(tasks.values())))
        outcomes = dict(zip(tasks, await self._pool.write(list(tasks.values()), self._beat), strict=True))
        await connection.execute(_LIMIT_IDLENESS, IDLE_LIMIT)
        done = {key: outcome for key, outcome in outcomes.items() if not outcome.waits}
        for report_date in sorted({day for _, day in done}):
            try:
                await self._write_summary(connection, report_date)
            except Unwritable as error:
                done |= {key: Outcome(failure=str(error)) for key in done if key[1] == report_date}
        results = [(each, done.get((each.org_id, each.report_date))) for each in stored]
        await _announce(connection, [(each, outcome) for each, outcome in results if outcome is not None])

    async def reject(self, connection: asyncpg.Connection, record: Any, error: Exception) -> None:
        """Write a dead letter."""
        await put(connection, [dead_letter(record, error)])

    async def close(self) -> None:
        """End the worker processes."""
        await asyncio.to_thread(self._pool.close)

    def _task(self, stored: Stored) -> Task:
        settings = self._settings
        return Task(
            dsn=settings.dsn,
            tenant=stored.tenant,
            report_date=stored.report_date,
            reports_dir=settings.reports_dir,
            templates=settings.report_templates,
        )

    async def _write_summary(self, connection: asyncpg.Connection, report_date: date) -> None:
        # Whoever holds the lock writes what all who held it before have committed.
        lock = f"{_SUMMARY_LOCK}.{report_date}"
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", lock)
        rows = BytesIO()
        await write_summary(connection, report_date, rows)
        path = folder_of(self._settings.reports_dir, report_date) / SUMMARY
        await asyncio.to_thread(_replace, path, rows.getvalue())


async def _stored(connection: asyncpg.Connection, events: Sequence[JobEvent]) -> list[Stored]:
    """Tenants to render, those of newer jobs first; one in another state has had its turn.

    Those of older jobs for the same date are among them: they may have waited for the one told of.
    """
    told = {(each.job_id, each.org_id) for each in events if each.state == "tenant_stored" and each.org_id}
    if not told:
        return []
    jobs, tenants = zip(*told, strict=True)
    rows = await connection.fetch(_STORED, jobs, tenants)
    return [Stored(**{**row, "tenant": Tenant.model_validate_json(row["tenant"])}) for row in rows]


def _longest(tasks: Sequence[Task]) -> str:
    """How long a batch may take at most: on one core, each page made twice up to its limits."""
    seconds = PATIENCE + sum(2 * (task.seconds + HARD_SECONDS) for task in tasks)
    return f"{seconds:.0f}s"


async def _announce(connection: asyncpg.Connection, results: Sequence[tuple[Stored, Outcome]]) -> None:
    for stored, outcome in results:
        for warning in outcome.warnings:
            with tracing(stored.job_id, stored.traceparent):
                log.warning("report without its logo", tenant=stored.org_id, reason=warning)
    done = [(stored, outcome) for stored, outcome in results if outcome.failure is None]
    rows = await connection.fetch(
        _RENDERED, [stored.job_id for stored, _ in done], [stored.org_id for stored, _ in done]
    )
    new = {(row["job_id"], row["org_id"]) for row in rows}
    await put(connection, [_ready(*each) for each in done if (each[0].job_id, each[0].org_id) in new])
    failed = [(stored, outcome.failure) for stored, outcome in results if outcome.failure is not None]
    for stored, failure in failed:
        with tracing(stored.job_id, stored.traceparent):
            log.warning("report failed", tenant=stored.org_id, reason=failure)
    await end_tenants(
        connection, [TenantEnd(stored.job_id, stored.org_id, "failed", failure) for stored, failure in failed]
    )


def _ready(stored: Stored, outcome: Outcome) -> Record:
    ready = ReportReady(
        job_id=stored.job_id,
        org_id=stored.org_id,
        report_date=stored.report_date,
        html=outcome.html,
        csv=outcome.csv,
    )
    return encode(REPORTS, ready, source=SOURCE, traceparent=stored.traceparent)


def _replace(path: Path, content: bytes) -> None:
    with replacing(path) as file:
        file.write(content)
