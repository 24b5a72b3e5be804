"""Tenants with drawn students, stored as the sink would store them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg

from schemas.tenants import Tenant, Thresholds

REPORT_DATE = date(2026, 11, 23)
CALCULATED = datetime(2026, 11, 22, 21, 4, 30, tzinfo=UTC)
SEOUL = Tenant(
    org_id="seoul-hs",
    name="표본고등학교",
    timezone="Asia/Seoul",
    language="ko",
    colors={"primary": "#0b5394", "accent": "#e69138"},
)
BRIGHTON = Tenant(
    org_id="brighton",
    name="Sample School",
    timezone="Europe/London",
    language="en",
    colors={"primary": "#f3d27a", "accent": "#8a5a00"},
)
RISKS = ("theta", "omit", "guess", "attendance")
METRICS = (
    *("theta", "delta_theta_7d", "delta_theta_14d", "omit_rate", "c_hat"),
    *("absence_rate_7d", "absence_rate_14d", "consecutive_absences", "decline_weeks"),
)
NOTHING: dict[str, Any] = dict.fromkeys(METRICS)
_SEVERITY = ("NO_DATA", "OK", "WARN", "CRIT")


def levels_of(metrics: Mapping[str, Any], thresholds: Thresholds | None = None) -> dict[str, str]:
    """Levels of a student, written down from METHODS, section 3, rule by rule."""
    limits = thresholds or Thresholds()

    def worst(*rules: tuple[Any, bool, bool]) -> str:
        found = ["NO_DATA"]
        for value, warns, crits in rules:
            if value is not None:
                found.append("CRIT" if crits else "WARN" if warns else "OK")
        return max(found, key=_SEVERITY.index)

    def below(name: str, warn: float, crit: float) -> tuple[Any, bool, bool]:
        value = metrics[name]
        return value, value is not None and value < warn, value is not None and value < crit

    def reaches(name: str, warn: float | None, crit: float | None) -> tuple[Any, bool, bool]:
        value = metrics[name]
        known = value is not None
        return (
            value,
            known and warn is not None and value >= warn,
            known and crit is not None and value >= crit,
        )

    theta, attendance = limits.theta, limits.attendance
    levels = {
        "theta": worst(
            below("delta_theta_7d", theta.delta_7d_warn, theta.delta_7d_crit),
            below("delta_theta_14d", theta.delta_14d_warn, theta.delta_14d_crit),
            reaches("decline_weeks", theta.decline_weeks_warn, None),
        ),
        "omit": worst(reaches("omit_rate", limits.omit.warn, limits.omit.crit)),
        "guess": worst(reaches("c_hat", limits.guess.warn, limits.guess.crit)),
        "attendance": worst(
            reaches("absence_rate_7d", attendance.absence_7d_warn, attendance.absence_7d_crit),
            reaches("absence_rate_14d", attendance.absence_14d_warn, attendance.absence_14d_crit),
            reaches("consecutive_absences", None, attendance.consecutive_days_crit),
        ),
    }
    return levels | {"level": max(levels.values(), key=_SEVERITY.index)}


def drawn_students(number: int, *, seed: int = 1, prefix: str = "S") -> Iterator[dict[str, Any]]:
    """Metrics of students like a school's: most are well, some are not, a few have no data."""
    draw = random.Random(seed)  # noqa: S311 - samples, not secrets
    for place in range(1, number + 1):
        student = {"student_id": f"{prefix}{place:06d}", **NOTHING}
        if draw.random() > 0.02:
            slope = draw.gauss(-0.22, 0.13) if draw.random() < 0.06 else draw.gauss(0.04, 0.08)
            missed = max(0.0, draw.gauss(0.2, 0.1) if draw.random() < 0.06 else draw.gauss(-0.02, 0.05))
            student |= {
                "theta": draw.gauss(0, 1),
                "delta_theta_7d": slope,
                "delta_theta_14d": slope + draw.gauss(0.02, 0.1) if draw.random() > 0.1 else None,
                "omit_rate": min(1.0, max(0.0, draw.gauss(0.015, 0.03))),
                "c_hat": min(1.0, max(0.0, draw.gauss(0.18, 0.05))) if draw.random() > 0.2 else None,
                "absence_rate_7d": min(1.0, missed),
                "absence_rate_14d": min(1.0, missed * 0.7),
                "consecutive_absences": min(10, int(missed * 20)),
                "decline_weeks": draw.choices((0, 1, 2, 3), (60, 25, 12, 3))[0],
            }
        yield student


