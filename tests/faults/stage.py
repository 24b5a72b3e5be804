"""Where faults happen: one PostgreSQL for all, a broker, a copied database and services for each."""

from __future__ import annotations

import itertools
import logging
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import asyncpg
import structlog
from acceptance.whole import draw_grid
from faults.ledger import Ledger
from faults.reference import Rows, read_rows
from faults.registry import Fault
from faults.run import Run
from pydantic import SecretStr

from ops.services import hooks, services
from ops.setup import prepare_database
from ops.stack.broker import make_broker
from ops.stack.data_dir import locked_data_dir, make_folder
from ops.stack.servers import EmbeddedPostgres
from ops.stack.stack import Stack
from ops.stack.supervisor import Supervisor
from producers.topics import create_topics
from schemas.fault_points import FAULT_VARIABLE, TOKENS_VARIABLE
from schemas.settings import Settings

CELLS = 2_000
CHUNKS = 100
"""Chunks of a job, so that a fault strikes many, whatever the grid's size."""
ARMED = (
    "sink.before_commit=kill once",
    "sink.after_commit=kill once",
    "sink.before_commit=stop once",
    "climate.take=drop once",
    "climate.send=drop once",
)
"""Faults that every service is ready for; they strike when Run.arm lays their token."""

# One tropical storm a year crosses the grid from the south, at another longitude each time.
STORMS = """
    INSERT INTO storm_fixes (storm_id, time, latitude, longitude, wind_ms, pressure_hpa, rmw_km, source)
    SELECT 'drawn-' || year, make_timestamptz(year, 8, 20, 0, 0, 0, 'UTC') + step * interval '6 hours',
           30 + 0.8 * step, 124.5 + (year * 7) % 10 + 0.3 * step, 45 - step, 950 + 3 * step, 40, 'drawn'
    FROM generate_series(1991, 2020) AS year, generate_series(0, 9) AS step
"""


@dataclass(frozen=True)
class Grid:
    """A database to copy, and the rows that a job over it ends with."""

    database: str
    cells: int
    rows: Rows


