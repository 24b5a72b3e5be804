"""What a stack needs of a broker that it starts, whichever it is."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

from ops.stack.kafka import KafkaBroker
from ops.stack.servers import EmbeddedBroker

BrokerKind = Literal["embedded", "kafka"]


class Broker(Protocol):
    """A broker as a child process. It keeps its port over a restart of the process."""

    @property
    def address(self) -> str:
        """What clients take as bootstrap servers."""
        ...

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        ...

    @property
    def keeps_log(self) -> bool:
        """Whether topics and committed offsets outlive the process."""
        ...

    @property
    def log_id(self) -> str:
        """Names the log that it serves since its last start: another name, other messages and offsets."""
        ...

    async def start(self) -> None:
        """Start the process.

        Raises:
            RiskflowError: it cannot be had or started on this machine.
        """

    async def wait_ready(self, seconds: float = ...) -> None:
        """Return when it serves clients.

        Raises:
            Unavailable: it ended, or did not answer within `seconds`.
        """

    async def wait_exit(self) -> int:
        """Exit code, once the process has ended."""
        ...

    async def stop(self) -> None:
        """Stop the process; harmless when it does not run."""

    def kill(self) -> None:
        """End the process as a crash would."""


def make_broker(kind: BrokerKind, folder: Path) -> Broker:
    """The broker of a stack whose data lie in `folder`, not started."""
    log = folder / "logs" / "broker.log"
    return KafkaBroker(folder / "kafka", log=log) if kind == "kafka" else EmbeddedBroker(log)
