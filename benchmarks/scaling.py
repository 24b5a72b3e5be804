"""Two workers against one, where both share the cores with broker and database."""

from __future__ import annotations

from collections import Counter

from benchmarks.box import first
from benchmarks.machine import usable_cores
from benchmarks.outcome import Outcome, speeds
from benchmarks.rounds import Size, alternate
from benchmarks.stage import Stage, stage
from benchmarks.written import Written, written
from ops.generator.cells import Cells
from schemas.errors import RiskflowError

GOAL = 1.4
BOTH = ("worker-1", "worker-2")
LEAST_SHARE = 0.25
"""Of the workers' CPU time that each of two must have had for the work to count as shared."""
TRIES = 20
"""Small jobs after which workers that do not share are given up."""


class Team:
    """The workers of a stage, one of which comes and goes."""

    def __init__(self, here: Stage, cells: Cells, warm: int) -> None:
        self._here = here
        self._cells = cells
        self._warm = first(cells, warm)[1]
        self._written: set[Written] = set()
        self.used: Counter[str] = Counter()
        """CPU seconds of the measured jobs by process."""
        self.measured = 0
        """Cells of the measured jobs."""

    async def two(self) -> float:
        """Cells a second with both."""
        await self._here.stack.start(BOTH[1])
        return await self._speed(BOTH)

    async def one(self) -> float:
        """Cells a second with the first alone."""
        await self._here.stack.stop(BOTH[1])
        return await self._speed(BOTH[:1])

    async def _speed(self, workers: tuple[str, ...]) -> float:
        await self._settle(workers)
        seconds, used = await self._job()
        if not shared(used, workers):
            raise RiskflowError(f"{', '.join(workers)} did not share the job: {used}")
        self._written.add(await written(self._here.connection, self._cells))
        if len(self._written) > 1:
            raise RiskflowError(f"one worker and two left different rows: {self._written}")
        self.used.update(used)
        self.measured += len(self._cells)
        return len(self._cells) / seconds

    async def _settle(self, workers: tuple[str, ...]) -> None:
        """Return when the group has shared its partitions out among these workers and each is warm.

        A worker that is only starting uses CPU time as well, so two jobs in a row must be shared.
        """
        in_a_row = 0
        for _ in range(TRIES):
            _, used = await self._job(bbox=self._warm)
            in_a_row = in_a_row + 1 if shared(used, workers) else 0
            if in_a_row == len(workers):
                return
        raise RiskflowError(f"{', '.join(workers)} do not share the work after {TRIES} jobs")

    async def _job(self, bbox: str | None = None) -> tuple[float, dict[str, float]]:
        before = self._here.cpu_seconds()
        seconds = await self._here.job(bbox=bbox)
        return seconds, {
            name: after - before.get(name, 0.0) for name, after in self._here.cpu_seconds().items()
        }


async def scaling(size: Size) -> list[Outcome]:
    """Cells a second of a climate job with daily weather drawn, two workers against one."""
    async with stage("sink", "producers", "worker", workers=2, batch_size=size.of(64, 8)) as here:
        cells = await here.draw(size.of(4000, 64), indices=False)
        team = Team(here, cells, size.of(600, 64))
        two, one = await alternate(size, team.two, team.one)
        note = " ".join([f"{len(cells):,} cells.", bound(team.used, team.measured), *here.notes])
        return [
            speeds("scaling", "two workers against one, daily weather drawn", "cells/s", two, one, GOAL, note)
        ]


def shared(used: dict[str, float], workers: tuple[str, ...]) -> bool:
    """Whether each of the workers had its part of their CPU time."""
    whole = sum(used[name] for name in workers)
    return all(used[name] * len(workers) >= 2 * LEAST_SHARE * whole > 0 for name in workers)


def ceiling(worker: float, others: float, cores: int) -> float:
    """Speed of two workers over that of one, when nothing but CPU time bounds them.

    One worker keeps one core busy at most, and all processes together keep all of them busy.

    Args:
        worker: CPU time of the workers per cell.
        others: That of broker, database and the other services per cell, in the same unit.
        cores: How many there are.
    """
    machine_bound = (worker + others) / cores
    return max(worker, machine_bound) / max(worker / 2, machine_bound)


def bound(used: Counter[str], cells: int) -> str:
    """The ceiling in words, from the CPU seconds by process and the cells they were spent on."""
    per_cell = {name: 1000 * seconds / cells for name, seconds in used.items()}
    worker = sum(per_cell[name] for name in BOTH)
    others = sum(per_cell.values()) - worker
    cores = usable_cores()
    parts = ", ".join(f"{name} {per_cell[name]:.2f}" for name in sorted(per_cell) if name not in BOTH)
    return (
        f"CPU time of a cell: workers {worker:.2f} ms, {parts} ms. One worker fills one core, and all "
        f"processes share {cores}, so the ceiling is {ceiling(worker, others, cores):.2f}."
    )
