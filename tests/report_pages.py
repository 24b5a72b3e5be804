"""Pages of drawn tenants, made without a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

from report_samples import CALCULATED, METRICS, REPORT_DATE, RISKS, levels_of, rank_key, summary_of

from consumers.report.data import FALL_EDGES, ClassRisk, Counts, Day, FallBin, ReportData, Student
from consumers.report.page import Pages
from consumers.report.reasons import reasons
from schemas.tenants import Tenant


def counts_of(tenant: Tenant, students: Sequence[Mapping[str, Any]], weeks_back: int = 0) -> Counts:
    summary = summary_of(tenant, students)
    return Counts(
        report_date=REPORT_DATE - timedelta(7 * weeks_back),
        students=summary["total_students"],
        crit=summary["crit_count"],
        warn=summary["warn_count"],
        ok=summary["ok_count"],
        no_data=summary["insufficient_data"],
        crit_pct=summary["crit_pct"],
        warn_pct=summary["warn_pct"],
        risks={risk: (summary[f"{risk}_warn"], summary[f"{risk}_crit"]) for risk in RISKS},
    )


def report_data(tenant: Tenant, students: Sequence[Mapping[str, Any]], **changes: Any) -> ReportData:
    """What a page of these students shows; students may carry a name and a class."""
    ranked = []
    for student in students:
        levels = levels_of(student, tenant.thresholds)
        overall = levels.pop("level")
        ranked.append({**student, **{f"{risk}_level": levels[risk] for risk in RISKS}, "level": overall})
    ranked.sort(key=rank_key)
    at_risk = [
        Student(
            rank=place,
            student_id=student["student_id"],
            name=student.get("name"),
            class_name=student.get("class_name"),
            level=student["level"],
            from_responses=False,
            reasons=reasons(student, tenant.thresholds),
        )
        for place, student in enumerate(ranked, start=1)
        if student["level"] in {"CRIT", "WARN"}
    ]
    falls = [student["delta_theta_7d"] for student in ranked if student["delta_theta_7d"] is not None]
    edges = (None, *FALL_EDGES, None)
    values: dict[str, Any] = {
        "counts": counts_of(tenant, ranked),
        "before": counts_of(tenant, ranked[: len(ranked) // 2], 1) if ranked else None,
        "trend": [counts_of(tenant, ranked[back:], back) for back in range(7, -1, -1)] if ranked else [],
        "thresholds": tenant.thresholds,
        "at_risk": at_risk,
        "days": [Day(REPORT_DATE - timedelta(back), 40, 14 - back) for back in range(14, 4, -1)],
        "classes": [ClassRisk(f"1-{group}", 40, group, 2 * group) for group in range(1, 6)],
        "falls": [
            FallBin(
                lower,
                upper,
                sum((lower is None or fall >= lower) and (upper is None or fall < upper) for fall in falls),
            )
            for lower, upper in pairwise(edges)
        ],
        "coverage": {metric: sum(student[metric] is not None for student in ranked) for metric in METRICS},
        "from_responses": 0,
        "without_data": [student["student_id"] for student in ranked if student["level"] == "NO_DATA"],
        "being_replaced": 0,
        "calculated_at": CALCULATED,
        "job_id": "weekly-1",
    }
    return ReportData(**(values | changes))


def page(tenant: Tenant, data: ReportData, *, logo: str | None = None, notes: Sequence[str] = ()) -> str:
    return Pages().render(data, tenant, logo=logo, notes=list(notes))
