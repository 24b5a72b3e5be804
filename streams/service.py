"""The worker's life: get ready, join the group, work until told to stop."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import pkgutil
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from socket import gethostname
from typing import Any, NoReturn, TypeVar

import asyncpg
import structlog

from schemas.errors import Unavailable
from schemas.pulse import Loop, Pulse, beating
from schemas.settings import Settings
from schemas.start import open_pool
from schemas.stop import leave_within, stop_on_signal
from streams import models
from streams.agent import WINDOW, Agent
from streams.app import EXIT_CRASHED, App, attach, create_app, end_process, require_compiled_iterator
from streams.broker import wait_for_topics
from streams.climate import ClimateWork
from streams.models.tables import RiskTables
from streams.risk_tables import risk_tables
from streams.tenants import TenantWork
from streams.watch import CONSUMER_SECONDS, LATE_SECONDS, watch

log = structlog.get_logger(__name__)

AGENTS = 2
"""Cells and tenants; each has a window of its own."""

FINISH_SECONDS = 7.0
"""How long what is held may take after a stop; with the goodbyes less than a supervisor's 10 s (expert
assumption)."""
EXIT_SECONDS = 2.0
"""How long the interpreter may take to end (expert assumption)."""
CLOSE_SECONDS = 1.0
"""How long the database may take to say goodbye (expert assumption)."""

T = TypeVar("T")


async def run(settings: Settings, data_dir: Path, pulse: Pulse | None = None) -> None:
    """Compute chunks until SIGTERM or SIGINT; what is held then is finished.

    The group is joined last, so that no partition waits for a compiler. Without a `pulse` nobody asks
    how it gets on.

    Raises:
        Unavailable: Database or broker did not answer within START_TIMEOUT.
        RiskflowError: RISKS_FILE cannot be used, or Faust lacks its compiled iterator.
    """
    pulse = pulse or Pulse()
    stop = stop_on_signal(pulse)
    loop = pulse.loop("consumer", CONSUMER_SECONDS, LATE_SECONDS)
    require_compiled_iterator()
    tables = risk_tables(settings)
    try:
        async with beating(pulse):
            pool = await _unless_stopped(_prepare(settings, loop, stop), stop)
            try:
                app, limit = create_app(settings, data_dir), settings.dead_letters_in_a_row
                await _work(app, pool, tables, stop, pulse, loop, limit)
            except Exception as fault:  # noqa: BLE001 - Faust's threads would keep the process, and its partitions
                end_process(EXIT_CRASHED, fault)
            finally:
                await _close(pool)
        # Nothing is held any more; only threads of libraries may still keep the interpreter.
        leave_within(EXIT_SECONDS)
    except Unavailable:
        if not stop.is_set():
            raise


async def _prepare(settings: Settings, loop: Loop, stop: asyncio.Event) -> asyncpg.Pool:
    loop.waiting("its kernels")
    # In a thread, so that a stop and a question after its health are answered meanwhile.
    await asyncio.to_thread(compile_kernels)
    loop.waiting(f"database {settings.database_label}")
    pool = await open_pool(settings, f"worker {gethostname()}:{os.getpid()}", AGENTS * WINDOW, stop)
    try:
        loop.waiting(f"broker {settings.kafka_bootstrap_servers}")
        await wait_for_topics(settings, stop)
    except BaseException:
        await _close(pool)
        raise
    loop.waiting("its partitions")
    return pool


async def _unless_stopped(preparing: Coroutine[Any, Any, T], stop: asyncio.Event) -> T:
    """What it gives; a stop before that ends the process at once, since nothing is held yet."""
    task, stopping = asyncio.create_task(preparing), asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not task.done():
        log.info("worker stopped before it began")
        _leave()
    return task.result()


async def _close(pool: asyncpg.Pool) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await pool.close()
    except TimeoutError:
        pool.terminate()


async def _work(  # noqa: PLR0913, PLR0917 - what the worker is made of
    app: App,
    pool: asyncpg.Pool,
    tables: RiskTables,
    stop: asyncio.Event,
    pulse: Pulse,
    loop: Loop,
    limit: int,
) -> None:
    agents = [
        Agent[Any](
            work,
            pool,
            send=app.publish,
            commit=app.commit_acknowledged,
            dead_letters_in_a_row=limit,
            pulse=pulse,
        )
        for work in (ClimateWork(pool, tables), TenantWork(pool))
    ]
    for agent in agents:
        attach(app, agent)
    starting = asyncio.create_task(app.start())
    ended = asyncio.create_task(app.wait_until_stopped())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done() and not stopping.done():
        starting.result()
        log.info("worker ready", assigned=len(app.consumer.assignment()), risk_table=tables.name)
        watching = asyncio.create_task(watch(app, agents, loop))
        await asyncio.wait({ended, stopping, watching}, return_when=asyncio.FIRST_COMPLETED)
        if app.crash_reason is None and watching.done():
            watching.result()
        watching.cancel()
    if app.crash_reason is not None:
        end_process(EXIT_CRASHED, app.crash_reason)
    log.info("worker stopping")
    finishing = asyncio.create_task(_finish(app, agents))
    done, _ = await asyncio.wait({finishing}, timeout=FINISH_SECONDS)
    if not done:
        # Without a broker Faust waits for ever, cancelled or not.
        log.warning("not finished within %g s; what is held comes again at the next start", FINISH_SECONDS)
        _leave()
    finishing.result()
    starting.cancel()
    await asyncio.gather(starting, ended, return_exceptions=True)
    log.info("worker stopped")


async def _finish(app: App, agents: Sequence[Agent[Any]]) -> None:
    await asyncio.gather(*(agent.finish() for agent in agents))
    await app.stop()


def _leave() -> NoReturn:
    """End well, and at once: whoever holds the process up is not asked."""
    logging.shutdown()
    os._exit(os.EX_OK)


def compile_kernels() -> None:
    """Compile every model's kernels, or load them from the cache."""
    begun = time.perf_counter()
    for module in pkgutil.iter_modules(models.__path__, f"{models.__name__}."):
        compile_module = getattr(importlib.import_module(module.name), "compile_kernels", None)
        if compile_module is not None:
            compile_module()
    log.info("kernels ready", seconds=round(time.perf_counter() - begun, 2))
