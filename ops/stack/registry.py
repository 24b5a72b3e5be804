"""How commands find the running stack: a file in the data directory, another in the user's state folder.

Both hold the database's password and are readable by their owner only.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

import platformdirs
import psutil
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from schemas.settings import Settings

STATE_FILE = "stack.json"
CLOCK_SECONDS = 2.0  # by which two readings of a process's start may differ (psutil rounds to clock ticks)


ADDRESSES = frozenset(name for name in Settings.model_fields if name.startswith(("database_", "kafka_")))
"""Settings that say which servers are spoken to and how; a stack's own go before all others."""

DATABASE = frozenset(name for name in ADDRESSES if name.startswith("database_"))
BROKER = frozenset(name for name in ADDRESSES if name.startswith("kafka_"))


class ProcessMark(BaseModel):
    """A process that a later one of the same number cannot be taken for."""

    model_config = ConfigDict(frozen=True)

    pid: int
    started_at: float = Field(description="seconds since 1970, as the system tells it")

    @classmethod
    def of(cls, pid: int) -> ProcessMark:
        """The mark of a running process; of one that has just ended, a mark that matches nothing."""
        try:
            return cls(pid=pid, started_at=psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return cls(pid=pid, started_at=0.0)

    def process(self) -> psutil.Process | None:
        """The process while it is alive."""
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            return process if abs(process.create_time() - self.started_at) < CLOCK_SECONDS else None
        except psutil.NoSuchProcess:
            return None


class StackState(BaseModel):
    """What is known of a running stack."""

    model_config = ConfigDict(frozen=True)

    supervisor: ProcessMark
    processes: dict[str, ProcessMark]
    data_dir: Path
    kafka_bootstrap_servers: str
    database_url: str = Field(repr=False)
    notes: dict[str, str] = Field(default_factory=dict, repr=False, description="further variables")

    def environment(self) -> dict[str, str]:
        """The settings by which any client connects to this stack; with the password.

        Those that speak of another server's logins and certificates are empty, which takes them back.
        """
        url = urlsplit(self.database_url)
        return dict.fromkeys(sorted(name.upper() for name in ADDRESSES), "") | {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka_bootstrap_servers,
            "DATABASE_URL": self.database_url,
            "DATABASE_HOST": url.hostname or "",
            "DATABASE_PORT": str(url.port),
            "DATABASE_NAME": url.path.removeprefix("/"),
            "DATABASE_USER": url.username or "",
            "DATABASE_PASSWORD": unquote(url.password or ""),
        }


def at_servers(settings: Settings, bootstrap: str, database_url: str | None = None) -> Settings:
    """The settings with an unguarded broker, and a database where one is given, in place of their own."""
    plain: dict[str, object] = {name: Settings.model_fields[name].default for name in BROKER}
    plain["kafka_bootstrap_servers"] = bootstrap
    if database_url is not None:
        plain |= {name: Settings.model_fields[name].default for name in DATABASE}
        plain["database_url"] = SecretStr(database_url)
    return settings.model_copy(update=plain)


def user_state_file() -> Path:
    """Where the stack that this user started last leaves its state."""
    return platformdirs.user_state_path("riskflow") / STATE_FILE


def recorded_stack(path: Path) -> StackState | None:
    """What the file says, whether or not that stack still runs; None where it says nothing."""
    try:
        return StackState.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def running_stack(data_dir: Path | None = None) -> StackState | None:
    """The stack on the data directory, or the one this user started last; None when it is not alive."""
    state = recorded_stack(data_dir / STATE_FILE if data_dir else user_state_file())
    return state if state and state.supervisor.process() else None


def record(state: StackState, path: Path) -> None:
    """Write the state for its owner's eyes, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    with open(scratch, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(state.model_dump_json(indent=2))
    scratch.replace(path)


def withdraw(path: Path) -> None:
    """Remove the file if it speaks of this process."""
    state = recorded_stack(path)
    if state and state.supervisor.pid == os.getpid():
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
