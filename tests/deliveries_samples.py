"""A tenant with a finished report, and the settings that deliver it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import asyncpg

from consumers.parcel import Parcel, Summary
from schemas.settings import Settings
from schemas.tenant_messages import ReportReady
from schemas.tenants import Tenant

DAY = date(2026, 11, 23)
HTML = "<!DOCTYPE html><title>보고서</title><p>김하늘 CRIT</p>\n.\n..dots at the start of a line\n"
CSV = "report_date,org_id,student_id\n2026-11-23,seoul-hs,s-001\n"
SUMMARY = Summary(
    students=120,
    without_data=5,
    crit=7,
    warn=13,
    ok=95,
    risks={"theta": (3, 9), "omit": (0, 5), "guess": (0, 0), "attendance": (4, 2)},
)
ADDRESS = "principal@example.org"
VARIABLE = "SEOUL_HS_SLACK_WEBHOOK"


def tenant_of(language: str = "ko", **fields: Any) -> Tenant:
    common = {"org_id": "seoul-hs", "name": "Seoul High School", "timezone": "Asia/Seoul"}
    return Tenant.model_validate(common | {"language": language} | fields)


def settings_of(reports_dir: Path, **fields: Any) -> Settings:
    common = {"delivery_timeout": 5, "delivery_pause": 0.01, "delivery_attempts": 3}
    return Settings(_env_file=None, reports_dir=reports_dir, **(common | fields))


def parcel_of(tenant: Tenant, **fields: Any) -> Parcel:
    common = {
        "org_id": tenant.org_id,
        "report_date": DAY,
        "channel": "email",
        "attempts": 1,
        "created_at": datetime(2026, 11, 23, tzinfo=UTC),
        "address": (ADDRESS,),
        "html": f"{DAY}/{tenant.org_id}_report.html",
        "csv": f"{DAY}/{tenant.org_id}_metrics.csv",
        "tenant": tenant,
        "summary": SUMMARY,
    }
    return Parcel(**(common | fields))


def ready_of(org_id: str = "seoul-hs", job_id: str = "week", day: date = DAY) -> ReportReady:
    return ReportReady(
        job_id=job_id,
        org_id=org_id,
        report_date=day,
        html=f"{day}/{org_id}_report.html",
        csv=f"{day}/{org_id}_metrics.csv",
    )


def write_report(reports_dir: Path, org_id: str = "seoul-hs", day: date = DAY) -> None:
    folder = reports_dir / f"{day}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{org_id}_report.html").write_text(HTML, "utf-8")
    (folder / f"{org_id}_metrics.csv").write_text(CSV, "utf-8")


async def rendered(
    connection: asyncpg.Connection,
    reports_dir: Path,
    *tenants: Tenant,
    job_id: str = "week",
    without_data: int = 5,
) -> None:
    """A weekly job whose tenants have been rendered, with their rows and files."""
    await connection.execute(
        """
        INSERT INTO batch_job_logs (job_id, job_seq, job_type, status, kinds, report_date, total_grids,
                                    processed_grids, failed_grids)
        VALUES ($1, nextval('riskflow.job_seq'), 'weekly', 'running', '{metrics}', $2, $3, 0, 0)
        """,
        job_id,
        DAY,
        len(tenants),
    )
    for tenant in tenants:
        write_report(reports_dir, tenant.org_id)
        await connection.execute(
            """
            INSERT INTO batch_job_tenants
                (job_id, org_id, report_date, tenant, students, parts, parts_left, state)
            VALUES ($1, $2, $3, $4, 120, 1, 0, 'rendered')
            """,
            job_id,
            tenant.org_id,
            DAY,
            tenant.model_dump_json(),
        )
        await _summarise(connection, tenant, job_id, without_data)


async def _summarise(connection: asyncpg.Connection, tenant: Tenant, job_id: str, without_data: int) -> None:
    values = {
        "org_id": tenant.org_id,
        "report_date": DAY,
        "org_name": tenant.name,
        "total_students": SUMMARY.students,
        "crit_count": SUMMARY.crit,
        "warn_count": SUMMARY.warn,
        "ok_count": SUMMARY.ok,
        "insufficient_data": without_data,
        "thresholds": "{}",
        "calculated_at": datetime(2026, 11, 22, 21, tzinfo=UTC),
        "job_id": job_id,
        "job_seq": 1,
    }
    for risk, (crit, warn) in SUMMARY.risks.items():
        values |= {f"{risk}_crit": crit, f"{risk}_warn": warn}
    places = ", ".join(f"${place}" for place in range(1, len(values) + 1))
    await connection.execute(
        f"INSERT INTO tenant_risk_summary ({', '.join(values)}) VALUES ({places}) "  # noqa: S608 - constants
        "ON CONFLICT (org_id, report_date) DO UPDATE SET insufficient_data = excluded.insufficient_data",
        *values.values(),
    )


async def add_delivery(
    connection: asyncpg.Connection, parcel: Parcel, state: str = "pending", job_id: str = "week"
) -> None:
    """A row of report_deliveries as the intake writes it."""
    await connection.execute(
        """
        INSERT INTO report_deliveries
            (org_id, report_date, channel, state, attempts, address, html, csv, job_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        parcel.org_id,
        parcel.report_date,
        parcel.channel,
        state,
        parcel.attempts - 1,
        list(parcel.address),
        parcel.html,
        parcel.csv,
        job_id,
    )


async def deliveries(connection: asyncpg.Connection, *columns: str) -> list[tuple[Any, ...]]:
    """Chosen columns of every delivery, in the order of tenants and channels."""
    rows = await connection.fetch(
        f"SELECT {', '.join(columns)} FROM report_deliveries ORDER BY org_id, report_date, channel"  # noqa: S608
    )
    return [tuple(row) for row in rows]


async def tenant_states(connection: asyncpg.Connection) -> list[tuple[Any, ...]]:
    rows = await connection.fetch(
        "SELECT org_id, state, error FROM batch_job_tenants ORDER BY job_id, org_id"
    )
    return [tuple(row) for row in rows]
