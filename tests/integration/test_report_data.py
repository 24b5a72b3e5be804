"""What a report says, read back from rows that were counted by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from report_samples import (
    BRIGHTON,
    NOTHING,
    REPORT_DATE,
    SEOUL,
    drawn_students,
    store_attendance,
    store_classes,
    store_past,
    store_report,
)

from consumers.report.data import NoReport, read
from schemas.tenants import Tenant

CRITICAL: dict[str, Any] = NOTHING | {"absence_rate_7d": 0.25, "absence_rate_14d": 0.125, "omit_rate": 0.1}
WELL: dict[str, Any] = NOTHING | {"theta": 1 / 3, "omit_rate": 0.01}


async def test_the_data_of_a_report(connection: asyncpg.Connection) -> None:
    thresholds = {"attendance": {"excused_is_absent": True}}
    tenant = Tenant.model_validate({**BRIGHTON.model_dump(), "thresholds": thresholds})
    students = [
        {"student_id": "a", **CRITICAL, "delta_theta_7d": -0.3, "theta_basis": "eap"},
        {"student_id": "b", **WELL, "delta_theta_7d": -0.31},
        {"student_id": "c", **WELL, "delta_theta_7d": 0.6},
        {"student_id": "d", **NOTHING},
    ]
    await store_past(connection, tenant, [(10, 1, 2)] * 9)
    await store_report(connection, tenant, students)
    await store_report(connection, SEOUL, [{"student_id": "a", **CRITICAL}])
    await connection.executemany(
        "INSERT INTO students (org_id, student_id, display_name, class_name) VALUES ('brighton', $1, $2, $3)",
        [("a", "Ada", "X"), ("b", None, "Y"), ("d", None, "X")],
    )
    sessions = [
        *[("a", 14, "am", "present"), ("b", 14, "am", "late"), ("c", 14, "am", "excused")],
        *[("a", 1, "am", "absent"), ("a", 1, "pm", "present")],
        *[("a", 15, "am", "absent"), ("a", 0, "am", "absent")],
    ]
    await connection.executemany(
        "INSERT INTO attendance (org_id, student_id, class_date, session, status) "
        "VALUES ('brighton', $1, $2, $3, $4)",
        [(one, REPORT_DATE - timedelta(back), session, status) for one, back, session, status in sessions],
    )
    await connection.execute(
        "UPDATE student_risk_metrics SET job_seq = job_seq + 1 WHERE org_id = 'brighton' AND student_id = 'c'"
    )

    data = await read(connection, "brighton", REPORT_DATE)

    counts = data.counts
    assert (counts.students, counts.crit, counts.warn, counts.ok, counts.no_data) == (4, 2, 0, 1, 1)
    assert (counts.with_data, counts.risks["theta"], counts.risks["attendance"]) == (3, (1, 1), (0, 1))
    assert (counts.crit_pct, data.before.report_date) == (pytest.approx(200 / 3), REPORT_DATE - timedelta(7))
    assert [point.report_date for point in data.trend] == [
        REPORT_DATE - timedelta(7 * k) for k in range(7, -1, -1)
    ]
    assert [(each.day, each.sessions, each.missed) for each in data.days] == [
        (REPORT_DATE - timedelta(14), 3, 1),
        (REPORT_DATE - timedelta(1), 2, 1),
    ]
    assert [(each.name, each.students, each.crit) for each in data.classes] == [
        ("X", 1, 1),
        ("Y", 1, 1),
        (None, 1, 0),
    ]
    falls = {(each.lower, each.upper): each.students for each in data.falls if each.students}
    assert falls == {(-0.45, -0.3): 1, (-0.3, -0.15): 1, (0.6, None): 1}
    assert (data.coverage["theta"], data.coverage["omit_rate"], data.coverage["c_hat"]) == (2, 3, 0)
    assert (data.from_responses, data.being_replaced, data.without_data) == (1, 1, ["d"])
    assert [(each.student_id, each.name, each.level, each.from_responses) for each in data.at_risk] == [
        ("a", "Ada", "CRIT", True),
        ("b", None, "CRIT", False),
    ]
    assert data.thresholds.attendance.excused_is_absent


async def test_drawn_tenants_are_read_back_with_reasons_that_agree(connection: asyncpg.Connection) -> None:
    students = await store_report(connection, SEOUL, list(drawn_students(300)))
    ids = [student["student_id"] for student in students]
    await store_classes(connection, SEOUL, ids)
    await store_attendance(connection, SEOUL, students)
    data = await read(connection, "seoul-hs", REPORT_DATE)
    expected = [each for each in students if each["level"] in {"CRIT", "WARN"}]
    assert [(each.rank, each.student_id, each.level) for each in data.at_risk] == [
        (each["rank"], each["student_id"], each["level"]) for each in expected
    ]
    assert all(each.reasons[0].level == each.level for each in data.at_risk)
    assert sum(each.students for each in data.classes) == data.counts.with_data
    assert sum(each.sessions for each in data.days) == 300 * 20


async def test_without_a_summary_there_is_no_report(connection: asyncpg.Connection) -> None:
    with pytest.raises(NoReport, match="no summary of seoul-hs for 2026-11-23 is stored"):
        await read(connection, "seoul-hs", REPORT_DATE)
