"""Tenants over HTTP: the state of the weekly report and its deliveries, and the reports themselves."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import asyncpg
import orjson
from fastapi import APIRouter
from fastapi.responses import FileResponse
from pydantic import BaseModel

from ops.web.access import Caller
from ops.web.office import Here, Who
from ops.web.paging import Cursor, Limit, Page, cursor_of, values_of
from ops.web.problems import NotAllowed
from schemas.errors import InvalidMessage, NotFound

router = APIRouter(prefix="/tenants", tags=["tenants"])

REPORT_HEADERS = {
    # The page has scripts of its own; sandboxed it may run them, and reach nothing of this site.
    "Content-Security-Policy": (
        "sandbox allow-scripts allow-popups allow-downloads; default-src 'none'; script-src 'unsafe-inline'; "
        "style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
    ),
    "Cache-Control": "private, no-store",
}

# One entry per tenant and report date: the latest job of the date, its summary and deliveries.
_REPORTS = """
    WITH dated AS (
        SELECT org_id, report_date FROM tenant_risk_summary WHERE $1 OR org_id = ANY ($2::text[])
        UNION
        SELECT org_id, report_date FROM batch_job_tenants WHERE $1 OR org_id = ANY ($2::text[])
    ), chosen AS (
        SELECT org_id, max(report_date) AS report_date FROM dated
        WHERE $3::text IS NULL GROUP BY org_id
        UNION ALL
        SELECT org_id, report_date FROM dated WHERE org_id = $3
    )
    SELECT c.org_id, c.report_date, coalesce(s.org_name, t.tenant ->> 'name') AS org_name,
           t.state, t.error, coalesce(t.job_id, s.job_id) AS job_id,
           coalesce(s.total_students, t.students) AS students, s.crit_count AS crit, s.warn_count AS warn,
           s.ok_count AS ok, s.insufficient_data AS insufficient,
           b.crit_count AS crit_before, b.warn_count AS warn_before,
           (SELECT json_agg(d ORDER BY d.channel) FROM (
                SELECT channel, state, attempts, detail, sent_at, next_try_at, html, csv
                FROM report_deliveries r WHERE (r.org_id, r.report_date) = (c.org_id, c.report_date)) AS d
           )::text AS deliveries
    FROM chosen c
    LEFT JOIN tenant_risk_summary s USING (org_id, report_date)
    LEFT JOIN tenant_risk_summary b ON (b.org_id, b.report_date) = (c.org_id, c.report_date - 7)
    LEFT JOIN LATERAL (
        SELECT t.* FROM batch_job_tenants t JOIN batch_job_logs j USING (job_id)
        WHERE (t.org_id, t.report_date) = (c.org_id, c.report_date) ORDER BY j.job_seq DESC LIMIT 1
    ) AS t ON true
    WHERE $4::date IS NULL OR c.report_date < $4
    ORDER BY CASE WHEN $3::text IS NULL THEN c.org_id END, c.report_date DESC
    LIMIT $5 OFFSET $6
"""
_FILES = "SELECT html, csv FROM report_deliveries WHERE (org_id, report_date) = ($1, $2) LIMIT 1"


class DeliveryState(BaseModel):
    """What became of a report on one channel."""

    channel: str
    state: str
    attempts: int
    detail: str | None
    sent_at: datetime | None
    next_try_at: datetime | None


class TenantReport(BaseModel):
    """One tenant's report of one date; counts are null until the rows are there."""

    org_id: str
    org_name: str | None
    report_date: date
    state: str | None
    error: str | None
    job_id: str | None
    students: int | None
    crit: int | None
    warn: int | None
    ok: int | None
    insufficient: int | None
    crit_before: int | None
    warn_before: int | None
    deliveries: list[DeliveryState]
    report_url: str | None
    csv_url: str | None


