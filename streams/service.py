"""The climate worker's life: get ready, join the group, work until told to stop."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import signal
import time
from pathlib import Path

import asyncpg
import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_delay, wait_exponential

from schemas.database import create_pool
from schemas.errors import Unavailable
from schemas.settings import Settings
from streams import models
from streams.app import EXIT_CRASHED, App, attach, create_app, end_process, require_compiled_iterator
from streams.broker import wait_for_topics
from streams.climate import WINDOW, ClimateAgent
from streams.ledger import is_transient
from streams.models.tables import RiskTables
from streams.quiet import quieten
from streams.risk_tables import risk_tables

log = structlog.get_logger(__name__)

FINISH_SECONDS = 8.0
"""How long what is held may take after a stop: less than a supervisor's 10 s (expert assumption)."""

LONGEST_PAUSE = 5.0
"""Longest wait between two tries to connect [s] (expert assumption)."""


async def run(settings: Settings, data_dir: Path) -> None:
    """Compute chunks until SIGTERM or SIGINT; what is held then is finished.

    The group is joined last, so that no partition waits for a compiler.

    Raises:
        Unavailable: Database or broker did not answer within START_TIMEOUT.
        RiskflowError: RISKS_FILE cannot be used, or Faust lacks its compiled iterator.
    """
    stop = _stop_signal()
    quieten()
    require_compiled_iterator()
    tables = risk_tables(settings)
    compile_kernels()
    pool = await connected_pool(settings)
    try:
        await wait_for_topics(settings)
        await _work(create_app(settings, data_dir), pool, tables, stop)
    finally:
        await pool.close()


async def _work(app: App, pool: asyncpg.Pool, tables: RiskTables, stop: asyncio.Event) -> None:
    agent = ClimateAgent(pool, tables, send=app.publish, commit=app.commit_acknowledged)
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
    finishing = asyncio.create_task(_finish(app, agent))
    done, _ = await asyncio.wait({finishing}, timeout=FINISH_SECONDS)
    if not done:
        # Without a broker Faust waits for ever, cancelled or not.
        log.warning("not finished within %g s; what is held comes again at the next start", FINISH_SECONDS)
        end_process(EXIT_CRASHED, None)
    finishing.result()
    starting.cancel()
    await asyncio.gather(starting, ended, return_exceptions=True)
    log.info("worker stopped")


async def _finish(app: App, agent: ClimateAgent) -> None:
    await agent.finish()
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


async def connected_pool(settings: Settings) -> asyncpg.Pool:
    """Connections for as many chunks as the agent works on.

    Raises:
        Unavailable: The database did not answer within START_TIMEOUT, or refuses the login.
    """
    where, limit = f"database {settings.database_label}", settings.start_timeout

    def tell(_state: RetryCallState) -> None:
        log.warning("%s does not answer; retrying for %g s", where, limit)

    retrying = AsyncRetrying(
        retry=retry_if_exception(is_transient),
        stop=stop_after_delay(limit),
        wait=wait_exponential(multiplier=0.25, max=LONGEST_PAUSE),
        before_sleep=tell,
        reraise=True,
    )
    try:
        return await retrying(create_pool, settings.dsn, application="worker", size=WINDOW)
    except asyncpg.PostgresError as error:
        raise Unavailable(f"{where} refuses: {error}") from error
    except (OSError, TimeoutError, asyncpg.InterfaceError) as error:
        raise Unavailable(f"{where} does not answer (waited {limit:g} s)") from error
