"""The bulk read of a part's students: their ids and, as arrays, the rows that their metrics need.

Dates are days in the tenant's time zone less the report date R: -1 is R-1. Nothing dated R or later is
read. Source: METHODS, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import numpy as np
import structlog
from numpy.typing import NDArray

from schemas.tenant_messages import TenantChunk
from schemas.tenants import DAYS, ESTIMATE_DAYS
from streams.copied import Rows, copy_rows
from streams.models import students as model
from streams.student_tables import (
    ASSESSMENTS,
    ATTENDANCE,
    RESPONSES,
    SNAPSHOTS,
    STUDENTS_BEFORE,
    STUDENTS_TO_THE_END,
    Table,
)

log = structlog.get_logger(__name__)

LARGEST_THETA = 12.0
"""Largest absolute theta that the tables take [standard deviations of ability]."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A part's students in order of their ids, and their inputs by place in this order."""

    student_ids: list[str]
    inputs: model.StudentInputs


async def read_students(connection: asyncpg.Connection, chunk: TenantChunk) -> Reading:
    """Read a part in one snapshot.

    Item responses without an answer or without a, b and c are left out, and so are values that the
    tables' checks refuse, which only rows of before the checks can have; those are counted in the log.

    Raises:
        ZoneInfoNotFoundError: There is no such time zone.
    """
    when = chunk.report_date, midnights(chunk.report_date, ZoneInfo(chunk.timezone))
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        part = chunk.org_id, chunk.first_student, *when
        found = await (
            connection.fetch(STUDENTS_TO_THE_END, *part)
            if chunk.before_student is None
            else connection.fetch(STUDENTS_BEFORE, *part, chunk.before_student)
        )
        ids = [row["student_id"] for row in found]
        asked = chunk.org_id, ids, *when
        assessments = await _read(connection, ASSESSMENTS, *asked)
        snapshots = await _read(connection, SNAPSHOTS, *asked[:3])
        attendance = await _read(connection, ATTENDANCE, *asked[:3])
        responses = await _read(connection, RESPONSES, *asked)
    inputs = model.StudentInputs(
        students=len(ids),
        estimates=_estimates(assessments, snapshots),
        assessments=_assessments(assessments[assessments["day"] >= -DAYS]),
        attendance=_attendance(attendance),
        responses=_responses(responses),
    )
    return Reading(ids, inputs)


def midnights(report_date: date, zone: ZoneInfo) -> list[datetime]:
    """Begin of each of the days R-49 to R, (ESTIMATE_DAYS + 1,), ascending.

    Where the clock skips midnight the day begins with the change, where midnight comes twice with the
    first.
    """
    days = (report_date - timedelta(days=back) for back in range(ESTIMATE_DAYS, -1, -1))
    return [datetime.combine(day, time.min, zone) for day in days]


async def _read(connection: asyncpg.Connection, table: Table, *args: object) -> Rows:
    rows = await copy_rows(connection, table.query, *args, columns=table.columns)
    return rows[(rows["day"] >= -table.days) & (rows["day"] < 0)]


def _estimates(assessments: Rows, snapshots: Rows) -> model.Estimates:
    parts = [_with_theta(assessments, ASSESSMENTS), _with_theta(snapshots, SNAPSHOTS)]
    return model.Estimates(
        **{
            name: np.concatenate([_native(part[name]) for part in parts])
            for name in ("student", "day", "theta")
        },
        order=np.concatenate([_native(parts[0]["order"]), np.zeros(len(parts[1]))]),
        assessed=np.arange(len(parts[0]) + len(parts[1])) < len(parts[0]),
    )


def _with_theta(rows: Rows, table: Table) -> Rows:
    rows = rows[~np.isnan(rows["theta"])]
    return _only(rows, np.abs(rows["theta"]) <= LARGEST_THETA, table)


def _assessments(rows: Rows) -> model.Assessments:
    sound = ~(rows["items"] < 0) & ~(rows["omitted"] < 0) & ~(rows["omitted"] > rows["items"])
    sound &= ~(rows["c_hat"] < 0) & ~(rows["c_hat"] > 1)
    return model.Assessments(**_columns(_only(rows, sound, ASSESSMENTS), model.Assessments))


def _attendance(rows: Rows) -> model.Attendance:
    columns = _columns(_only(rows, rows["status"] >= 0, ATTENDANCE), model.Attendance)
    return model.Attendance(**columns | {"status": columns["status"].astype(np.int8)})


def _responses(rows: Rows) -> model.Responses:
    sound = np.isin(rows["response"], (0, 1)) & (rows["c"] >= 0) & (rows["c"] < 1)
    sound &= np.isfinite(rows["a"]) & np.isfinite(rows["b"])
    return model.Responses(**_columns(_only(rows, sound, RESPONSES), model.Responses))


def _only(rows: Rows, sound: NDArray[np.bool_], table: Table) -> Rows:
    if not sound.all():
        log.warning(
            "values that the table's checks refuse are left out", table=table.name, rows=int((~sound).sum())
        )
    return rows[sound]


def _columns(rows: Rows, kind: Any) -> dict[str, NDArray[Any]]:
    return {name: _native(rows[name]) for name in kind.__slots__}


def _native(column: NDArray[Any]) -> NDArray[Any]:
    return column.astype(column.dtype.newbyteorder("="))
