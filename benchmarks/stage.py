"""A stack of its own, a drawn grid in it, and jobs that are timed by the ledger."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import psutil

from ops import jobs
from ops import trigger as triggers
from ops.demo.sources import DataPackageMissing, demo_table, storm_tracks
from ops.generator.cells import Cells, regular_grid
from ops.generator.stored import store_cells
from ops.load.loader import load
from ops.load.options import LoadOptions
from ops.services import hooks, services
from ops.stack.registry import at_servers
from ops.stack.stack import Stack
from schemas.errors import RiskflowError
from schemas.settings import Settings
from streams.models.inputs import Years

YEARS = Years(1991, 2020)
"""Window and baseline of every climate job: 30 years."""
SEED = 11
JOB_SECONDS = 1800.0
TABLES = ("sea-level-stations", "sea-level-rise", "basins", "demand", "warming")
SILENT = {f"{name}_schedule_enabled": False for name in ("probability", "hazard", "weekly")}
"""No schedule may put a job between those that are measured."""


@dataclass
class Stage:
    """Broker and database of one benchmark, with the services that it asked for."""

    stack: Stack
    settings: Settings
    connection: asyncpg.Connection
    notes: list[str] = field(default_factory=list)
    """What a reader of the numbers should know."""

    async def draw(self, count: int, *, indices: bool) -> Cells:
        """So many cells with all that nine risks read; without `indices` jobs draw days from months."""
        cells = regular_grid(count)
        async with self.connection.transaction():
            await store_cells(self.connection, cells, YEARS, SEED, indices=indices)
            for table in TABLES:
                await load(table, [demo_table(table)], self.connection, LoadOptions(baseline=YEARS))
            try:
                wmo = LoadOptions(baseline=YEARS, ibtracs="wmo")
                await load("storms", [storm_tracks()], self.connection, wmo)
            except DataPackageMissing as error:
                self.notes.append(f"no storms, so typhoon has no number: {error}")
        await self.connection.execute("VACUUM ANALYZE")
        return cells

    async def job(self, job_type: str = "climate", **options: Any) -> float:
        """Run a job of that type; seconds from its trigger to the commit of its last row.

        Raises:
            RiskflowError: It did not complete.
        """
        sent = dt.datetime.now(tz=dt.UTC)
        trigger = triggers.trigger_of(job_type, requested_by="benchmark", **options)
        job_id = await triggers.send(self.settings, trigger)
        job = await jobs.wait(self.connection, job_id, limit=JOB_SECONDS)
        if job is None or job.status != "completed" or job.completed_at is None:
            raise RiskflowError(f"benchmark job {job_id} did not complete: {job}")
        return (job.completed_at - sent).total_seconds()

    def cpu_seconds(self) -> dict[str, float]:
        """CPU time so far by process, PostgreSQL's with that of all its backends, ended ones included."""
        return {
            name: _cpu(psutil.Process(pid), whole=name == "postgresql") for name, pid in self.pids().items()
        }

    def pids(self) -> dict[str, int]:
        """Process ids of broker, database and services."""
        broker, postgres = self.stack.broker.pid, self.stack.postgres.pid
        servers = {"broker": broker, "postgresql": postgres}
        return {name: pid for name, pid in servers.items() if pid} | self.stack.supervisor.pids()


@asynccontextmanager
async def stage(*names: str, workers: int = 2, **changes: Any) -> AsyncIterator[Stage]:
    """A new stack in a temporary folder with the named services started, `worker` among them or later.

    The database gives up safety against a crash of the machine, as those of tests do: waiting for the
    disk would slow one statement a row much more than one a batch.
    """
    changed = {"parallel_workers": workers, "log_level": "WARNING"} | SILENT | changes
    settings = Settings.model_validate(Settings(_env_file=None).model_dump() | changed)
    stack = Stack(services(settings), hooks(settings), start=list(names), announce=False)
    async with stack:
        here = at_servers(settings, stack.broker.address, stack.postgres.url)
        connection = await asyncpg.connect(stack.postgres.url)
        try:
            yield Stage(stack, here, connection)
        finally:
            await connection.close()


def _cpu(process: psutil.Process, *, whole: bool) -> float:
    times = process.cpu_times()
    seconds = times.user + times.system
    if whole:
        seconds += times.children_user + times.children_system
        seconds += sum(_cpu(child, whole=False) for child in process.children())
    return seconds


def now() -> float:
    """Seconds of a clock that only goes on."""
    return time.perf_counter()
