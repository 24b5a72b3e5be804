"""Stored ability estimates by date: the latest of a span of days, and weeks of decline.

A day is a date less the report date R, negative. Source: METHODS, section 3.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from streams.models.inputs import Array

WEEK = 7
ESTIMATE_DAYS = 49
"""Days of a week, and days before R that estimates are read from; METHODS, section 3."""


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
        known = ~np.isnan(theta)
        key = _cell(student[known], day[known])
        # Of a day the last row counts: snapshots first, assessments by time.
        rows = np.lexsort((order[known], assessed[known], key))
        # A search in vain ends on the first row, which lies in nobody's days.
        self._keys = np.concatenate(([-1], key[rows]))
        self._thetas = np.concatenate(([np.nan], theta[known][rows]))
        self._students = np.arange(students)

    def latest(self, since: int, until: int) -> Array:
        """The latest estimate dated in the days since..until, both included, (students,); NaN without one."""
        place = np.searchsorted(self._keys, _cell(self._students, until), side="right") - 1
        inside = self._keys[place] >= _cell(self._students, since)
        return np.where(inside, self._thetas[place], np.nan)

    def decline_weeks(self) -> Array:
        """Weeks in a row, counted back from R-7..R-1, whose last estimate is below that of the week before.

        (students,), 0 to 6; NaN without an estimate in R-7..R-1. A week without one ends the run.
        """
        weeks = [self.latest(start, start + WEEK - 1) for start in range(-WEEK, -ESTIMATE_DAYS - 1, -WEEK)]
        running = ~np.isnan(weeks[0])
        declines = np.where(running, 0.0, np.nan)
        for week, week_before in pairwise(weeks):
            running &= week < week_before
            declines += running
        return declines


def _cell(student: NDArray[np.integer], day: NDArray[np.integer] | int) -> NDArray[np.int64]:
    """Number of a student's day, student by student and day by day."""
    return np.asarray(student.astype(np.int64) * ESTIMATE_DAYS + day + ESTIMATE_DAYS)