@router.get("")
async def latest(here: Here, who: Who, limit: Limit = 200, cursor: Cursor = None) -> Page[TenantReport]:
    """The latest report of every tenant that the caller may see."""
    _check(who)
    offset = int(str(values_of(cursor, (int,))[0])) if cursor else 0
    async with here.database() as connection:
        rows = await connection.fetch(
            _REPORTS, who.sees_all_tenants, list(who.tenants), None, None, limit, offset
        )
    following = cursor_of(offset + limit) if len(rows) == limit else None
    return Page(items=[_report(here.settings.reports_dir, row) for row in rows], next=following)


@router.get("/{org_id}/reports")
async def history(
    org_id: str, here: Here, who: Who, limit: Limit = 20, cursor: Cursor = None
) -> Page[TenantReport]:
    """All reports of one tenant, newest first."""
    _check(who, org_id)
    before = _date(str(values_of(cursor, (str,))[0])) if cursor else None
    async with here.database() as connection:
        rows = await connection.fetch(_REPORTS, False, [org_id], org_id, before, limit, 0)  # noqa: FBT003 - $1
    following = cursor_of(rows[-1]["report_date"]) if len(rows) == limit else None
    return Page(items=[_report(here.settings.reports_dir, row) for row in rows], next=following)


@router.get("/{org_id}/reports/{report_date}/report", response_class=FileResponse)
async def report(org_id: str, report_date: date, here: Here, who: Who) -> FileResponse:
    """The page of a report, kept apart from this site."""
    path = await _file(here, who, org_id, report_date, "html")
    return FileResponse(path, media_type="text/html; charset=utf-8", headers=REPORT_HEADERS)


@router.get("/{org_id}/reports/{report_date}/csv", response_class=FileResponse)
async def metrics(org_id: str, report_date: date, here: Here, who: Who) -> FileResponse:
    """The metrics of a report's students."""
    path = await _file(here, who, org_id, report_date, "csv")
    name = f"{report_date}_{path.name}"
    return FileResponse(
        path,
        media_type="text/csv; charset=utf-8",
        filename=name,
        headers={"Cache-Control": "private, no-store"},
    )


def _check(who: Caller, org_id: str | None = None) -> None:
    if not who.tenants:
        raise NotAllowed(f"{who.name} sees no tenants")
    if org_id is not None and not who.sees(org_id):
        # As of one that is not there: whose tenants there are is theirs to know.
        raise NotFound(f"there is no tenant {org_id} that {who.name} may see")


async def _file(here: Here, who: Who, org_id: str, report_date: date, kind: str) -> Path:
    _check(who, org_id)
    async with here.database() as connection:
        row = await connection.fetchrow(_FILES, org_id, report_date)
    if row is None:
        raise NotFound(f"{org_id} has no report of {report_date}")
    path = _inside(here.settings.reports_dir, row[kind])
    if path is None:
        raise NotFound(
            f"the report of {org_id} of {report_date} is not in {here.settings.reports_dir}; REPORTS_DIR of "
            "the web page must be the reporter's folder"
        )
    return path


def _inside(folder: Path, name: str) -> Path | None:
    """A file of the folder of reports; None where it is not there, or lies elsewhere."""
    path = (folder / name).resolve()
    return path if path.is_relative_to(folder.resolve()) and path.is_file() else None


def _report(folder: Path, row: asyncpg.Record) -> TenantReport:
    deliveries = orjson.loads(row["deliveries"]) if row["deliveries"] else []
    files = deliveries[0] if deliveries else {}
    values: dict[str, Any] = {name: row[name] for name in TenantReport.model_fields if name in row}
    place = f"/api/v1/tenants/{row['org_id']}/reports/{row['report_date']}"
    return TenantReport(
        **values
        | {
            "deliveries": deliveries,
            "report_url": f"{place}/report" if files and _inside(folder, files["html"]) else None,
            "csv_url": f"{place}/csv" if files and _inside(folder, files["csv"]) else None,
        }
    )


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidMessage("cursor: is not one of this list; begin without it") from None
