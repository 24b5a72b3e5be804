"""What a report says, read from PostgreSQL as one snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import asyncpg

from consumers.report import queries
from consumers.report.reasons import Reason, reasons
from consumers.report.tables import METRICS
from schemas.errors import RiskflowError
from schemas.tenants import DAYS, STUDENT_RISKS, Thresholds

TREND_DAYS = 56
"""Days up to the report date whose reports make the trend: 8 weeks."""
MAX_LISTED = 2000
"""Students in the page's table; the CSV file has all (expert assumption)."""
MAX_WITHOUT_DATA = 200
"""Ids in the appendix's list of students with insufficient data (expert assumption)."""
FALL_EDGES = (-0.60, -0.45, -0.30, -0.15, 0.0, 0.15, 0.30, 0.45, 0.60)
"""Edges of the distribution of delta theta; a bin has its lower edge, and those at the ends are open."""


class NoReport(RiskflowError):  # noqa: N818 - named by what is wrong, as all errors here
    """The tenant has no summary of that date, so there is nothing to report."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Students by level, and per risk those at WARN and CRIT; percentages are of students with data."""

    report_date: date
    students: int
    crit: int
    warn: int
    ok: int
    no_data: int
    crit_pct: float | None
    warn_pct: float | None
    risks: dict[str, tuple[int, int]]

    @property
    def with_data(self) -> int:
        """Students with at least one rule that could be evaluated."""
        return self.students - self.no_data


@dataclass(frozen=True, slots=True)
class Student:
    """A student at risk and why, worst reason first."""

    rank: int | None
    student_id: str
    name: str | None
    class_name: str | None
    level: str
    from_responses: bool
    reasons: list[Reason]


@dataclass(frozen=True, slots=True)
class Day:
    """Sessions of a day and those missed."""

    day: date
    sessions: int
    missed: int

    @property
    def share(self) -> float:
        """Share of the sessions that was missed; a day has at least one session."""
        return self.missed / self.sessions


@dataclass(frozen=True, slots=True)
class ClassRisk:
    """Students of a class with data, and those at risk; name None holds those without a class."""

    name: str | None
    students: int
    crit: int
    warn: int


@dataclass(frozen=True, slots=True)
class FallBin:
    """Students whose delta theta over 7 days lies from `lower` up to but without `upper`."""

    lower: float | None
    upper: float | None
    students: int


@dataclass(frozen=True, slots=True)
class ReportData:
    """All that one tenant's page shows."""

    counts: Counts
    before: Counts | None
    trend: list[Counts]
    thresholds: Thresholds
    at_risk: list[Student]
    days: list[Day]
    classes: list[ClassRisk]
    falls: list[FallBin]
    coverage: dict[str, int]
    from_responses: int
    without_data: list[str]
    being_replaced: int
    calculated_at: datetime
    job_id: str


async def is_being_replaced(connection: asyncpg.Connection, org_id: str, report_date: date) -> bool:
    """Whether an open job has written some of the tenant's students, but not all of them yet.

    Call it in the snapshot that `read` takes, or rows may change between the two.
    """
    return bool(await connection.fetchval(queries.IS_BEING_REPLACED, org_id, report_date))


async def read(connection: asyncpg.Connection, org_id: str, report_date: date) -> ReportData:
    """Read a tenant's report inside the caller's transaction, which must be REPEATABLE READ.

    Raises:
        NoReport: No summary is stored.
    """
    summary = await connection.fetchrow(queries.SUMMARY, org_id, report_date)
    if summary is None:
        raise NoReport(f"no summary of {org_id} for {report_date} is stored")
    thresholds = Thresholds.model_validate_json(summary["thresholds"])
    first, last = report_date - timedelta(DAYS), report_date - timedelta(1)
    excused = thresholds.attendance.excused_is_absent
    place = (org_id, report_date)
    coverage = await connection.fetchrow(queries.COVERAGE, *place, summary["job_seq"])
    trend = await connection.fetch(queries.TREND, *place, TREND_DAYS)
    before = await connection.fetchrow(queries.BEFORE, *place)
    at_risk = await connection.fetch(queries.AT_RISK, *place, MAX_LISTED)
    days = await connection.fetch(queries.ATTENDANCE, org_id, first, last, excused)
    classes = await connection.fetch(queries.CLASSES, *place)
    falls = await connection.fetch(queries.FALLS, *place, FALL_EDGES)
    without = await connection.fetch(queries.WITHOUT_DATA, *place, MAX_WITHOUT_DATA)
    return ReportData(
        counts=_counts(summary),
        before=_counts(before) if before else None,
        trend=[_counts(row) for row in trend],
        thresholds=thresholds,
        at_risk=[_student(row, thresholds) for row in at_risk],
        days=[Day(**row) for row in days],
        classes=_classes(classes),
        falls=_falls({row["bin"]: row["students"] for row in falls}),
        coverage={metric: coverage[metric] for metric in METRICS},
        from_responses=coverage["from_responses"],
        without_data=[row["student_id"] for row in without],
        being_replaced=coverage["newer"],
        calculated_at=summary["calculated_at"],
        job_id=summary["job_id"],
    )


def _counts(row: Mapping[str, Any]) -> Counts:
    return Counts(
        report_date=row["report_date"],
        students=row["total_students"],
        crit=row["crit_count"],
        warn=row["warn_count"],
        ok=row["ok_count"],
        no_data=row["insufficient_data"],
        crit_pct=row["crit_pct"],
        warn_pct=row["warn_pct"],
        risks={risk: (row[f"{risk}_warn"], row[f"{risk}_crit"]) for risk in STUDENT_RISKS},
    )


def _student(row: Mapping[str, Any], thresholds: Thresholds) -> Student:
    return Student(
        rank=row["rank"],
        student_id=row["student_id"],
        name=row["display_name"],
        class_name=row["class_name"],
        level=row["level"],
        from_responses=row["theta_basis"] == "eap",
        reasons=reasons(row, thresholds),
    )


def _classes(rows: Sequence[Mapping[str, Any]]) -> list[ClassRisk]:
    """Empty where no student's class is known."""
    classes = [ClassRisk(row["class_name"], row["students"], row["crit"], row["warn"]) for row in rows]
    return classes if any(each.name for each in classes) else []


def _falls(students: Mapping[int, int]) -> list[FallBin]:
    """All bins from the mildest fall down; empty where no student has a delta theta."""
    if not students:
        return []
    edges = (None, *FALL_EDGES, None)
    return [FallBin(edges[at], edges[at + 1], students.get(at, 0)) for at in range(len(edges) - 1)]