def rank_key(student: Mapping[str, Any]) -> tuple[Any, ...]:
    """Order of METHODS: level, then -2 delta_theta_7d + omit_rate + 1.5 absence_rate_7d falling, then id."""
    score = (
        -2 * (student["delta_theta_7d"] or 0)
        + (student["omit_rate"] or 0)
        + 1.5 * (student["absence_rate_7d"] or 0)
    )
    return -_SEVERITY.index(student["level"]), -score, student["student_id"]


async def store_report(  # noqa: PLR0913 - a row's fields, each named at the call
    connection: asyncpg.Connection,
    tenant: Tenant,
    students: Sequence[Mapping[str, Any]],
    *,
    report_date: date = REPORT_DATE,
    job_id: str = "weekly-1",
    state: str = "stored",
) -> list[dict[str, Any]]:
    """Rows of the students, their summary and the tenant's place in a job; ranked as METHODS says.

    Returns:
        The students as stored, most at risk first.
    """
    with_levels = []
    for student in students:
        levels = levels_of(student, tenant.thresholds)
        overall = levels.pop("level")
        by_risk = {f"{risk}_level": level for risk, level in levels.items()}
        with_levels.append({"theta_basis": None, **student, **by_risk, "level": overall})
    ranked = sorted(with_levels, key=rank_key)
    for place, student in enumerate(ranked, start=1):
        student["rank"] = place
    job_seq = await _job(connection, job_id, report_date)
    common = {
        "org_id": tenant.org_id,
        "report_date": report_date,
        "calculated_at": CALCULATED,
        "job_id": job_id,
        "job_seq": job_seq,
    }
    columns = [*common, "student_id", *METRICS, *(f"{risk}_level" for risk in RISKS), "level", "theta_basis"]
    columns.append("rank")
    rows = [[(common | student)[column] for column in columns] for student in ranked]
    await connection.copy_records_to_table("student_risk_metrics", records=rows, columns=columns)
    await _insert(connection, "tenant_risk_summary", common | summary_of(tenant, ranked))
    await _insert(
        connection,
        "batch_job_tenants",
        {
            "job_id": job_id,
            "org_id": tenant.org_id,
            "report_date": report_date,
            "tenant": tenant.model_dump_json(),
            "students": len(ranked),
            "parts": 1,
            "parts_left": 0,
            "state": state,
        },
    )
    await connection.execute(
        "UPDATE batch_job_logs SET total_grids = total_grids + 1 WHERE job_id = $1", job_id
    )
    return ranked


