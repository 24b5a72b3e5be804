"""How a service knows whether it gets on: each of its loops beats, or says what it waits for.

A port that answers says nothing about the work behind it. A service is live while every loop has beaten
within its limit, and ready while it is live and no loop waits for another program.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

EVENT_LOOP = "event loop"
EVENT_LOOP_SECONDS = 15.0
"""Silence after which an event loop counts as blocked. While 400 cells with uncertainty were computed beside
it, its longest gap was 0.34 s, at a load of 27 on 2 cores (expert assumption)."""
TURN_SECONDS = 300.0
"""How long a turn may take before a loop counts as dead: many lock waits of 20 s (expert assumption)."""
LATE_SECONDS = 30.0
"""How long a turn may take before a loop is no more ready (expert assumption)."""
BEAT_SECONDS = 1.0
"""How often an event loop shows that it turns (expert assumption)."""


@dataclass(frozen=True, slots=True)
class LoopState:
    """How a loop is at one moment."""

    name: str
    seconds: float
    """Since its last beat, or since it has been waiting."""
    limit: float | None
    """Seconds it may take; None while it waits for another program or has nothing to do."""
    waits_for: str | None
    note: str | None
    is_live: bool
    is_ready: bool


class Loop:
    """One loop of a service; may be told from any thread."""

    def __init__(self, name: str, limit: float, late: float | None, clock: Callable[[], float]) -> None:
        self.name = name
        self._limit = limit
        self._late = late
        self._clock = clock
        self._lock = threading.Lock()
        self._at = clock()
        self._waits_for: str | None = "its start"
        self._note: str | None = None
        self._idle = False

    def beat(self) -> None:
        """A turn has been made; what it waits for stays as it was told."""
        with self._lock:
            self._at, self._idle = self._clock(), False

    def ready(self, note: str | None = None) -> None:
        """It beats and waits for no other program; `note` says what it is, such as "standing by"."""
        with self._lock:
            self._at, self._idle = self._clock(), False
            self._waits_for, self._note = None, note

    def idle(self) -> None:
        """It has nothing to do and so no limit until its next beat."""
        with self._lock:
            self._at, self._idle = self._clock(), True
            self._waits_for = self._note = None

    def waiting(self, what: str) -> None:
        """It waits for another program, without a limit, until it is ready again."""
        with self._lock:
            if self._waits_for is None:
                self._at = self._clock()
            self._waits_for, self._note, self._idle = what, None, False

    def state(self) -> LoopState:
        """How it is now."""
        with self._lock:
            seconds = self._clock() - self._at
            limit = None if self._idle or self._waits_for is not None else self._limit
            late = limit is not None and self._late is not None and seconds > self._late
            is_live = limit is None or seconds <= limit
            return LoopState(
                self.name,
                seconds,
                limit,
                "the end of its present turn" if late and self._waits_for is None else self._waits_for,
                self._note,
                is_live,
                is_live and not late and self._waits_for is None,
            )


class Pulse:
    """The loops of one process.

    Args:
        clock: Seconds that only go up.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._loops: dict[str, Loop] = {}
        self._stopping = False

    def loop(self, name: str, limit: float = TURN_SECONDS, late: float | None = LATE_SECONDS) -> Loop:
        """Add a loop, or begin one of this name anew.

        Args:
            name: What it does, as the health page shows it.
            limit: Seconds between two beats after which it counts as dead.
            late: Seconds after which it is no more ready, though alive; None for never.
        """
        loop = Loop(name, limit, late, self._clock)
        with self._lock:
            self._loops[name] = loop
        return loop

    def stopping(self) -> None:
        """The service has been told to stop: it is ready for nothing more."""
        self._stopping = True

    def states(self) -> list[LoopState]:
        """Every loop as it is now, in the order of their start."""
        with self._lock:
            loops = list(self._loops.values())
        return [loop.state() for loop in loops]

    def report(self) -> dict[str, Any]:
        """What the health page shows: `live`, `ready`, `state` and the loops."""
        states = self.states()
        live = all(state.is_live for state in states)
        # Without any loop the service is still being put together.
        ready = live and not self._stopping and bool(states) and all(state.is_ready for state in states)
        return {
            "live": live,
            "ready": ready,
            "state": self._word(live=live, ready=ready),
            "loops": [_shown(state) for state in states],
        }

    def _word(self, *, live: bool, ready: bool) -> str:
        if not live:
            return "stuck"
        if self._stopping:
            return "stopping"
        return "ready" if ready else "waiting"


@asynccontextmanager
async def beating(pulse: Pulse) -> AsyncIterator[None]:
    """Show for the length of a block that this thread's event loop turns."""
    task = asyncio.create_task(_beat(pulse.loop(EVENT_LOOP, EVENT_LOOP_SECONDS, None)))
    try:
        yield
    finally:
        task.cancel()


async def _beat(loop: Loop) -> None:
    while True:
        loop.ready()
        await asyncio.sleep(BEAT_SECONDS)


def _shown(state: LoopState) -> dict[str, Any]:
    shown = asdict(state)
    return {
        "name": shown["name"],
        "live": shown["is_live"],
        "ready": shown["is_ready"],
        "seconds": round(state.seconds, 1),
        "limit": shown["limit"],
        "waits_for": shown["waits_for"],
        "note": shown["note"],
    }
