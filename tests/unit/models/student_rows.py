"""Inputs of students from rows of tuples, with only what a test names."""

from dataclasses import fields

import numpy as np

from streams.models.students import (
    Assessments,
    Attendance,
    Estimates,
    Responses,
    StudentInputs,
    student_metrics,
)

TYPES = {"student": np.int32, "day": np.int32, "assessed": np.bool_, "status": np.int8}
NAN = float("nan")


def table(kind, rows):
    """Rows of tuples in the order of the table's columns."""
    columns = zip(*rows, strict=True) if rows else [()] * len(fields(kind))
    return kind(
        **{
            field.name: np.array(column, dtype=TYPES.get(field.name, np.float64))
            for field, column in zip(fields(kind), columns, strict=True)
        }
    )


def inputs(students=1, *, estimates=(), assessments=(), attendance=(), responses=()):
    return StudentInputs(
        students,
        table(Estimates, list(estimates)),
        table(Assessments, list(assessments)),
        table(Attendance, list(attendance)),
        table(Responses, list(responses)),
    )


def metrics(given_inputs, *, excused_is_absent=False):
    return student_metrics(given_inputs, irt_scaling=1.7, excused_is_absent=excused_is_absent)


def snapshots(*days_and_thetas, student=0):
    return [(student, day, 0, False, theta) for day, theta in days_and_thetas]


def one_student(*days_and_thetas):
    return metrics(inputs(estimates=snapshots(*days_and_thetas)))


def attended(*days_and_statuses):
    return [(0, day, status) for day, status in days_and_statuses]


def absences(rows, *, excused_is_absent=False):
    return metrics(inputs(attendance=rows), excused_is_absent=excused_is_absent)


def answers(day, right, wrong, *, student=0, b=0.0):
    return [(student, day, response, 1.2, b, 0.2) for response in [1] * right + [0] * wrong]
