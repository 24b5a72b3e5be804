"""Drawn students as the arrays that their metrics are computed from, part by part as a worker reads them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ops.generator.students import Table, TenantBlock, draw_tenant
from ops.generator.tenant import DrawnTenant
from schemas.tenants import DAYS
from streams.models.students import (
    ABSENT,
    EXCUSED,
    LATE,
    PRESENT,
    Assessments,
    Attendance,
    Estimates,
    Responses,
    StudentInputs,
)

REPORT_DATE = date(2026, 11, 16)
WEEKS = 7
"""Weeks that a metric reaches back."""
ITEMS = 5
"""Items of each of the two assessments a week: 20 responses of a student in 14 days."""
STATUS = {"present": PRESENT, "late": LATE, "absent": ABSENT, "excused": EXCUSED}


def drawn_parts(students: int, part: int) -> Iterator[StudentInputs]:
    """All inputs of that many students, at most `part` of them at a time, rows as tables give them."""
    tenant = DrawnTenant(
        org_id="students",
        students=students,
        report_date=REPORT_DATE,
        weeks=WEEKS,
        # A day of the tenant is then a day of the stored times.
        timezone="UTC",
        item_responses=ITEMS,
    )
    for block in draw_tenant(tenant, part):
        yield _inputs(block)


def _inputs(block: TenantBlock) -> StudentInputs:
    sat = _days(block.assessments, "assessed_at")
    recent = sat >= -DAYS
    return StudentInputs(
        students=len(block.students["student_id"].codes),
        estimates=_estimates(block, sat),
        assessments=Assessments(
            _places(block.assessments)[recent],
            sat[recent],
            *(block.assessments[name][recent].astype(np.float64) for name in ("items", "omitted", "c_hat")),
        ),
        attendance=_attendance(block.attendance),
        responses=_responses(block.items),
    )


def _estimates(block: TenantBlock, sat: NDArray[np.int32]) -> Estimates:
    assessments, snapshots = block.assessments, block.snapshots
    times = assessments["assessed_at"].astype(np.int64) / 1e6
    return Estimates(
        student=np.concatenate([_places(assessments), _places(snapshots)]),
        day=np.concatenate([sat, _days(snapshots, "snapshot_date")]),
        order=np.concatenate([times, np.zeros(len(snapshots["theta"]))]),
        assessed=np.arange(len(sat) + len(snapshots["theta"])) < len(sat),
        theta=np.concatenate([assessments["theta"], snapshots["theta"]]),
    )


def _attendance(table: Table) -> Attendance:
    day = _days(table, "class_date")
    recent = day >= -DAYS
    codes = np.array([STATUS[text] for text in table["status"].texts], dtype=np.int8)
    return Attendance(_places(table)[recent], day[recent], codes[table["status"].codes[recent]])


def _responses(table: Table) -> Responses:
    day = _days(table, "assessed_at")
    known = (day >= -DAYS) & ~np.isnan(table["response"])
    return Responses(
        _places(table)[known], day[known], *(table[name][known] for name in ("response", "a", "b", "c"))
    )


def _places(table: Table) -> NDArray[np.int32]:
    return np.asarray(table["student_id"].codes, dtype=np.int32)


def _days(table: Table, name: str) -> NDArray[np.int32]:
    """Days less the report date."""
    days: Any = table[name].astype("datetime64[D]") - np.datetime64(REPORT_DATE, "D")
    return np.asarray(days.astype(np.int32))
