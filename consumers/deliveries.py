"""Reports that are ready to deliveries: a row per tenant, date and channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg
import structlog

from consumers import gate
from consumers.handler import Handler
from consumers.letters import dead_letter, put
from consumers.parcel import place
from consumers.report.files import csv_name, html_name
from consumers.tenant_ledger import TenantEnd, end_tenants, settle_reports
from schemas.codec import decode, header
from schemas.errors import InvalidMessage
from schemas.settings import Settings
from schemas.tenant_messages import ReportReady
from schemas.tenants import Tenant
from schemas.topics import DELIVERY_GROUP, REPORTS, Topic

log = structlog.get_logger(__name__)

_WAITING = """
    SELECT t.tenant, coalesce(s.total_students > s.insufficient_data, false) AS has_data
    FROM batch_job_tenants t JOIN batch_job_logs j USING (job_id)
    LEFT JOIN tenant_risk_summary s ON (s.org_id, s.report_date) = (t.org_id, t.report_date)
    WHERE (t.job_id, t.org_id, t.report_date) = ($1, $2, $3) AND t.state = 'rendered' AND t.ended_at IS NULL
      AND j.status <> 'cancelled'
"""
_WAITS = """
    SELECT FROM batch_job_tenants
    WHERE (job_id, org_id, report_date) = ($1, $2, $3) AND state = 'rendered' AND ended_at IS NULL
    FOR NO KEY UPDATE
"""
# Channels that the tenant no longer has: what was never sent there is no part of the new report.
_FORGET = """
    DELETE FROM report_deliveries
    WHERE (org_id, report_date) = ($1, $2) AND channel <> ALL ($3::text[]) AND job_id <> $4
      AND state IN ('cancelled', 'refused', 'failed', 'kept', 'no_data')
"""
# What was sent, may have been or is about to be stays as it is: never twice by itself.
_ADD = """
    INSERT INTO report_deliveries AS d
        (org_id, report_date, channel, state, address, html, csv, detail, job_id, traceparent)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    ON CONFLICT (org_id, report_date, channel) DO UPDATE
    SET state = excluded.state, attempts = 0, address = excluded.address, html = excluded.html,
        csv = excluded.csv, detail = excluded.detail, next_try_at = NULL, created_at = now(),
        changed_at = now(), sent_at = NULL, job_id = excluded.job_id, traceparent = excluded.traceparent
    WHERE d.state IN ('cancelled', 'refused', 'failed', 'kept', 'no_data') AND d.job_id <> excluded.job_id
"""


class Intake(Handler):
    """Handler of the reports' topic."""

    name = "delivery"
    group = DELIVERY_GROUP
    topics: tuple[Topic, ...] = (REPORTS,)

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def opened(self, connection: asyncpg.Connection) -> None:
        """Nothing to prepare."""

    async def store(self, connection: asyncpg.Connection, records: Sequence[Any]) -> None:
        """Write the deliveries of each report; a repeat, or a report of an ended tenant, changes nothing.

        Raises:
            InvalidMessage: A record is no ReportReady, or names other files than its tenant's.
        """
        reports = [(_decoded(record), header(record.headers, "traceparent")) for record in records]
        await gate.enter(connection, {report.job_id for report, _ in reports})
        for report, traceparent in reports:
            waiting = await connection.fetchrow(_WAITING, report.job_id, report.org_id, report.report_date)
            if waiting is None:
                log.info(
                    "report of an unknown or cancelled job or an ended tenant; left out",
                    job_id=report.job_id,
                    org_id=report.org_id,
                )
            else:
                await self._add(connection, report, waiting, traceparent)
        await settle_reports(connection, [(report.org_id, report.report_date) for report, _ in reports])

    async def _add(
        self, connection: asyncpg.Connection, report: ReportReady, waiting: asyncpg.Record, trace: str | None
    ) -> None:
        channels = channels_of(Tenant.model_validate_json(waiting["tenant"]))
        await connection.execute(_FORGET, report.org_id, report.report_date, list(channels), report.job_id)
        for channel, address in channels.items():
            state = "kept" if channel == "folder" else "pending"
            detail = str(place(self._settings, report.html)) if channel == "folder" else None
            if not waiting["has_data"]:
                state = "no_data"
            paths = (report.html, report.csv)
            row = (channel, state, address, *paths, detail, report.job_id, trace)
            await connection.execute(_ADD, report.org_id, report.report_date, *row)

    async def reject(self, connection: asyncpg.Connection, record: Any, error: Exception) -> None:
        """Write a dead letter; a tenant that waits for just this report has failed."""
        await put(connection, [dead_letter(record, error)])
        try:
            report = decode(ReportReady, record.value)
        except InvalidMessage:
            return
        if not await connection.fetch(_WAITS, report.job_id, report.org_id, report.report_date):
            return
        reason = f"delivery: {error}"
        await end_tenants(connection, [TenantEnd(report.job_id, report.org_id, "failed", reason)])


def channels_of(tenant: Tenant) -> dict[str, list[str]]:
    """Channels of a tenant and where each goes: addresses, or the variable that holds the webhook."""
    channels = {}
    if tenant.email:
        channels["email"] = list(tenant.email)
    if tenant.slack_webhook_env:
        channels["slack"] = [tenant.slack_webhook_env]
    return channels or {"folder": []}


def _decoded(record: Any) -> ReportReady:
    report = decode(ReportReady, record.value)
    own = {"html": html_name(report.org_id), "csv": csv_name(report.org_id)}
    for field, name in own.items():
        path = f"{report.report_date}/{name}"
        if getattr(report, field) != path:
            raise InvalidMessage(f"ReportReady: {field}: must be {path}, the tenant's own")
    return report
