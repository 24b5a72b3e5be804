"""Memory of a stage's processes while it works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil

from benchmarks.stage import Stage

MB = 1_000_000
EVERY_SECONDS = 0.2
DATABASE = "postgresql"
BROKER = "broker"

Peaks = dict[str, float]
"""Resident memory [MB] by process."""


@asynccontextmanager
async def watched(here: Stage) -> AsyncIterator[Peaks]:
    """The highest of samples that are taken in the block, every 0.2 s and at its end."""
    peaks: Peaks = {}
    task = asyncio.create_task(_sample(here, peaks))
    try:
        yield peaks
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    _look(here, peaks)


def high_water(here: Stage) -> Peaks:
    """The highest since each process began, as the kernel keeps it; of the database a sample of now."""
    found: Peaks = {}
    _look(here, found)
    for name, pid in here.pids().items():
        if name != DATABASE:
            found[name] = max(found[name], _peak(pid))
    return found


def higher(*several: Peaks) -> Peaks:
    """The highest of each process."""
    names = dict.fromkeys(name for peaks in several for name in peaks)
    return {name: max(peaks.get(name, 0.0) for peaks in several) for name in names}


async def _sample(here: Stage, peaks: Peaks) -> None:
    while True:
        _look(here, peaks)
        await asyncio.sleep(EVERY_SECONDS)


def _look(here: Stage, peaks: Peaks) -> None:
    for name, pid in here.pids().items():
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            megabytes = _of_database(process) if name == DATABASE else process.memory_info().rss / MB
            peaks[name] = max(peaks.get(name, 0.0), megabytes)


def _of_database(postmaster: psutil.Process) -> float:
    """Own pages of every backend and, once, the shared ones of the process that has touched most of them.

    Pages that a backend still shares with the postmaster since its fork count for both, so it is a little
    too much rather than too little.
    """
    own, shared = 0, 0
    for process in (postmaster, *postmaster.children()):
        with suppress(psutil.NoSuchProcess):
            memory = process.memory_info()
            both = getattr(memory, "shared", 0)  # Linux alone tells the two apart
            own, shared = own + memory.rss - both, max(shared, both)
    return (own + shared) / MB


def _peak(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    kilobytes = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    return 1024 * kilobytes[0] / MB if kilobytes else 0.0
