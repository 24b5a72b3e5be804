"""A fresh broker hears again what only lay on the old one."""

from __future__ import annotations

import asyncpg
from weekly_rows import REPORT_DATE, TRACEPARENT, weekly_job

from ops.renewal import mark_unreported_unsent
from schemas.codec import header
from schemas.messages import JobEvent
from schemas.tenant_messages import ReportReady
from schemas.topics import JOB_EVENTS, REPORTS

STATES = ("pending", "stored", "rendered", "delivered", "no_data", "failed")
"""Of the tenants t-<state>; those from delivered on have ended."""


async def in_every_state(connection: asyncpg.Connection, job_id: str, status: str) -> None:
    await weekly_job(
        connection, job_id, *((f"t-{state.replace('_', '-')}", 1) for state in STATES), status=status
    )
    await connection.executemany(
        "UPDATE batch_job_tenants SET state = $1, ended_at = CASE WHEN $2 THEN now() END "
        "WHERE job_id = $3 AND org_id = 't-' || replace($1, '_', '-')",
        [(state, place >= 3, job_id) for place, state in enumerate(STATES)],
    )


async def test_what_is_said_of_open_tenants_is_said_again(
    connection: asyncpg.Connection, database_url: str
) -> None:
    await in_every_state(connection, "open", "running")
    await in_every_state(connection, "cancelled", "cancelled")
    await connection.execute(
        "UPDATE batch_job_logs SET processed_grids = 3, failed_grids = 1 WHERE job_id = 'open'"
    )
    await mark_unreported_unsent(database_url)

    stored, rendered = await connection.fetch("SELECT * FROM outbox WHERE published_at IS NULL ORDER BY id")
    assert (stored["topic"], stored["key"]) == (JOB_EVENTS.name, b"open")
    event = JobEvent.model_validate_json(stored["value"])
    assert (event.job_id, event.job_type, event.state, event.org_id) == (
        "open",
        "weekly",
        "tenant_stored",
        "t-stored",
    )
    assert (event.total_grids, event.processed_grids, event.failed_grids) == (6, 3, 1)
    assert (rendered["topic"], rendered["key"]) == (REPORTS.name, b"t-rendered")
    report = ReportReady.model_validate_json(rendered["value"])
    assert (report.job_id, report.org_id, report.report_date) == ("open", "t-rendered", REPORT_DATE)
    assert (report.html, report.csv) == (
        "2026-11-23/t-rendered_report.html",
        "2026-11-23/t-rendered_metrics.csv",
    )
    headers = list(zip(rendered["header_names"], rendered["header_values"], strict=True))
    assert header(headers, "traceparent").split("-")[1] == TRACEPARENT.split("-")[1]


async def test_parts_and_triggers_that_were_on_their_way_are_sent_again(
    connection: asyncpg.Connection, database_url: str
) -> None:
    await weekly_job(connection, "job", ("seoul-hs", 3))
    await connection.execute(
        'UPDATE batch_job_chunks SET sent_at = now(), partition = 1, "offset" = chunk WHERE chunk < 3'
    )
    await connection.execute("UPDATE batch_job_chunks SET kinds_left = 0 WHERE chunk = 1")
    await connection.execute("SELECT riskflow.request('weekly', '{\"job_id\": \"asked\"}')")
    await connection.execute("UPDATE outbox SET published_at = now()")
    await mark_unreported_unsent(database_url)
    sent = await connection.fetch("SELECT chunk FROM batch_job_chunks WHERE sent_at IS NOT NULL")
    assert [row["chunk"] for row in sent] == [1]
    waiting = await connection.fetch("SELECT job_id FROM outbox WHERE published_at IS NULL")
    assert [row["job_id"] for row in waiting] == ["asked"]