def summary_of(tenant: Tenant, students: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts, percentages and means of stored students."""
    levels = Counter(student["level"] for student in students)
    with_data = len(students) - levels["NO_DATA"]

    def mean(metric: str) -> float | None:
        values = [student[metric] for student in students if student[metric] is not None]
        return sum(values) / len(values) if values else None

    summary: dict[str, Any] = {
        "org_name": tenant.name,
        "total_students": len(students),
        "crit_count": levels["CRIT"],
        "crit_pct": 100 * levels["CRIT"] / with_data if with_data else None,
        "warn_count": levels["WARN"],
        "warn_pct": 100 * levels["WARN"] / with_data if with_data else None,
        "ok_count": levels["OK"],
        "insufficient_data": levels["NO_DATA"],
        "thresholds": tenant.thresholds.model_dump_json(),
    }
    for risk in RISKS:
        of_risk = Counter(student[f"{risk}_level"] for student in students)
        summary |= {f"{risk}_warn": of_risk["WARN"], f"{risk}_crit": of_risk["CRIT"]}
    means = ("theta", "delta_theta_7d", "omit_rate", "c_hat", "absence_rate_7d", "absence_rate_14d")
    return summary | {f"mean_{metric}": mean(metric) for metric in means}


async def store_classes(
    connection: asyncpg.Connection, tenant: Tenant, student_ids: Sequence[str], *, classes: int = 8
) -> None:
    """Names, which are numbers, and classes of students."""
    rows = []
    for place, student_id in enumerate(sorted(student_ids)):
        if tenant.language == "ko":
            name = f"학생 {place + 1:03}"
            group = f"{1 + place % classes // 4}학년 {1 + place % 4}반"
        else:
            name = f"Student {place + 1:03}"
            group = f"Year {10 + place % classes // 4} {'ABCD'[place % 4]}"
        rows.append((tenant.org_id, student_id, name, group))
    await connection.copy_records_to_table(
        "students", records=rows, columns=("org_id", "student_id", "display_name", "class_name")
    )


async def store_attendance(
    connection: asyncpg.Connection,
    tenant: Tenant,
    students: Sequence[Mapping[str, Any]],
    *,
    report_date: date = REPORT_DATE,
    seed: int = 2,
) -> None:
    """Two sessions on each school day of the two weeks, missed as often as the students' rates say."""
    draw = random.Random(seed)  # noqa: S311 - samples, not secrets
    days = [report_date - timedelta(back) for back in range(14, 0, -1)]
    rows = []
    for day in days:
        if day.weekday() < 5:
            for student in students:
                rate = student["absence_rate_7d"] or 0.0
                for session in ("am", "pm"):
                    other = "late" if draw.random() < 0.03 else "present"
                    status = "absent" if draw.random() < rate else other
                    rows.append((tenant.org_id, student["student_id"], day, session, status))
    await connection.copy_records_to_table(
        "attendance", records=rows, columns=("org_id", "student_id", "class_date", "session", "status")
    )


async def store_past(
    connection: asyncpg.Connection, tenant: Tenant, counts: Sequence[tuple[int, int, int]]
) -> None:
    """Summaries of the weeks before, oldest first: students, CRIT and WARN of each."""
    for back, (students, crit, warn) in enumerate(reversed(counts), start=1):
        report_date = REPORT_DATE - timedelta(7 * back)
        job_seq = await _job(connection, f"weekly-{report_date}", report_date)
        row: dict[str, Any] = {"org_id": tenant.org_id, "report_date": report_date, **summary_of(tenant, [])}
        row |= {
            "total_students": students,
            "crit_count": crit,
            "crit_pct": 100 * crit / students,
            "warn_count": warn,
            "warn_pct": 100 * warn / students,
            "ok_count": students - crit - warn,
            "calculated_at": CALCULATED - timedelta(7 * back),
            "job_id": f"weekly-{report_date}",
            "job_seq": job_seq,
        }
        await _insert(connection, "tenant_risk_summary", row)


async def _job(connection: asyncpg.Connection, job_id: str, report_date: date) -> int:
    known = await connection.fetchval("SELECT job_seq FROM batch_job_logs WHERE job_id = $1", job_id)
    if known is not None:
        return int(known)
    return int(
        await connection.fetchval(
            "INSERT INTO batch_job_logs (job_id, job_seq, job_type, status, report_date, total_grids, "
            "processed_grids, failed_grids) "
            "SELECT $1, 1 + count(*), 'weekly', 'running', $2, 0, 0, 0 FROM batch_job_logs RETURNING job_seq",
            job_id,
            report_date,
        )
    )


async def _insert(connection: asyncpg.Connection, table: str, row: Mapping[str, Any]) -> None:
    places = ", ".join(f"${place}" for place in range(1, len(row) + 1))
    await connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", *row.values())  # noqa: S608
