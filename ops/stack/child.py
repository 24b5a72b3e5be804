"""One process that we start: it dies with its parent, writes to a log file and is stopped as a group."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from logging.handlers import RotatingFileHandler
from pathlib import Path

LAUNCHER = Path(__file__).with_name("launch.py")
LOG_BYTES = 10_000_000  # size at which a log file is set aside; one older file is kept (expert assumption)
LINE_BYTES = 65_536  # a line longer than this is cut (expert assumption)
PUMP_SECONDS = 1.0  # how long the last lines of a dead process are waited for (expert assumption)
SAME_USER = -1

Forward = Callable[[str, str], None]
"""Takes the name of a process and one line that it wrote."""


@dataclass(frozen=True, slots=True)
class Account:
    """The user that a process runs as in place of root."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Command:
    """What to run and how it is tied to us.

    `env` is the whole environment, `death_signal` what Linux sends the process when its parent dies (see
    ops.stack.launch), `account` the user to become (only root can), `forward` gets every line besides the
    log file.
    """

    name: str
    argv: Sequence[str]
    log: Path
    env: Mapping[str, str] = field(repr=False)
    cwd: Path | None = None
    death_signal: signal.Signals = signal.SIGKILL
    account: Account | None = None
    forward: Forward | None = None

    def launched(self) -> list[str]:
        """The argument vector that starts it through the launcher."""
        uid, gid = (self.account.uid, self.account.gid) if self.account else (SAME_USER, SAME_USER)
        tie = [str(int(number)) for number in (self.death_signal, os.getpid(), uid, gid)]
        return [sys.executable, "-I", "-S", str(LAUNCHER), *tie, *self.argv]


class Child:
    """A running process, the leader of a process group of its own."""

    def __init__(self, command: Command, process: asyncio.subprocess.Process) -> None:
        self.command = command
        self.pid = process.pid
        self._process = process
        self._pump = asyncio.create_task(self._copy_lines()) if process.stdout else None

    @classmethod
    async def spawn(cls, command: Command) -> Child:
        """Start the process.

        The event loop must run in a thread that lives as long as the child (the main thread, as a rule):
        Linux takes the end of the starting thread for the parent's death.
        """
        command.log.parent.mkdir(parents=True, exist_ok=True)
        set_aside(command.log)
        with command.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *command.launched(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if command.forward else log,
                stderr=subprocess.STDOUT,
                env=dict(command.env),
                cwd=command.cwd,
                process_group=0,
            )
        return cls(command, process)

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal's number when a signal ended it."""
        return self._process.returncode

    async def wait(self) -> int:
        """Exit code, once the process has ended."""
        return await self._process.wait()

    async def ended_or(self, event: asyncio.Event) -> None:
        """Return when the process has ended or the event is set."""
        waits = [asyncio.create_task(self.wait()), asyncio.create_task(event.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    def send(self, number: signal.Signals) -> None:
        """Signal the whole process group; nothing happens when it is gone."""
        # macOS says EPERM for a group of which only the dead leader is left.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    async def stop(self, *signals: signal.Signals, limit: float) -> int:
        """Send the signals in turn, `limit` seconds apart, then SIGKILL to what is left of the group."""
        for number in signals:
            if self.exit_code is None:
                self.send(number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wait(), limit)
                break
        return await self.clear()

    async def clear(self) -> int:
        """SIGKILL to whatever is left of the group; the exit code when its last line is written."""
        self.send(signal.SIGKILL)
        code = await self.wait()
        if self._pump:
            # A grandchild that left the group may still hold the pipe; its lines are not waited for.
            await asyncio.wait({self._pump}, timeout=PUMP_SECONDS)
            self._pump.cancel()
        return code

    def last_lines(self, count: int = 8) -> str:
        """The end of the log, for an error message."""
        with self.command.log.open("rb") as log:
            log.seek(max(0, self.command.log.stat().st_size - LINE_BYTES))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-count:])

    async def _copy_lines(self) -> None:
        stream, forward = self._process.stdout, self.command.forward
        if stream is None or forward is None:
            return
        log = RotatingFileHandler(self.command.log, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8")
        with contextlib.closing(log):
            rest = b""
            while chunk := await stream.read(LINE_BYTES):
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) >= LINE_BYTES:
                    lines, rest = [*lines, rest], b""
                for line in lines:
                    self._emit(log, forward, line)
            if rest:
                self._emit(log, forward, rest)

    def _emit(self, log: RotatingFileHandler, forward: Forward, line: bytes) -> None:
        text = line.decode(errors="replace")
        log.emit(logging.makeLogRecord({"msg": text}))
        forward(self.command.name, text)


def set_aside(log: Path) -> None:
    """Rename a log that has grown beyond its limit to `<name>.1`."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))
