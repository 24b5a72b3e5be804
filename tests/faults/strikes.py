"""Disturbances that leave everything running again; faults are made of them, and chance draws from them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from faults.registry import BROKERS
from faults.run import Run

KAFKA = ("kafka",)
"""Clients are left running while the broker is away: the embedded one would come back empty."""

Act = Callable[[Run], Awaitable[None]]


@dataclass(frozen=True)
class Strike:
    """A disturbance and the brokers that it applies to."""

    act: Act
    brokers: tuple[str, ...]


STRIKES: dict[str, Strike] = {}


def strike(*brokers: str) -> Callable[[Act], Act]:
    """Put a function into the list of disturbances, under its own name."""

    def add(act: Act) -> Act:
        STRIKES[act.__name__.replace("_", " ")] = Strike(act, brokers or BROKERS)
        return act

    return add


@strike()
async def worker_killed(run: Run) -> None:
    async with run.outage():
        await run.services.kill("worker-1", restart=True)


@strike()
async def producers_killed(run: Run) -> None:
    async with run.outage():
        await run.services.kill("producers", restart=True)


@strike()
async def sink_killed_before_commit(run: Run) -> None:
    async with run.outage():
        await run.struck(run.arm("sink.before_commit", "kill"))


@strike()
async def sink_killed_after_commit(run: Run) -> None:
    async with run.outage():
        await run.struck(run.arm("sink.after_commit", "kill"))


@strike()
async def sink_stalled(run: Run, seconds: float = 40.0) -> None:
    """SIGSTOP inside a transaction, for longer than PostgreSQL lets a session idle there."""
    async with run.outage():
        await run.struck(run.arm("sink.before_commit", "stop"))
        pid = await run.stopped("sink")
        await asyncio.sleep(seconds)
        os.kill(pid, signal.SIGCONT)


@strike(*KAFKA)
async def broker_killed(run: Run, seconds: float = 10.0) -> None:
    async with run.outage():
        run.broker.kill()
        await run.broker.wait_exit()
        await asyncio.sleep(seconds)
        await run.broker.start()
        await run.broker.wait_ready()


@strike(*KAFKA)
async def broker_restarted(run: Run) -> None:
    async with run.outage():
        await run.broker.stop()
        await run.broker.start()
        await run.broker.wait_ready()


@strike()
async def broker_stalled(run: Run, seconds: float = 20.0) -> None:
    async with run.outage(), run.stalled(run.broker.pid):
        await asyncio.sleep(seconds)


@strike()
async def postgres_stopped(run: Run, seconds: float = 30.0) -> None:
    async with run.outage():
        await run.postgres.stop()
        await asyncio.sleep(seconds)
        await run.postgres.start()
        await run.postgres.wait_ready()


@strike()
async def postgres_crashed(run: Run) -> None:
    """Immediate mode: every session is cut, the next start recovers from the log."""
    async with run.outage():
        os.kill(run.postgres.pid, signal.SIGQUIT)
        await run.postgres.wait_exit()
        await run.postgres.start()
        await run.postgres.wait_ready()
