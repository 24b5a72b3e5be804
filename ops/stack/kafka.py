"""Apache Kafka as a child process on 127.0.0.1: broker and controller in one (KRaft), its log in a folder."""

from __future__ import annotations

import asyncio
import signal
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path

from aiokafka.client import AIOKafkaClient

from ops.stack.child import Child, Command
from ops.stack.endpoint import HOST, free_port, plain_environment, wait_answer
from ops.stack.jars import kafka_jars
from ops.stack.postmaster import discard
from ops.stack.protection import INTERNAL, LISTENER, Protection, write_owned
from ops.stack.servers import started
from schemas.errors import RiskflowError

READY_SECONDS = 120.0  # measured: 3 s, 5 s after a crash; 44 s on a machine ten times overloaded
STOP_SECONDS = 20.0  # between SIGTERM and SIGKILL, which its log survives too (expert assumption)
# The simple collector and compiler take 4.3 s of CPU to the first answer in place of 7.6 s, and 180 MB in
# place of 260 (measured).
SMALL = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
TEMPORARY = "tmp"
FORMAT, SERVER = "kafka.tools.StorageTool", "kafka.Kafka"
NODE = 1

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": str(NODE),
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    # One node keeps one copy of everything.
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "8",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # A killed broker may register again when its old registration has run out: 4.5 s in place of 13 s.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # A group that was away for long goes on where it was [min]: a year.
    "offsets.retention.minutes": "525600",
    "log.cleaner.dedupe.buffer.size": "16777216",
    "num.network.threads": "2",
    "num.io.threads": "4",
}

LOG4J = """<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="WARN" shutdownHook="disable">
  <Appenders>
    <Console name="out"><PatternLayout pattern="%d{yyyy-MM-dd HH:mm:ss.SSS} %-5p %c{1}: %m%n"/></Console>
  </Appenders>
  <Loggers>
    <Logger name="kafka.server.KafkaRaftServer" level="INFO"/>
    <Root level="WARN"><AppenderRef ref="out"/></Root>
  </Loggers>
</Configuration>
"""


class KafkaBroker:
    """Apache Kafka with its log in `home/log`. It keeps the log over every end, and the port over a restart.

    Args:
        home: Folder of its own, made if missing.
        protection: How clients must speak to it; without one, in plain text and without a login.
        log: File of its lines; `home/broker.log` by default.
    """

    keeps_log = True

    def __init__(self, home: Path, *, protection: Protection | None = None, log: Path | None = None) -> None:
        self.port = 0  # chosen by the first start, as late as can be: another program may take it meanwhile
        self._inner_ports = (0, 0)
        self._home = home.resolve()
        self._log = self._home / "log"
        self._protection = protection or Protection()
        self._lines = log or self._home / "broker.log"
        self._child: Child | None = None

    @property
    def address(self) -> str:
        """What clients take as bootstrap servers."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._child.pid if self._child and self._child.exit_code is None else None

    @property
    def log_id(self) -> str:
        """The cluster's id, which stands in its log."""
        lines = (self._log / "meta.properties").read_text().splitlines()
        return next(line.removeprefix("cluster.id=") for line in lines if line.startswith("cluster.id="))

    async def start(self) -> None:
        """Start the process, after making its log the first time and fetching its jars the very first.

        Raises:
            RiskflowError: Java or the jars cannot be had, or the log cannot be made.
        """
        jars = await kafka_jars()
        # Topics hold what nobody else may read.
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        discard(self._home / TEMPORARY)
        (self._home / TEMPORARY).mkdir()
        (self._home / "log4j2.xml").write_text(LOG4J)
        if not self._log.exists():
            await self._make_log(jars)
        self._choose_ports()
        self._write_settings("server.properties", self._log.name)
        self._child = await Child.spawn(self._java("broker", jars, SERVER, "server.properties"))

    async def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Return when it has let its own client in and shows itself as a broker, recovery included.

        Raises:
            Unavailable: it ended, or did not answer within `seconds`.
        """
        await wait_answer(started(self._child), self._probe, seconds)

    async def wait_exit(self) -> int:
        """Exit code, once the process has ended."""
        return await started(self._child).wait()

    async def stop(self) -> None:
        """Stop the process and leave its log clean. Harmless when it does not run."""
        if self._child:
            await self._child.stop(signal.SIGTERM, limit=STOP_SECONDS)

    def kill(self) -> None:
        """End the process as a crash would."""
        started(self._child).send(signal.SIGKILL)

    def _choose_ports(self) -> None:
        if not self.port:
            ports: set[int] = set()
            while len(ports) < len(self._inner_ports) + 1:
                ports.add(free_port())
            self.port, *inner = ports
            self._inner_ports = (inner[0], inner[1])

    async def _make_log(self, jars: Path) -> None:
        """Make the log beside its place and move it there, so that a broken one is never taken."""
        scratch = self._home / "log.new"
        discard(scratch)
        self._write_settings("format.properties", scratch.name)
        told = ["format", "--cluster-id", new_cluster_id(), "--config", "format.properties"]
        child = await Child.spawn(
            self._java("format", jars, FORMAT, *told, *self._protection.format_options())
        )
        try:
            if await child.wait() != 0:
                raise RiskflowError(f"Apache Kafka could not make {self._log}: {child.last_lines()}")
        finally:
            await child.clear()
        scratch.rename(self._log)

    def _write_settings(self, name: str, log: str) -> None:
        inner, controller = self._inner_ports
        places = {LISTENER: self.port, INTERNAL: inner, "CONTROLLER": controller}
        listeners = {name: f"{name}://{HOST}:{port}" for name, port in places.items()}
        public = ",".join(listeners[name] for name in (LISTENER, INTERNAL))
        settings = (
            SETTINGS
            | self._protection.settings(self._home)
            | {
                "listeners": ",".join(listeners.values()),
                "advertised.listeners": public,
                "inter.broker.listener.name": INTERNAL,
                "controller.quorum.voters": f"{NODE}@{HOST}:{controller}",
                "log.dirs": log,
            }
        )
        write_owned(self._home / name, "".join(f"{key}={value}\n" for key, value in settings.items()))

    def _java(self, name: str, jars: Path, program: str, *told: str) -> Command:
        java = ("java", *SMALL, f"-Djava.io.tmpdir={self._home / TEMPORARY}")
        argv = (*java, "-Dlog4j2.configurationFile=log4j2.xml", "-cp", f"{jars}/*", program, *told)
        lines = self._lines if name == "broker" else self._home / f"{name}.log"
        # Java reads the names of folders by the locale; another one would not know every letter.
        return Command(name, argv, lines, plain_environment() | {"LC_ALL": "C.UTF-8"}, cwd=self._home)

    async def _probe(self) -> None:
        # aiokafka writes an error line for a refused connection, so the port is tried first.
        _, writer = await asyncio.open_connection(HOST, self.port)
        writer.close()
        await writer.wait_closed()
        client = AIOKafkaClient(bootstrap_servers=self.address, **self._protection.own_client())
        try:
            await client.bootstrap()
            if not client.cluster.brokers():
                raise ConnectionError("the broker is not registered yet")
        finally:
            await client.close()


def new_cluster_id() -> str:
    """A fresh id in Kafka's form: 22 characters of base64, the first of them a letter."""
    number = uuid.uuid4().bytes
    # A first bit of zero keeps the first character off `-`, which would read as an option.
    return urlsafe_b64encode(bytes([number[0] & 0x7F]) + number[1:]).decode().rstrip("=")
