"""Keeps services running: restart with backoff, ordered stop, nobody left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import structlog

from ops.stack.child import Child, Command, Forward

log = structlog.get_logger(__name__)

STOP_SECONDS = 10.0  # between SIGTERM and SIGKILL (expert assumption)
INSTANCE_VARIABLE = "RISKFLOW_INSTANCE"
HEALTH_VARIABLE = "HEALTH_PORT"
FOLDER_VARIABLE = "RISKFLOW_STACK_FOLDER"
"""Where a stack tells its services its data directory, in which each may make a folder of its own."""


@dataclass(frozen=True, slots=True)
class Service:
    """A kind of process: `count` instances of one command.

    `env` is added to the supervisor's own environment. Instances of a service with a count above one are
    called `<name>-1`, `<name>-2` and so on; each finds its name in RISKFLOW_INSTANCE and, where there is a
    `health_port`, one of its own, counted upwards from that, in HEALTH_PORT.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold secrets
    depends_on_broker: bool = True
    count: int = 1
    health_port: int | None = None

    def instances(self) -> list[str]:
        """The names of its processes."""
        if self.count == 1:
            return [self.name]
        return [f"{self.name}-{number}" for number in range(1, self.count + 1)]

    def health_ports(self) -> dict[str, int]:
        """Port of each instance's health; none where the service has none."""
        if self.health_port is None:
            return {}
        return {name: self.health_port + place for place, name in enumerate(self.instances())}

    def environment(self, instance: str) -> dict[str, str]:
        """What an instance finds beside the supervisor's own environment."""
        port = self.health_ports().get(instance)
        own = {} if port is None else {HEALTH_VARIABLE: str(port)}
        return {**self.env, **own, INSTANCE_VARIABLE: instance}


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Seconds between a failure and the next start (expert assumptions)."""

    first: float = 0.5
    factor: float = 2.0
    cap: float = 30.0
    healthy: float = 60.0
    """A run of this length makes the next failure count as the first."""

    def delay(self, failures: int) -> float:
        """Wait before the start that follows the given number of failures in a row, 1 or more."""
        return min(self.cap, self.first * self.factor ** min(failures - 1, 32))

    def failures(self, before: int, lasted: float) -> int:
        """Failures in a row after one more, whose run lasted so many seconds."""
        return 1 if lasted >= self.healthy else before + 1


class Instance:
    """One process of a service, started again until it is asked to stop, ends well or is refused."""

    def __init__(self, name: str, service: Service) -> None:
        self.name = name
        self.service = service
        self.child: Child | None = None
        self.exit_code: int | None = None
        self.starts = 0
        self.started = asyncio.Event()
        self.stopping = asyncio.Event()
        self.keeper: asyncio.Task[None] | None = None

    @property
    def active(self) -> bool:
        """Whether it runs or waits for its next start."""
        return self.keeper is not None and not self.keeper.done()

    @property
    def refused(self) -> bool:
        """Whether its last run ended with exit code 78: its settings are wrong, a restart is no help."""
        return self.exit_code == os.EX_CONFIG


class Supervisor:
    """The services and their processes.

    Args:
        services: What may be started.
        logs: Folder of the log files, `<instance>.log`.
        env: Added to the environment of every service.
        forward: Gets every line the services write, with the instance's name.
        policy: When to start again.
        stop_seconds: Time a service has between SIGTERM and SIGKILL.
        on_change: Called when the set of processes has changed.
    """

    def __init__(  # noqa: PLR0913 - each is a choice of the caller, all but two have a default
        self,
        services: Iterable[Service],
        logs: Path,
        *,
        env: Mapping[str, str] | None = None,
        forward: Forward | None = None,
        policy: RestartPolicy | None = None,
        stop_seconds: float = STOP_SECONDS,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.env = dict(env or {})
        self.policy = policy or RestartPolicy()
        self.instances = {
            name: Instance(name, service) for service in services for name in service.instances()
        }
        self._logs = logs
        self._forward = forward
        self._stop_seconds = stop_seconds
        self._on_change = on_change

    def pids(self) -> dict[str, int]:
        """Process ids of the running instances."""
        return {each.name: each.child.pid for each in self.instances.values() if each.child}

    def refused(self) -> list[str]:
        """Instances that ended with exit code 78 and stay down."""
        return [each.name for each in self.instances.values() if each.refused and not each.active]

    def broker_clients(self) -> list[str]:
        """Instances that need the broker and run or wait for their next start."""
        return [
            each.name for each in self.instances.values() if each.active and each.service.depends_on_broker
        ]

    def active(self) -> list[str]:
        """Instances that run or wait for their next start."""
        return [each.name for each in self.instances.values() if each.active]

    async def start(self, *names: str) -> None:
        """Start the named services or instances, all when none is named; what is active stays as it is."""
        for instance in self._chosen(names):
            if instance.active:
                continue
            instance.stopping.clear()
            instance.started.clear()
            instance.keeper = asyncio.create_task(self._keep(instance), name=instance.name)
            await instance.started.wait()

    async def stop(self, *names: str) -> None:
        """SIGTERM to the named, or all, at once; SIGKILL to those that outstay their time."""
        chosen = self._chosen(names)
        for instance in chosen:
            instance.stopping.set()
        keepers = [instance.keeper for instance in chosen if instance.keeper]
        if keepers:
            await asyncio.wait(keepers)

    async def kill(self, name: str, *, restart: bool = False) -> None:
        """End the named with SIGKILL, as a crash would; they stay down unless `restart` is given."""
        chosen = self._chosen((name,))
        for instance in chosen:
            if instance.child:
                instance.child.send(signal.SIGKILL)
        if not restart:
            await self.stop(name)

    def kill_all(self) -> None:
        """SIGKILL to every process, for those who will not wait; `stop` still has to be awaited."""
        for instance in self.instances.values():
            instance.stopping.set()
            if instance.child:
                instance.child.send(signal.SIGKILL)

    async def wait_exit(self, name: str) -> int | None:
        """Exit code of the instance's present run, or of the last one when none is running."""
        instance = self.instances[name]
        return await instance.child.wait() if instance.child else instance.exit_code

    async def wait_idle(self) -> None:
        """Return when no instance is active."""
        while keepers := [each.keeper for each in self.instances.values() if each.keeper and each.active]:
            await asyncio.wait(keepers)

    def _chosen(self, names: Sequence[str]) -> list[Instance]:
        everyone = list(self.instances.values())
        unknown = set(names) - {each.name for each in everyone} - {each.service.name for each in everyone}
        if unknown:
            wrong, right = ", ".join(sorted(unknown)), ", ".join(self.instances)
            raise ValueError(f"no service or instance {wrong}; there are {right}")
        return [each for each in everyone if not names or each.name in names or each.service.name in names]

    async def _keep(self, instance: Instance) -> None:
        failures = 0
        while not instance.stopping.is_set():
            began = asyncio.get_running_loop().time()
            try:
                await self._run(instance)
            except OSError as error:
                log.warning("service cannot be started", service=instance.name, error=str(error))
                instance.exit_code = os.EX_OSERR
            finally:
                instance.started.set()
            if instance.stopping.is_set() or not self._to_restart(instance):
                return
            failures = self.policy.failures(failures, asyncio.get_running_loop().time() - began)
            delay = self.policy.delay(failures)
            log.warning(
                "service ended", service=instance.name, exit_code=instance.exit_code, restart_in_s=delay
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(instance.stopping.wait(), delay)

    async def _run(self, instance: Instance) -> None:
        """Start the process and wait for its end, or bring that about when asked to stop."""
        env = {**os.environ, **self.env, **instance.service.environment(instance.name)}
        path = self._logs / f"{instance.name}.log"
        command = Command(instance.name, instance.service.argv, path, env, forward=self._forward)
        instance.child = child = await Child.spawn(command)
        try:
            instance.starts += 1
            instance.started.set()
            self._on_change()
            await child.ended_or(instance.stopping)
        finally:
            instance.exit_code = await child.stop(signal.SIGTERM, limit=self._stop_seconds)
            instance.child = None
        self._on_change()

    def _to_restart(self, instance: Instance) -> bool:
        if instance.refused:
            path = self._logs / f"{instance.name}.log"
            log.error(
                "service refused to run, see its log", service=instance.name, exit_code=78, log=str(path)
            )
        elif instance.exit_code == 0:
            log.info("service has finished", service=instance.name)
        else:
            return True
        return False


def prefixed(output: TextIO) -> Forward:
    """A `forward` that writes each line to `output` behind the name of its process."""

    def write(name: str, line: str) -> None:
        # `riskflow up | head` must not take the services down.
        with contextlib.suppress(BrokenPipeError):
            output.write(f"{name:<10} | {line}\n")
            output.flush()

    return write
