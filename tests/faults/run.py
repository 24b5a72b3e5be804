"""One disturbed run: broker, database and services, and what a fault may do to them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import psutil
from faults.ledger import Ledger
from faults.reference import Rows

from ops.jobs import ENDED
from ops.stack.servers import EmbeddedPostgres
from ops.stack.supervisor import Supervisor
from schemas.settings import Settings

POLL_SECONDS = 0.1
NOTHING_SHOWN = "nothing was on its way when the fault struck, so nothing was shown"

_IN_FLIGHT = """
    SELECT job_id, chunk FROM batch_job_chunks WHERE sent_at IS NOT NULL AND kinds_left > 0
"""


@dataclass(frozen=True)
class Outage:
    """When a disturbance was over, and the chunks that were on their way when it began."""

    over: float
    chunks: list[tuple[str, int]]


@dataclass
class Job:
    """A job that must end, and with what.

    `failed_chunks` are the chunks that must have failed; `cells` None stands for the whole grid.
    """

    job_id: str
    cells: int | None = None
    failed_chunks: tuple[int, ...] = ()


@dataclass
class Run:
    """What one fault is given. Every wait is bounded by the limit of the whole run."""

    name: str
    settings: Settings
    broker: Any
    postgres: EmbeddedPostgres
    services: Supervisor
    ledger: Ledger
    expected: Rows
    cells: int
    folder: Path
    jobs: dict[str, Job] = field(default_factory=dict)
    outages: list[Outage] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """What a fault has seen that must not be; any makes its row fail."""
    more_rows: int = 0
    """Rows per table beyond those of the reference, of cells that were loaded meanwhile."""
    dead_letters: int = 0
    """Messages of which a dead letter must lie in the outbox."""
    apart: set[str] = field(default_factory=set)
    """Jobs that the fault judges itself, by `lost`, `doubled` and `problems`."""
    lost: int = 0
    doubled: int = 0

    @property
    def tokens(self) -> Path:
        """Where the tokens of faults that strike once lie."""
        return self.folder / "tokens"

    @property
    def logs(self) -> Path:
        """Where the services write."""
        return self.folder / "logs"

    async def start(self, *names: str) -> None:
        """Start the named services or instances, all by default."""
        await self.services.start(*names)

    async def trigger(self, job_id: str = "job", *, job_type: str = "climate", **options: Any) -> Job:
        """Ask for a job over the whole grid by riskflow.request."""
        self.jobs[job_id] = job = Job(job_id)
        asked = orjson.dumps({"job_id": job_id, **options}).decode()
        await self.ledger.fetch("SELECT riskflow.request($1, $2::jsonb)", job_type, asked)
        return job

    async def until(self, condition: Callable[[], Awaitable[Any]]) -> Any:
        """What the condition gives once it is true."""
        while True:
            found = await condition()
            if found:
                return found
            await asyncio.sleep(POLL_SECONDS)

    async def until_value(self, query: str, *arguments: Any) -> Any:
        """The query's first value once it is true."""
        return await self.until(lambda: self.ledger.value(query, *arguments))

    async def progress(self, share: float, job_id: str = "job") -> None:
        """Return when this share of the job's chunks is done, or the job has ended."""
        query = """
            SELECT chunks_done >= $2::float8 * chunks_total OR status = ANY ($3::text[])
            FROM batch_job_logs WHERE job_id = $1 AND chunks_total > 0
        """
        await self.until_value(query, job_id, share, list(ENDED))

    async def ended(self, job_id: str = "job") -> str:
        """The job's status once it has ended."""
        query = "SELECT status FROM batch_job_logs WHERE job_id = $1 AND status = ANY ($2::text[])"
        return str(await self.until_value(query, job_id, list(ENDED)))

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """Around a disturbance: recovery is counted from its end, for what was on its way at its begin."""
        rows = await self.ledger.fetch(_IN_FLIGHT)
        if not rows:
            self.problems.append(NOTHING_SHOWN)
        try:
            yield
        finally:
            chunks = [(row["job_id"], row["chunk"]) for row in rows]
            self.outages.append(Outage(time.time(), chunks))

    def arm(self, place: str, action: str) -> Path:
        """Let a fault that strikes once happen at the next visit of its place (schemas.fault_points)."""
        token = self.tokens / f"{place}.{action}"
        token.touch()
        return token

    async def struck(self, token: Path) -> None:
        """Return when the token has been taken."""

        async def taken() -> bool:
            return not os.path.exists(token)  # noqa: ASYNC240, PTH110 - a look costs nothing

        await self.until(taken)

    def pid(self, instance: str) -> int:
        """Process id of a running instance."""
        return self.services.pids()[instance]

    async def stopped(self, instance: str) -> int:
        """Process id of the instance once SIGSTOP holds it."""
        pid = self.pid(instance)

        async def held() -> bool:
            return psutil.Process(pid).status() == psutil.STATUS_STOPPED

        await self.until(held)
        return pid

    async def all_running(self) -> None:
        """Return when no instance waits for its next start."""

        async def running() -> bool:
            return all(each.child or not each.active for each in self.services.instances.values())

        await self.until(running)

    @asynccontextmanager
    async def stalled(self, pid: int) -> AsyncIterator[None]:
        """Hold a process by SIGSTOP for the block."""
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)
