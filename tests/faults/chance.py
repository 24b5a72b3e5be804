"""Chance: sequences of three disturbances at random moments of a job, each told by its seed."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from faults.mishaps import MISHAPS, Mishap, Struck
from faults.performance import act_and_judge, stop_services
from faults.registry import Fault
from faults.run import NOTHING_SHOWN, Run
from faults.stage import Stage
from faults.verdict import LETTERS, Verdict

from ops.stack.supervisor import RestartPolicy

CELLS = 500
LENGTH = 3
FIRST, LAST = 0.02, 0.8
"""Shares of the job between which disturbances begin."""
SEQUENCE_SECONDS = 180.0
"""After which a sequence counts as hanging."""
PACE = 0.25
RESTARTS = RestartPolicy(cap=2.0)
"""Sequence follows sequence, so that kills would soon be followed by waits longer than a job."""

Say = Callable[[str], None]

_REFUSED = "SELECT job_id FROM batch_job_logs WHERE status = 'failed' AND total_grids = 0"


@dataclass(frozen=True)
class Sequence:
    """Disturbances of one job and the shares of its chunks at which they begin."""

    seed: int
    moments: tuple[tuple[float, Mishap], ...]

    def __str__(self) -> str:
        told = ", ".join(f"{mishap.name} at {share:.0%}" for share, mishap in self.moments)
        return f"seed {self.seed}: {told}"

    @property
    def job_id(self) -> str:
        """Of its job."""
        return f"seed-{self.seed}"

    async def act(self, run: Run) -> None:
        """Trigger the job and disturb it; what strikes one server or service does so one after the other."""
        run.jobs.clear()
        dice = random.Random(self.seed)  # noqa: S311 - to be repeated
        struck = Struck(run, self.job_id, dice)
        locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        await run.trigger(self.job_id)
        async with asyncio.TaskGroup() as tasks:
            for share, mishap in self.moments:
                tasks.create_task(_strike(struck, share, mishap, locks[mishap.target]))
        await run.ended(self.job_id)
        await _settle(struck)


def drawn(seed: int) -> Sequence:
    """The sequence of a seed."""
    dice = random.Random(seed)  # noqa: S311 - to be repeated
    shares = sorted(dice.uniform(FIRST, LAST) for _ in range(LENGTH))
    return Sequence(seed, tuple((share, dice.choice(MISHAPS)) for share in shares))


async def _strike(struck: Struck, share: float, mishap: Mishap, lock: asyncio.Lock) -> None:
    await struck.run.progress(share, struck.job_id)
    async with lock:
        await mishap.act(struck)


async def _settle(struck: Struck) -> None:
    """Wait for the letters of what was put between the messages, and count the triggers refused."""
    run = struck.run
    run.dead_letters += struck.letters

    async def enough() -> bool:
        return bool(await run.ledger.value(LETTERS) >= run.dead_letters)

    await run.until(enough)
    refused = {row["job_id"] for row in await run.ledger.fetch(_REFUSED)} - run.apart
    if len(refused) != struck.refused:
        run.problems.append(f"triggers refused are {len(refused)}, must be {struck.refused}")
    run.apart |= refused


async def chance(stage: Stage, count: int, seed: int, say: Say) -> Verdict:
    """Perform `count` sequences, of `seed` and those that follow it, on Apache Kafka.

    They share broker, database and services, which are new after a failure; a sequence that fails is told
    with its seed and with where the logs lie.
    """
    began, total = time.monotonic(), Verdict()
    left = [drawn(each) for each in range(seed, seed + count)]
    while left:
        async with _home(stage) as run:
            good = True
            while left and good:
                sequence = left.pop(0)
                verdict = await _performed(run, sequence)
                good = verdict.good
                say(_told(sequence, verdict))
                if not good:
                    stage.keep(run)
                    say(f"    logs: {stage.kept[-1]}; again: make faults RANDOM=1 SEED={sequence.seed}")
                _add(total, sequence, verdict)
            total.problems += await stop_services(run)
    total.took = time.monotonic() - began
    return total


@asynccontextmanager
async def _home(stage: Stage) -> AsyncIterator[Run]:
    fault = Fault("chance", "", act=_nothing, pace=PACE, settings={"parallel_workers": 3})
    async with stage.run(fault, "kafka", CELLS) as run:
        run.services.policy = RESTARTS
        await run.start("sink", "producers", "worker-1", "worker-2")
        yield run


async def _nothing(run: Run) -> None:
    del run


async def _performed(run: Run, sequence: Sequence) -> Verdict:
    began = time.monotonic()
    run.problems.clear()
    run.outages.clear()
    verdict = await act_and_judge(run, Fault("chance", "", act=sequence.act, limit=SEQUENCE_SECONDS))
    # At a random moment nothing may be on its way.
    verdict.problems = [problem for problem in verdict.problems if problem != NOTHING_SHOWN]
    run.apart |= run.jobs.keys()
    verdict.took = time.monotonic() - began
    return verdict


def _told(sequence: Sequence, verdict: Verdict) -> str:
    lines = [f"{sequence}: {verdict.lost} lost, {verdict.doubled} doubled, {verdict.took:.0f} s"]
    return "\n    ".join([*lines, *verdict.problems])


def _add(total: Verdict, sequence: Sequence, verdict: Verdict) -> None:
    total.lost += verdict.lost
    total.doubled += verdict.doubled
    total.problems += [f"seed {sequence.seed}: {problem}" for problem in verdict.problems]
    if verdict.recovered is not None:
        total.recovered = max(total.recovered or 0.0, verdict.recovered)
