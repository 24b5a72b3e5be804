"""The few events that an agent works on at a time, acknowledged in the order of their delivery."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from faust.types import EventT

from schemas.pulse import Loop, Pulse


class Window:
    """First in, first out: an event is acknowledged when its work is done and all before it are acknowledged.

    Faust commits past what is in flight when acknowledgements come out of order.

    Args:
        size: Events held at most.
        tasks: Group that the work runs in; an exception of any ends the group.
        acknowledge: Tells the stream that an event is done.
        loop: Beats with each event that is, and is idle while none is held.
    """

    def __init__(
        self,
        size: int,
        tasks: asyncio.TaskGroup,
        acknowledge: Callable[[EventT[Any]], Awaitable[object]],
        loop: Loop | None = None,
    ) -> None:
        self._size = size
        self._room = asyncio.Semaphore(size)
        self._tasks = tasks
        self._acknowledge = acknowledge
        self._last: asyncio.Task[None] | None = None
        self._closed = False
        self._held = 0
        self._loop = loop or Pulse().loop("window")

    @property
    def holds(self) -> bool:
        """Whether an event is in work or waits to be acknowledged."""
        return self._held > 0

    async def admit(self) -> None:
        """Wait for room for one more event; for ever when the window is closed."""
        await self._room.acquire()
        if self._closed:
            self._room.release()
            await asyncio.Event().wait()

    def start(self, event: EventT[Any], work: Coroutine[Any, Any, None]) -> None:
        """Begin the work of an event for which there is room."""
        if self._held == 0:
            self._loop.ready()
        self._held += 1
        self._last = self._tasks.create_task(self._finish(event, work, self._last))

    async def empty(self) -> None:
        """Wait until every event that was started is acknowledged."""
        if self._last is not None:
            await asyncio.wait({self._last})

    async def close(self) -> None:
        """Admit nothing more and wait until all that was admitted, started or not, is acknowledged."""
        self._closed = True
        for _ in range(self._size):
            await self._room.acquire()

    async def _finish(
        self, event: EventT[Any], work: Coroutine[Any, Any, None], before: asyncio.Task[None] | None
    ) -> None:
        await work
        if before is not None:
            await before
        await self._acknowledge(event)
        self._room.release()
        self._held -= 1
        if self._held:
            self._loop.beat()
        else:
            self._loop.idle()
