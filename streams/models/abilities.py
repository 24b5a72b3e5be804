"""Stored ability estimates by date: the latest of a span of weeks, and weeks of decline.

A day is a date less the report date R, negative. Source: METHODS, section 3.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streams.models.inputs import Array

WEEK = 7
ESTIMATE_DAYS = 49
"""Days of a week, and days before R that estimates are read from; METHODS, section 3."""

WEEKS = ESTIMATE_DAYS // WEEK


class StoredEstimates:
    """The estimates of R-49..R-1, looked up by date, never by row.

    Args:
        students: Number of students.
        student: Place of the student, 0..students-1, (rows,); rows in any order.
        day: -49..-1, (rows,).
        order: Grows with the time within a day, (rows,); read of assessments only.
        assessed: Whether an assessment gave it, (rows,); it counts over a snapshot of its day.
        theta: Standard deviations of ability, (rows,); NaN is no estimate.
    """

    def __init__(  # noqa: PLR0913 - the columns of an estimate
        self,
        students: int,
        student: NDArray[np.int32],
        day: NDArray[np.int32],
        order: Array,
        *,
        assessed: NDArray[np.bool_],
        theta: Array,
    ) -> None:
        # Contiguous and writable, as one layout is one compiled kernel.
        last = _last_of_weeks(
            students,
            np.require(student, np.int32, ["C", "W"]),
            np.require(day, np.int32, ["C", "W"]),
            np.require(order, np.float64, ["C", "W"]),
            np.require(assessed, np.bool_, ["C", "W"]),
            np.require(theta, np.float64, ["C", "W"]),
        )
        # Where a student has no estimate the row is -1, the one that is appended.
        self._weeks: Array = np.append(theta, np.nan)[last]

    def latest(self, first: int, end: int = WEEKS) -> Array:
        """The latest estimate of the weeks first..end-1, (students,); NaN without one.

        Week 0 is R-7..R-1, week 1 R-14..R-8 and so on.
        """
        found: Array = self._weeks[first]
        for week in self._weeks[first + 1 : end]:
            found = np.where(np.isnan(found), week, found)
        return found

    def decline_weeks(self) -> Array:
        """Weeks in a row, counted back from R-7..R-1, whose last estimate is below that of the week before.

        (students,), 0 to 6; NaN without an estimate in R-7..R-1. A week without one ends the run.
        """
        running = ~np.isnan(self._weeks[0])
        declines = np.where(running, 0.0, np.nan)
        for week, week_before in pairwise(self._weeks):
            running &= week < week_before
            declines += running
        return declines


def compile_kernels() -> None:
    """Compile what this module runs, or load it from the cache."""
    one = np.ones(1)
    nobody = np.zeros(1, np.int32)
    StoredEstimates(1, nobody, nobody - np.int32(1), one, assessed=one > 0, theta=one)


@njit(cache=True, nogil=True)
def _last_of_weeks(  # noqa: PLR0913, PLR0917 - the columns of an estimate
    students: int,
    student: NDArray[np.int32],
    day: NDArray[np.int32],
    order: Array,
    assessed: NDArray[np.bool_],
    theta: Array,
) -> NDArray[np.int64]:
    """Row of each student's last estimate in each week, (WEEKS, students); -1 without one.

    Of a day the last row counts: snapshots first, assessments by time.
    """
    last = np.full((WEEKS, students), -1, np.int64)
    for row in range(len(theta)):
        if np.isnan(theta[row]):
            continue
        week = (-1 - day[row]) // WEEK
        best = last[week, student[row]]
        if best < 0 or (day[row], assessed[row], order[row]) >= (day[best], assessed[best], order[best]):
            last[week, student[row]] = row
    return last
