"""The embedded stack: broker, database and services as one thing that starts, heals and stops in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncpg
import structlog
from aiokafka.errors import KafkaError

from ops.stack.broker import Broker, BrokerKind, make_broker
from ops.stack.child import Forward
from ops.stack.data_dir import end_leftovers, locked_data_dir
from ops.stack.registry import (
    STATE_FILE,
    ProcessMark,
    StackState,
    record,
    running_stack,
    user_state_file,
    withdraw,
)
from ops.stack.servers import EmbeddedPostgres
from ops.stack.supervisor import FOLDER_VARIABLE, RestartPolicy, Service, Supervisor
from schemas.errors import RiskflowError

__all__ = ["Hooks", "Interrupted", "Service", "Stack", "StackState", "running_stack"]

log = structlog.get_logger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOG_NOTE = "broker-log"
"""File of the data directory that names the broker's log on which what is unfinished has been sent."""
# What a broker or a database that is not there yet, or away again, makes a start or a hook raise.
PASSING = (RiskflowError, OSError, KafkaError, asyncpg.PostgresError, asyncpg.InterfaceError)


class Interrupted(RiskflowError):  # noqa: N818 - named by what happened
    """A signal came before the stack was asked to wait for one; everything has been stopped."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What has to be done to a fresh broker and database before services start; each is safe to repeat.

    `migrate` and `mark_unreported_unsent` take the database's DSN, `create_topics` the bootstrap servers.
    """

    migrate: Callable[[str], Awaitable[object]]
    create_topics: Callable[[str], Awaitable[object]]
    mark_unreported_unsent: Callable[[str], Awaitable[object]]


