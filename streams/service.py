"""The worker's life: get ready, join the group, work until told to stop."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
import structlog

from schemas.errors import Unavailable
from schemas.settings import Settings
from schemas.start import open_pool
from streams import models
from streams.agent import WINDOW, Agent
from streams.app import EXIT_CRASHED, App, attach, create_app, end_process, require_compiled_iterator
from streams.broker import wait_for_topics
from streams.climate import ClimateWork
from streams.models.tables import RiskTables
from streams.risk_tables import risk_tables
from streams.tenants import TenantWork

log = structlog.get_logger(__name__)

AGENTS = 2
"""Cells and tenants; each has a window of its own."""

FINISH_SECONDS = 8.0
"""How long what is held may take after a stop: less than a supervisor's 10 s (expert assumption)."""


async def run(settings: Settings, data_dir: Path) -> None:
    """Compute chunks until SIGTERM or SIGINT; what is held then is finished.

    The group is joined last, so that no partition waits for a compiler.

    Raises:
        Unavailable: Database or broker did not answer within START_TIMEOUT.
        RiskflowError: RISKS_FILE cannot be used, or Faust lacks its compiled iterator.
    """
    stop = _stop_signal()
    require_compiled_iterator()
    tables = risk_tables(settings)
    compile_kernels()
    try:
        pool = await open_pool(settings, "worker", AGENTS * WINDOW, stop)
        try:
            await wait_for_topics(settings, stop)
            await _work(create_app(settings, data_dir), pool, tables, stop)
        finally:
            await pool.close()
    except Unavailable:
        if not stop.is_set():
            raise


async def _work(app: App, pool: asyncpg.Pool, tables: RiskTables, stop: asyncio.Event) -> None:
    agents = [
        Agent[Any](work, pool, send=app.publish, commit=app.commit_acknowledged)
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
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if app.crash_reason is not None:
        end_process(EXIT_CRASHED, app.crash_reason)
    log.info("worker stopping")
    finishing = asyncio.create_task(_finish(app, agents))
    done, _ = await asyncio.wait({finishing}, timeout=FINISH_SECONDS)
    if not done:
        # Without a broker Faust waits for ever, cancelled or not.
        log.warning("not finished within %g s; what is held comes again at the next start", FINISH_SECONDS)
        end_process(EXIT_CRASHED, None)
    finishing.result()
    starting.cancel()
    await asyncio.gather(starting, ended, return_exceptions=True)
    log.info("worker stopped")


async def _finish(app: App, agents: Sequence[Agent[Any]]) -> None:
    await asyncio.gather(*(agent.finish() for agent in agents))
    await app.stop()


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def compile_kernels() -> None:
    """Compile every model's kernels, or load them from the cache."""
    begun = time.perf_counter()
    for module in pkgutil.iter_modules(models.__path__, f"{models.__name__}."):
        compile_module = getattr(importlib.import_module(module.name), "compile_kernels", None)
        if compile_module is not None:
            compile_module()
    log.info("kernels ready", seconds=round(time.perf_counter() - begun, 2))
