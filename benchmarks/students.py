"""Metrics and levels of students: the worker's kernels, part by part, against pandas group-bys."""

from __future__ import annotations

import time
from dataclasses import fields

import numpy as np
import pandas as pd

from benchmarks.drawn_students import ITEMS, drawn_parts
from benchmarks.outcome import Outcome, times
from benchmarks.pandas_students import Frames, pandas_metrics
from benchmarks.rounds import Size, alternate, timed
from schemas.tenants import Thresholds
from streams.models.student_levels import StudentLevels, student_levels
from streams.models.students import StudentInputs, StudentMetrics, student_metrics
from streams.tenants import student_thresholds

MILLION = 1_000_000
PART = 1_000
"""Students of a part, as STUDENTS_PER_PART has them by default."""
SCALING = 1.7
THRESHOLDS = student_thresholds(Thresholds())
MOST_SECONDS = 10.0
"""Of one core for the kernels of a million students."""

Computed = list[tuple[StudentMetrics, StudentLevels]]


class _Sides:
    """Both sides over the same students, what they found, and what the kernels took of a core."""

    def __init__(self, students: int) -> None:
        self._parts = list(drawn_parts(students, PART))
        self._frames = Frames.of(self._parts)
        self._computed: Computed = []
        self._grouped = pd.DataFrame()
        self.core_seconds: list[float] = []
        _computed(self._parts[:1])  # compiles

    def kernels(self) -> None:
        begun = time.process_time()
        self._computed = _computed(self._parts)
        self.core_seconds.append(time.process_time() - begun)

    def pandas(self) -> None:
        self._grouped = pandas_metrics(self._frames, THRESHOLDS, SCALING)

    def check(self) -> None:
        """Raise AssertionError unless the last results of both are the same."""
        for side, suffix in ((0, ""), (1, "_level")):
            kind = type(self._computed[0][side])
            for field in fields(kind):
                ours = np.concatenate([getattr(part[side], field.name) for part in self._computed])
                theirs = self._grouped[field.name + suffix].to_numpy(np.float64)
                np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9, err_msg=field.name)


async def students(size: Size) -> list[Outcome]:
    """Metrics of a million students from all inputs, and the kernels alone against a bound."""
    count = size.of(MILLION, 2_000)
    sides = _Sides(count)
    ours, theirs = await alternate(size, timed(sides.kernels), timed(sides.pandas))
    sides.check()
    cores = tuple(seconds * MILLION / count for seconds in sides.core_seconds[size.warm_up :])
    inputs = (
        f"{count:,} students with 20 sessions, 21 ability estimates, 4 assessments and {4 * ITEMS} item "
        "responses each"
    )
    return [
        times(
            "students",
            "kernels against pandas group-bys, metrics and levels",
            "s",
            ours,
            theirs,
            goal=5.0,
            note=f"{inputs}; both from arrays in memory to the same numbers, levels and EAPs included. The "
            f"kernels work as a worker does, in parts of {PART:,} students; pandas has all in one frame a "
            "table, one core each but for its matrix product.",
        ),
        Outcome(
            "students/core",
            f"kernels of 1 million students against {MOST_SECONDS:.0f} s of one core",
            "s",
            cores,
            (),
            float(np.median(cores)) / MOST_SECONDS,
            1.0,
            "<=",
            "Processor time of the kernels of the row above; reading and writing rows are not in it.",
        ),
    ]


def _computed(parts: list[StudentInputs]) -> Computed:
    found = []
    for part in parts:
        metrics = student_metrics(part, irt_scaling=SCALING, excused_is_absent=THRESHOLDS.excused_is_absent)
        found.append((metrics, student_levels(metrics, THRESHOLDS)))
    return found
