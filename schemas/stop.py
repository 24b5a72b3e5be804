"""Ending in time when told to stop, whoever else does not answer any more."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Coroutine
from typing import Any

import structlog

from schemas.errors import Unavailable
from schemas.pulse import Pulse

CLOSE_SECONDS = 2.0
"""How long a client may take to say goodbye to its broker (expert assumption)."""
STOP_SECONDS = 5.0
"""How long work may go on after a stop; with the goodbyes less than a supervisor's 10 (expert assumption)."""
LEAVE_SECONDS = 9.0
"""How long a process may live after a stop: less than a supervisor's 10 (expert assumption)."""

log = structlog.get_logger(__name__)


def stop_on_signal(pulse: Pulse) -> asyncio.Event:
    """An event that SIGTERM or SIGINT sets; the process ends with 0 within LEAVE_SECONDS of it.

    What is not finished by then was not acknowledged to anybody, so it comes again at the next start.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def heed() -> None:
        if stop.is_set():
            return
        stop.set()
        pulse.stopping()
        leave_within(LEAVE_SECONDS)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, heed)
    return stop


def leave_within(seconds: float) -> None:
    """End the process with 0 after so many seconds, if it still lives then."""
    # A thread, because what holds the end up may be the event loop itself, or a thread that it waits for.
    leaving = threading.Timer(seconds, _leave, (seconds,))
    leaving.daemon = True
    leaving.start()


def _leave(seconds: float) -> None:
    log.warning("not ended in time; what is held comes again at the next start", seconds=seconds)
    logging.shutdown()
    os._exit(os.EX_OK)


async def until_stopped(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> None:
    """Run `work`, which ends by itself after `stop`; cancel it when that takes longer than STOP_SECONDS.

    Raises:
        Exception: That of the work.
    """
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        done, _ = await asyncio.wait({working}, timeout=STOP_SECONDS)
        if not done:
            log.warning("stopped in the middle of the work; its next start does the rest")
    finally:
        stopping.cancel()
        working.cancel()
        await asyncio.wait({working})
    if not working.cancelled():
        working.result()


async def serve(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> None:
    """`until_stopped` for a service made of a task group.

    Raises:
        Unavailable: Broker or database did not answer in time, and nobody had asked to stop.
    """
    try:
        await until_stopped(work, stop)
    except Unavailable:
        if not stop.is_set():
            raise
    except ExceptionGroup as group:
        # Not except*, which before Python 3.11.4 puts what is raised in it into a group again.
        away, others = group.split(Unavailable)
        if away is None or others is not None:
            raise
        if not stop.is_set():
            raise _first(away) from None


def _first(fault: BaseException) -> BaseException:
    return _first(fault.exceptions[0]) if isinstance(fault, BaseExceptionGroup) else fault


async def closed(closing: Coroutine[Any, Any, None]) -> None:
    """Disconnect a client; give up after CLOSE_SECONDS, because without a broker it would try for ever."""
    task = asyncio.create_task(closing)
    done, _ = await asyncio.wait({task}, timeout=CLOSE_SECONDS)
    if done:
        task.result()
        return
    task.cancel()
    log.warning("disconnected without a goodbye: the broker does not answer")
