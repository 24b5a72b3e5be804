"""Metrics of a tenant's students over the weeks before the report date R, as arrays over all students.

A day is a date in the tenant's time zone less R: the 7 days are -7..-1, the 14 days -14..-1. Rows may
come in any order; none of R or later belongs here. Source: METHODS, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streams.models.abilities import ESTIMATE_DAYS, WEEK, StoredEstimates
from streams.models.absences import DAYS, consecutive_absences, daily_sessions
from streams.models.eap import eap
from streams.models.inputs import Array

Places = NDArray[np.int32]
Codes = NDArray[np.int8]
Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]

PRESENT, LATE, ABSENT, EXCUSED = range(4)
"""Codes of Attendance.status."""

NONE, ESTIMATE, EAP = range(3)
"""Codes of StudentMetrics.theta_basis: no theta, a stored estimate, item responses."""

MIN_RESPONSES = 5
"""Responses that each of the two weeks needs for EAP; METHODS, section 3."""

DECIMALS = 12
"""Decimals of a difference and of a mean: 0.35 - 0.50 must not be below -0.15 by its last bits [1]."""


@dataclass(frozen=True, slots=True)
class Estimates:
    """Stored ability estimates of the days -49..-1, each array (rows,); NaN theta is no estimate.

    `student` is a place from 0; `order` grows with the time within a day, of assessments alone;
    `assessed` is False for a snapshot; `theta` in standard deviations of ability.
    """

    student: Places
    day: Places
    order: Array
    assessed: Mask
    theta: Array


@dataclass(frozen=True, slots=True)
class Assessments:
    """Assessments of the days -14..-1, each array (rows,): counts of items, guessing as a share; NaN null."""

    student: Places
    day: Places
    items: Array
    omitted: Array
    c_hat: Array


@dataclass(frozen=True, slots=True)
class Attendance:
    """Sessions of the days -14..-1, each array (rows,); status PRESENT, LATE, ABSENT or EXCUSED."""

    student: Places
    day: Places
    status: Codes


@dataclass(frozen=True, slots=True)
class Responses:
    """Answered items of the days -14..-1 with 3PL parameters, each array (rows,); response 1 or 0."""

    student: Places
    day: Places
    response: Array
    a: Array
    b: Array
    c: Array


@dataclass(frozen=True, slots=True)
class StudentInputs:
    """All that the metrics of `students` students read."""

    students: int
    estimates: Estimates
    assessments: Assessments
    attendance: Attendance
    responses: Responses


@dataclass(frozen=True, slots=True)
class StudentMetrics:
    """One value per student, each array (students,), NaN for null.

    Thetas in standard deviations of ability, rates and c_hat as shares, absences in school days,
    declines in weeks; `theta_basis` is NONE, ESTIMATE or EAP.
    """

    theta: Array
    delta_theta_7d: Array
    delta_theta_14d: Array
    omit_rate: Array
    c_hat: Array
    absence_rate_7d: Array
    absence_rate_14d: Array
    consecutive_absences: Array
    decline_weeks: Array
    theta_basis: Codes


def student_metrics(inputs: StudentInputs, *, irt_scaling: float, excused_is_absent: bool) -> StudentMetrics:
    """Metrics of every student.

    Where both weeks have MIN_RESPONSES responses, their EAPs are theta and the earlier estimate of
    delta_theta_7d. delta_theta_14d and decline_weeks are of stored estimates always: EAPs reach back two
    weeks only, and an EAP, drawn towards the prior's mean, less a stored estimate is no change of ability.

    Args:
        inputs: Rows of the students.
        irt_scaling: D of the 3PL.
        excused_is_absent: Whether an excused session counts as missed, in the rates and in the
            days of absence in a row.

    Raises:
        ValueError: a row names a student or a day outside its range, a status is unknown, or a
            response has no 3PL curve.
    """
    _check(inputs)
    rows = inputs.estimates
    stored = StoredEstimates(
        inputs.students, rows.student, rows.day, rows.order, assessed=rows.assessed, theta=rows.theta
    )
    this_week, week_before = _weekly_eaps(inputs, irt_scaling)
    has_eap = ~np.isnan(this_week)
    theta = np.where(has_eap, this_week, stored.latest(0))
    recent_7d = np.where(has_eap, this_week, stored.latest(0, 1))
    earlier = np.where(has_eap, week_before, stored.latest(1))
    omit_rate, c_hat = _assessment_rates(inputs.students, inputs.assessments)
    sessions, missed = _sessions(inputs, excused_is_absent=excused_is_absent)
    return StudentMetrics(
        theta=theta,
        delta_theta_7d=np.round(recent_7d - earlier, DECIMALS),
        delta_theta_14d=np.round(stored.latest(0, 2) - stored.latest(2), DECIMALS),
        omit_rate=omit_rate,
        c_hat=c_hat,
        absence_rate_7d=_ratio(missed[-WEEK:].sum(axis=0), sessions[-WEEK:].sum(axis=0)),
        absence_rate_14d=_ratio(missed.sum(axis=0), sessions.sum(axis=0)),
        consecutive_absences=consecutive_absences(sessions, missed),
        decline_weeks=stored.decline_weeks(),
        theta_basis=np.where(has_eap, EAP, np.where(np.isnan(theta), NONE, ESTIMATE)).astype(np.int8),
    )


def _weekly_eaps(inputs: StudentInputs, scaling: float) -> tuple[Array, Array]:
    """EAPs of R-7..R-1 and R-14..R-8, NaN for students without MIN_RESPONSES in each of the two."""
    rows = inputs.responses
    weeks = 2 * rows.student + (rows.day >= -WEEK)
    answers = np.bincount(weeks, minlength=2 * inputs.students).reshape(-1, 2)
    wanted = (answers.min(axis=1) >= MIN_RESPONSES)[rows.student]
    theta, _ = eap(
        weeks[wanted],
        rows.response[wanted],
        rows.a[wanted],
        rows.b[wanted],
        rows.c[wanted],
        students=2 * inputs.students,
        scaling=scaling,
    )
    week_before, this_week = theta.reshape(-1, 2).T
    return this_week, week_before


def _assessment_rates(students: int, rows: Assessments) -> tuple[Array, Array]:
    """Omit rate and mean guessing estimate of the 14 days, each (students,)."""
    counted = ~(np.isnan(rows.items) | np.isnan(rows.omitted))
    place = rows.student[counted]
    omit_rate = _ratio(
        np.bincount(place, rows.omitted[counted], students), np.bincount(place, rows.items[counted], students)
    )
    guessed = ~np.isnan(rows.c_hat)
    place = rows.student[guessed]
    # Whole units of the last decimal add up without rounding, so the order of rows changes no bit.
    units = np.rint(rows.c_hat[guessed] * 10.0**DECIMALS)
    mean = _ratio(np.bincount(place, units, students), np.bincount(place, minlength=students))
    return omit_rate, mean / 10.0**DECIMALS


def _ratio(part: NDArray[np.number], whole: NDArray[np.number]) -> Array:
    """Correctly rounded, so that 3 of 15 is the double that 0.2 is; NaN where the whole is 0."""
    known = whole > 0
    return np.asarray(np.divide(part, whole, out=np.full(len(whole), np.nan), where=known))


def _sessions(inputs: StudentInputs, *, excused_is_absent: bool) -> tuple[Counts, Counts]:
    rows = inputs.attendance
    missed = rows.status == ABSENT
    if excused_is_absent:
        missed |= rows.status == EXCUSED
    return daily_sessions(inputs.students, rows.student, rows.day, missed)


def _check(inputs: StudentInputs) -> None:
    for name, rows, days in (
        ("estimates", inputs.estimates, ESTIMATE_DAYS),
        ("assessments", inputs.assessments, DAYS),
        ("attendance", inputs.attendance, DAYS),
        ("responses", inputs.responses, DAYS),
    ):
        _within(f"{name}: student", rows.student, 0, inputs.students - 1)
        _within(f"{name}: day", rows.day, -days, -1)
    _within("attendance: status", inputs.attendance.status, PRESENT, EXCUSED)


def _within(name: str, values: NDArray[np.integer], lowest: int, highest: int) -> None:
    # Checked, because a day too many would count for the student beside.
    if values.size and (values.min() < lowest or values.max() > highest):
        raise ValueError(
            f"{name} lies in {values.min()}..{values.max()}, allowed are {lowest}..{highest}; "
            "leave other rows out"
        )
