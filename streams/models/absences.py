"""Sessions and missed sessions by day, and days of absence in a row.

A day is a date less the report date R, negative. Source: METHODS, section 3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streams.models.inputs import Array

DAYS = 14
"""Days before R that metrics look back; METHODS, section 3."""

Counts = NDArray[np.int64]


def daily_sessions(
    students: int, student: NDArray[np.int32], day: NDArray[np.int32], missed: NDArray[np.bool_]
) -> tuple[Counts, Counts]:
    """Sessions and missed sessions of the days -14..-1, oldest first, each (14, students).

    `student` counts from 0, `day` is -14..-1, `missed` tells whether the session counts as absent;
    each (sessions,), in any order.
    """
    cell = day.astype(np.int64)
    cell += DAYS
    cell *= students
    cell += student
    cell *= 2
    cell += missed
    counts = np.bincount(cell, minlength=2 * DAYS * students).reshape(DAYS, students, 2)
    return counts.sum(axis=2), counts[:, :, 1]


def consecutive_absences(sessions: Counts, missed: Counts) -> Array:
    """School days, counted back from the last, on which every session was missed, (students,).

    A school day is one with a session of the student; other days neither count nor end the run.
    NaN without any. Arguments as `daily_sessions` gives them.
    """
    school_day = sessions > 0
    days = np.where(school_day.any(axis=0), 0.0, np.nan)
    running = np.ones(len(days), dtype=bool)
    for day in range(DAYS - 1, -1, -1):
        running &= missed[day] == sessions[day]
        days += running & school_day[day]
    return days
