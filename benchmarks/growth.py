"""Whether a large job costs more than a small one: time per cell, and memory."""

from __future__ import annotations

import math
from statistics import mean, median

from benchmarks.box import first
from benchmarks.memory import BROKER, EVERY_SECONDS, Peaks, high_water, higher, watched
from benchmarks.outcome import Outcome
from benchmarks.rounds import Size, alternate
from benchmarks.stage import Stage, stage
from benchmarks.written import Written, written
from ops.generator.cells import Cells
from schemas.errors import RiskflowError

GOAL = 1.1
MOST_MB = 300
FLAT = 1.25
"""Most that a process may take for a job fifty times as large, over what it takes for the small one: room
for what an allocator keeps after a rare large batch, and far below any growth with the cells."""

# From the middle of the job's first half to that of its second; the ends have fewer chunks under way.
_PACE = """
    SELECT percentile_disc(ARRAY[0.1, 0.4, 0.6, 0.9]) WITHIN GROUP (ORDER BY recorded_at)
    FROM batch_job_outcomes WHERE job_id = (SELECT job_id FROM batch_job_logs ORDER BY job_seq DESC LIMIT 1)
"""


class Jobs:
    """Large and small jobs on the same grid, and what they needed."""

    def __init__(self, here: Stage, cells: Cells, small: int, repeats: int) -> None:
        self._here = here
        self._cells = cells
        self._few, self._box = first(cells, small)
        self._repeats = repeats
        self._written: set[Written] = set()
        self.before: Peaks = {}
        """Memory of the small jobs before the first large one."""
        self.peaks: Peaks = {}
        """Memory of the latest large job."""
        self.paces: list[float] = []
        """Of each large job: time of its second half over that of its first."""

    async def large(self) -> float:
        """Milliseconds a cell of the whole grid."""
        async with watched(self._here) as self.peaks:
            seconds = await self._here.job()
        await self._check()
        early, earlier, later, late = await self._here.connection.fetchval(_PACE)
        self.paces.append((late - later) / (earlier - early) if earlier > early else math.nan)
        return 1000 * seconds / len(self._cells)

    async def small(self) -> float:
        """Milliseconds a cell of the small box, the mean of several jobs."""
        seconds = [await self._here.job(bbox=self._box) for _ in range(self._repeats)]
        await self._check()
        return 1000 * mean(seconds) / len(self._few)

    async def settle(self) -> None:
        """Small jobs that warm everything up and show what they need."""
        async with watched(self._here) as self.before:
            await self.small()

    async def _check(self) -> None:
        self._written.add(await written(self._here.connection, self._few))
        if len(self._written) > 1:
            raise RiskflowError(
                f"large and small jobs left different rows of the same cells: {self._written}"
            )


async def growth(size: Size) -> list[Outcome]:
    """Time per cell and memory of 50,000 cells against 1,000, annual indices loaded."""
    async with stage("sink", "producers", "worker", workers=2) as here:
        cells = await here.draw(size.of(50_000, 400), indices=True)
        jobs = Jobs(here, cells, size.of(1000, 100), size.of(5, 1))
        await jobs.settle()
        start = high_water(here)
        large, small = await alternate(size, jobs.large, jobs.small)
        peaks = higher(high_water(here), jobs.peaks)
        counts = f"{len(cells):,} cells against {size.of(1000, 100):,}"
        kept = (peaks[BROKER] - start[BROKER]) / (size.warm_up + size.rounds) / len(cells)
        return [
            _time(counts, jobs, large, small, here.notes),
            _memory(counts, peaks),
            _broker(len(cells), peaks[BROKER], 1000 * kept),
            _flat(counts, jobs),
        ]


def _time(counts: str, jobs: Jobs, large: list[float], small: list[float], notes: list[str]) -> Outcome:
    ratio = median(large) / median(small)
    note = (
        "Two workers, nine risks, both kinds. A small job pays the wait from its trigger to its first row, "
        "some tenths of a second, over fewer cells, so the ratio may lie below 1; within a large job the "
        f"second half took {median(jobs.paces):.2f} times as long as the first."
    )
    return Outcome(
        "growth",
        f"time per cell, {counts}",
        "ms",
        tuple(large),
        tuple(small),
        ratio,
        GOAL,
        "<=",
        " ".join([note, *notes]),
    )


def _memory(counts: str, peaks: Peaks) -> Outcome:
    ours = {name: peak for name, peak in peaks.items() if name != BROKER}
    largest = max(ours.values())
    note = (
        f"{_listed(peaks)}. The high-water mark that the kernel keeps of each process; of PostgreSQL, all "
        f"backends together, the highest of samples every {EVERY_SECONDS:g} s: own pages of each plus the "
        "shared ones once. The embedded broker is the row growth/broker."
    )
    return Outcome(
        "growth/memory",
        f"largest peak of a process, {counts}",
        "MB",
        (largest,),
        (),
        largest / MOST_MB,
        1.0,
        "<=",
        note,
    )


def _broker(cells: int, peak: float, kilobytes: float) -> Outcome:
    note = (
        f"The embedded broker keeps every message in memory until it ends, {kilobytes:.1f} kB a cell and "
        "job, so its memory grows with all that it has carried; it is left out of the other two rows. "
        "Apache Kafka keeps them on disk."
    )
    return Outcome(
        "growth/broker",
        f"embedded broker after all jobs of {cells:,} cells",
        "MB",
        (peak,),
        (),
        peak / MOST_MB,
        1.0,
        "<=",
        note,
    )


def _flat(counts: str, jobs: Jobs) -> Outcome:
    rises = {name: peak / jobs.before[name] for name, peak in jobs.peaks.items() if name != BROKER}
    worst = max(rises, key=lambda name: rises[name])
    shown = ", ".join(f"{name} {ratio:.2f}" for name, ratio in rises.items())
    note = (
        f"{shown}. Highest sample of the last large job over that of the small jobs before the first large "
        f"one; a process may take {FLAT:g} times as much for fifty times the cells."
    )
    return Outcome(
        "growth/flat",
        f"memory of the process that rises most ({worst}), {counts}",
        "MB",
        (jobs.peaks[worst],),
        (jobs.before[worst],),
        rises[worst],
        FLAT,
        "<=",
        note,
    )


def _listed(peaks: Peaks) -> str:
    return ", ".join(f"{name} {peak:.0f} MB" for name, peak in peaks.items())