class Stack:
    """The running stack, `async with` starts and stops it.

    Every service finds KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL and the DATABASE_* names in its environment.

    Args:
        services: What to run; started in this order once broker and database are ready.
        hooks: See Hooks.
        data_dir: Where database, Kafka's log, logs and state lie; None for a temporary folder that goes at
            the end.
        broker: Which one; `kafka` needs Java, and Maven or a cache with its jars.
        start: Names of the services to start at once; all of them by default.
        announce: Whether commands without a data directory (`riskflow env`) find this stack.
        forward: Gets every line of every service.
        policy: When services, broker and database are started again.
        notes: Further variables that `riskflow env` prints; services do not get them.
    """

    def __init__(  # noqa: PLR0913 - choices of the caller, all but two have a default
        self,
        services: Sequence[Service],
        hooks: Hooks,
        *,
        data_dir: Path | None = None,
        broker: BrokerKind = "embedded",
        start: Sequence[str] | None = None,
        announce: bool = True,
        forward: Forward | None = None,
        policy: RestartPolicy | None = None,
        notes: Mapping[str, str] | None = None,
    ) -> None:
        self._notes = dict(notes or {})
        self._services = services
        self._hooks = hooks
        self._given_dir = data_dir
        self._broker_kind = broker
        self._first = start
        self._announce = announce
        self._forward = forward
        self._policy = policy or RestartPolicy()
        self._exits = contextlib.AsyncExitStack()
        self._signals: list[signal.Signals] = []
        self._signalled = asyncio.Event()
        self._heeding = False
        self._lose_patience: Callable[[], None] = lambda: None
        self._healing = asyncio.Lock()
        self._healers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._owner = asyncio.current_task()
        try:
            self._watch_signals()
            await self._start()
        except BaseException as error:
            await self._close()
            self._explain(error)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()
        self._explain(error)

    async def run_until_signal(self) -> int:
        """Wait for SIGINT, SIGTERM or SIGHUP, or for the last service's end.

        Returns:
            0, or 78 when a service refused to run.
        """
        self._heeding = True
        ends = [asyncio.create_task(self._wait_idle()), asyncio.create_task(self._signalled.wait())]
        try:
            done, _ = await asyncio.wait([*ends, *self._healers], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in ends:
                task.cancel()
        return os.EX_CONFIG if self.supervisor.refused() else os.EX_OK

    async def start(self, name: str) -> None:
        """Start a service or instance; nothing happens when it is active."""
        await self.supervisor.start(name)

    async def stop(self, name: str) -> None:
        """Stop a service or instance as a signal would; it stays down."""
        await self.supervisor.stop(name)

    async def kill(self, name: str, *, restart: bool = False) -> None:
        """End a service, an instance, `broker` or `postgresql` with SIGKILL, as a crash would.

        Services stay down unless `restart` is given; broker and database always come back.
        """
        if name in ("broker", "postgresql"):
            (self.broker if name == "broker" else self.postgres).kill()
        else:
            await self.supervisor.kill(name, restart=restart)

    async def wait_exit(self, name: str) -> int | None:
        """Exit code of an instance's present run, or of its last one."""
        return await self.supervisor.wait_exit(name)

    def state(self) -> StackState:
        """What `running_stack` gives to other commands."""
        pids = {"broker": self.broker.pid, "postgresql": self.postgres.pid, **self.supervisor.pids()}
        return StackState(
            supervisor=ProcessMark.of(os.getpid()),
            processes={name: ProcessMark.of(pid) for name, pid in pids.items() if pid},
            data_dir=self.data_dir,
            kafka_bootstrap_servers=self.broker.address,
            database_url=self.postgres.url,
            notes=self._notes,
        )

    async def _start(self) -> None:
        self.data_dir = self._exits.enter_context(locked_data_dir(self._given_dir))
        await end_leftovers(self.data_dir)
        self.broker = make_broker(self._broker_kind, self.data_dir)
        self.postgres = EmbeddedPostgres(self.data_dir / "postgresql", durable=self._given_dir is not None)
        servers: tuple[Broker | EmbeddedPostgres, ...] = (self.broker, self.postgres)
        for server in servers:
            self._exits.push_async_callback(server.stop)
            await server.start()
        await self.postgres.wait_ready()
        await self._hooks.migrate(self.postgres.url)
        await self._prepare_broker()
        self._make_supervisor()
        if self._first is None or self._first:
            await self.supervisor.start(*(self._first or ()))
        self._healers = [asyncio.create_task(self._heal_broker()), asyncio.create_task(self._heal_postgres())]
        self._exits.push_async_callback(end_tasks, self._healers)

    def _make_supervisor(self) -> None:
        self._files = [self.data_dir / STATE_FILE, *([user_state_file()] if self._announce else [])]
        self.supervisor = Supervisor(
            self._services,
            self.data_dir / "logs",
            forward=self._forward,
            policy=self._policy,
            on_change=self._record,
        )
        self.supervisor.env = {**self.state().environment(), FOLDER_VARIABLE: str(self.data_dir)}
        for file in self._files:
            self._exits.callback(withdraw, file)
        self._record()
        self._exits.push_async_callback(self.supervisor.stop)
        self._lose_patience = self.supervisor.kill_all

    def _record(self) -> None:
        for file in self._files:
            record(self.state(), file)

    async def _prepare_broker(self) -> None:
        await self.broker.wait_ready()
        await self._hooks.create_topics(self.broker.address)
        note, log_id = self.data_dir / LOG_NOTE, self.broker.log_id
        if not note.exists() or note.read_text() != log_id:
            await self._hooks.mark_unreported_unsent(self.postgres.url)
            note.write_text(log_id)

    async def _heal_broker(self) -> None:
        """Bring the broker back.

        Clients of one that keeps its log wait for it; those of one that comes back with empty topics are
        stopped meanwhile.
        """
        async for code in self._deaths(self.broker):
            if self.broker.keeps_log:
                log.error("broker ended, its clients wait for it", exit_code=code)
                await self._restart(self.broker, self._prepare_broker)
                continue
            async with self._healing:
                clients = self.supervisor.broker_clients()
                log.error("broker ended, its topics are lost", exit_code=code, stopping=clients)
                if clients:
                    await self.supervisor.stop(*clients)
                await self._restart(self.broker, self._prepare_broker)
                if clients:
                    await self.supervisor.start(*clients)

    async def _heal_postgres(self) -> None:
        """Bring the database back; its clients wait for it by themselves."""
        async for code in self._deaths(self.postgres):
            log.error("database server ended", exit_code=code)
            await self._restart(self.postgres, self.postgres.wait_ready)

    async def _deaths(self, server: Broker | EmbeddedPostgres) -> AsyncIterator[int]:
        """Exit codes of the server as they come; after several in a row only with the policy's delay."""
        clock = asyncio.get_running_loop().time
        failures = 0
        while True:
            began = clock()
            code = await server.wait_exit()
            failures = self._policy.failures(failures, clock() - began)
            if failures > 1:
                await asyncio.sleep(self._policy.delay(failures - 1))
            yield code

    async def _restart(self, server: Broker | EmbeddedPostgres, ready: Callable[[], Awaitable[None]]) -> None:
        failures = 0
        while True:
            try:
                await server.start()
                await ready()
            except PASSING as error:
                failures += 1
                delay = self._policy.delay(failures)
                log.error("server does not come back", error=str(error), next_try_in_s=delay)  # noqa: TRY400 - the
                # sentence is what the reader needs; the place in the code is not.
                await server.stop()
                await asyncio.sleep(delay)
            else:
                self._record()
                return

    async def _wait_idle(self) -> None:
        """Return when no service is active, other than for the while that the broker is being healed."""
        while True:
            await self.supervisor.wait_idle()
            async with self._healing:
                if not self.supervisor.active():
                    return

    def _watch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        # Only the main thread may watch signals; a stack in another one is stopped by leaving its block.
        with contextlib.suppress(ValueError, RuntimeError):
            for number in SIGNALS:
                loop.add_signal_handler(number, self._heed, number)
                self._exits.callback(loop.remove_signal_handler, number)

    def _heed(self, number: signal.Signals) -> None:
        """The first signal ends the wait, or the work inside the block; a second one ends the patience."""
        self._signals.append(number)
        self._signalled.set()
        if len(self._signals) > 1:
            self._lose_patience()
        elif self._heeding:
            return
        elif self._owner and not self._owner.done():
            self._owner.cancel()
        else:
            raise KeyboardInterrupt

    async def _close(self) -> None:
        self._heeding = True
        await self._exits.aclose()

    def _explain(self, error: BaseException | None) -> None:
        if isinstance(error, asyncio.CancelledError) and self._signals and self._owner:
            self._owner.uncancel()
            raise Interrupted(f"stopped by {self._signals[0].name}") from None


async def end_tasks(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel the tasks and wait until they have ended."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
