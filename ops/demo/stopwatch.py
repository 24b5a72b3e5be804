"""How long the parts of the demo took, and the jobs among them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console

from ops import jobs
from ops import trigger as triggers
from schemas.errors import RiskflowError
from schemas.messages import Trigger
from schemas.settings import Settings

JOB_SECONDS = 300


@dataclass(slots=True)
class Stopwatch:
    """How long each part took."""

    parts: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def part(self, console: Console, name: str) -> Iterator[None]:
        """Say what begins, note how long it took."""
        console.print(f"{name} ...", highlight=False)
        began = time.monotonic()
        yield
        self.parts.append((name, time.monotonic() - began))

    def print(self, console: Console) -> None:
        """One line with all parts."""
        total = sum(seconds for _, seconds in self.parts)
        parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.parts)
        console.print(f"{total:.0f} s in all: {parts}.", highlight=False)


async def ended_job(settings: Settings, console: Console, asked: Trigger) -> jobs.Job:
    """Send the trigger and wait for the job's end, with bars on a terminal.

    Raises:
        RiskflowError: Nobody accepted it, or it did not end, within JOB_SECONDS.
    """
    job = await triggers.send_and_wait(settings, asked, console, limit=JOB_SECONDS)
    if job is None or not job.ended:
        state = "was not accepted" if job is None else f"is still {job.status}"
        raise RiskflowError(f"the {asked.job_type} job {state} after {JOB_SECONDS} s")
    return job


def print_ended(console: Console, job: jobs.Job) -> bool:
    """One line on how a job ended, a second one on its first error; gives whether it completed."""
    counted = "tenants" if job.is_weekly else "cells"
    seconds = f" in {job.seconds:.1f} s" if job.seconds is not None else ""
    console.print(
        f"  {job.status}: {job.processed_grids} of {job.total_grids} {counted}, "
        f"{job.failed_grids} failed{seconds}",
        highlight=False,
    )
    if job.error_message:
        console.print(f"  first error: {job.error_message}", highlight=False, markup=False)
    return job.status == "completed"