class Stage:
    """Servers of a round of faults; `async with` starts and stops them.

    Folders of runs that failed are kept: `kept` names where.
    """

    def __init__(self) -> None:
        self._exits = AsyncExitStack()
        self._numbers = itertools.count(1)
        self._grids: dict[int, Grid] = {}
        self.kept: list[Path] = []

    async def __aenter__(self) -> Self:
        self.home = self._exits.enter_context(locked_data_dir(None))
        self._exits.enter_context(_quiet(self.home / "suite.log"))
        self.postgres = EmbeddedPostgres(self.home / "postgresql", durable=False)
        self._exits.push_async_callback(self.postgres.stop)
        await self.postgres.start()
        await self.postgres.wait_ready()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._exits.aclose()

    async def grid(self, cells: int = CELLS) -> Grid:
        """The grid of so many cells; drawn, and computed by an undisturbed job, the first time."""
        if cells not in self._grids:
            database = f"grid_{cells}"
            await self._administer(f"CREATE DATABASE {database}")
            await _draw(self.postgres.database_url(database), cells)
            self._grids[cells] = Grid(database, cells, await self._undisturbed(database, cells))
        return self._grids[cells]

    @asynccontextmanager
    async def run(self, fault: Fault, kind: str, cells: int = CELLS) -> AsyncIterator[Run]:
        """Everything that one fault needs, services not started; gone at the end of the block."""
        grid = await self.grid(cells)
        number = next(self._numbers)
        folder = self.home / f"{number}-{fault.name}-{kind}"
        make_folder(folder)
        (folder / "tokens").mkdir()
        opened = (
            self._under_up(fault, folder, grid) if fault.under_up else self._apart(fault, kind, folder, grid)
        )
        try:
            async with opened as run:
                yield run
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def keep(self, run: Run) -> None:
        """Put the logs of a run where they stay."""
        place = Path(tempfile.mkdtemp(prefix=f"riskflow-fault-{run.name}-"))
        for file in [*run.folder.rglob("*.log"), self.home / "suite.log"]:
            shutil.copy(file, place)
        self.kept.append(place)

    @asynccontextmanager
    async def _apart(self, fault: Fault, kind: str, folder: Path, grid: Grid) -> AsyncIterator[Run]:
        broker = make_broker(kind, folder)  # type: ignore[arg-type]
        database = f"run_{folder.name.partition('-')[0]}"
        await self._administer(f"CREATE DATABASE {database} TEMPLATE {grid.database} STRATEGY file_copy")
        ledger = Ledger(self.postgres.database_url(database))
        async with AsyncExitStack() as exits:
            exits.push_async_callback(self._administer, f"DROP DATABASE {database} WITH (FORCE)")
            exits.push_async_callback(self._recover)
            exits.push_async_callback(ledger.close)
            exits.push_async_callback(broker.stop)
            await broker.start()
            await broker.wait_ready()
            settings = _settings(fault, folder, grid.cells, ledger.dsn, broker.address)
            await create_topics(settings)
            env = _environment(fault, folder) | {
                "DATABASE_URL": ledger.dsn,
                "KAFKA_BOOTSTRAP_SERVERS": broker.address,
            }
            supervisor = Supervisor(services(settings), folder / "logs", env=env)
            exits.push_async_callback(supervisor.stop)
            yield Run(
                fault.name, settings, broker, self.postgres, supervisor, ledger, grid.rows, grid.cells, folder
            )

    @asynccontextmanager
    async def _under_up(self, fault: Fault, folder: Path, grid: Grid) -> AsyncIterator[Run]:
        """The stack of `riskflow up`, with a PostgreSQL of its own: the grid is drawn there again."""
        settings = _settings(
            fault, folder, grid.cells, "postgresql://said.by.the.stack/riskflow", "said-by-the-stack:1"
        )
        told = [_with_env(service, _environment(fault, folder)) for service in services(settings)]
        stack = Stack(told, hooks(settings), data_dir=folder, start=(), announce=False)
        async with stack:
            await _draw(stack.postgres.url, grid.cells)
            ledger = Ledger(stack.postgres.url)
            try:
                yield Run(
                    fault.name, settings, stack.broker, stack.postgres, stack.supervisor, ledger,
                    grid.rows, grid.cells, folder,
                )  # fmt: skip
            finally:
                await ledger.close()

    async def _undisturbed(self, database: str, cells: int) -> Rows:
        async def act(run: Run) -> None:
            await run.start()
            await run.trigger()
            assert await run.ended() == "completed", "the undisturbed job did not complete"

        self._grids[cells] = Grid(database, cells, {})
        async with self.run(Fault("reference", "", act, pace=0), "embedded", cells) as run:
            await act(run)
            rows, _ = await read_rows(run.ledger)
        return rows

    async def _recover(self) -> None:
        """Bring PostgreSQL back where a fault was broken off while it was away."""
        if self.postgres.pid is None:
            await self.postgres.start()
        await self.postgres.wait_ready()

    async def _administer(self, statement: str) -> None:
        connection = await asyncpg.connect(self.postgres.database_url("postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


async def _draw(dsn: str, cells: int) -> None:
    await prepare_database(dsn)
    connection = await asyncpg.connect(dsn)
    try:
        await draw_grid(connection, cells)
        await connection.execute(STORMS)
    finally:
        await connection.close()


def _settings(fault: Fault, folder: Path, cells: int, dsn: str, servers: str) -> Settings:
    return Settings(
        _env_file=None,
        database_url=SecretStr(dsn),
        kafka_bootstrap_servers=servers,
        **{"batch_size": max(1, cells // CHUNKS), "reports_dir": folder / "reports"} | dict(fault.settings),
    )


def _environment(fault: Fault, folder: Path) -> dict[str, str]:
    slow = f"climate.compute=sleep {fault.pace}" if fault.pace else ""
    points = ",".join(filter(None, [*ARMED, slow, fault.points]))
    return {FAULT_VARIABLE: points, TOKENS_VARIABLE: str(folder / "tokens")}


def _with_env(service: Any, env: Mapping[str, str]) -> Any:
    return replace(service, env={**service.env, **env})


@contextmanager
def _quiet(file: Path) -> Iterator[None]:
    """What the suite's own processes log goes into a file."""
    handler = logging.FileHandler(file)
    logging.getLogger().addHandler(handler)
    with file.open("a") as lines:
        structlog.configure(logger_factory=structlog.PrintLoggerFactory(lines))
        try:
            yield
        finally:
            structlog.reset_defaults()
            logging.getLogger().removeHandler(handler)
            handler.close()
