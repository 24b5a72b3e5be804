"""A service of riskflow as a process of its own, spoken to by signals and HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from ops.stack.endpoint import free_port
from schemas.settings import Settings

ROOT = Path(__file__).parents[2]
LIMIT_SECONDS = 90
POLL_SECONDS = 0.05


@dataclass
class ServiceProcess:
    """The process, its log and its pages."""

    process: asyncio.subprocess.Process
    log: Path
    port: int

    @classmethod
    async def start(cls, name: str, settings: Settings, folder: Path, **environment: str) -> ServiceProcess:
        """Start a service with a health port of its own; `environment` goes before the settings."""
        port, log = free_port(), folder / f"{name}-{free_port()}.log"
        inherited = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        own = {
            "DATABASE_URL": settings.dsn,
            "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
            "START_TIMEOUT": "20",
            "REPORTS_DIR": str(folder / "reports"),
            "HEALTH_PORT": str(port),
            "PYTHONPATH": str(ROOT),
        }
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "ops.entry", name),
                env=inherited | own | environment,
                cwd=folder,
                stdout=output,
                stderr=output,
            )
        return cls(process, log, port)

    @property
    def text(self) -> str:
        """Everything it has written."""
        return self.log.read_text()

    async def get(self, path: str, method: str = "GET") -> tuple[int, str]:
        """Status and body of a page; 0 where nothing answers."""
        timeout = aiohttp.ClientTimeout(total=5)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.request(method, f"http://127.0.0.1:{self.port}{path}") as answer,
            ):
                return answer.status, await answer.text()
        except aiohttp.ClientError:
            return 0, ""

    async def report(self, page: str = "ready") -> dict[str, Any]:
        """The body of a health page, with its status; empty where nothing answers."""
        status, body = await self.get(f"/health/{page}")
        return {"status": status} | json.loads(body) if status else {}

    async def until(self, condition: Callable[[dict[str, Any]], bool], page: str = "ready") -> dict[str, Any]:
        """The report once it fulfils the condition."""
        report: dict[str, Any] = {}
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                while not (report and condition(report)):
                    assert self.process.returncode is None, self.text
                    await asyncio.sleep(POLL_SECONDS)
                    report = await self.report(page)
        except TimeoutError:
            raise AssertionError(f"{report}\n{self.text}") from None
        return report

    async def ready(self) -> dict[str, Any]:
        """The report once the service is ready."""
        return await self.until(lambda report: report["status"] == 200)

    async def metrics(self) -> dict[tuple[str, ...], float]:
        """Every sample: its name and the values of its labels in order, to its value."""
        _, text = await self.get("/metrics")
        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Exit code after a signal."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        """Exit code once it has ended."""
        try:
            return await asyncio.wait_for(self.process.wait(), LIMIT_SECONDS)
        except TimeoutError:
            raise AssertionError(f"{self.log.name} does not end\n{self.text}") from None


@asynccontextmanager
async def service(
    name: str, settings: Settings, folder: Path, **environment: str
) -> AsyncIterator[ServiceProcess]:
    """A service that is gone after the block, however it ended."""
    started = await ServiceProcess.start(name, settings, folder, **environment)
    try:
        yield started
    finally:
        if started.process.returncode is None:
            started.process.send_signal(signal.SIGCONT)
            started.process.kill()
            await started.process.wait()


def waits(report: dict[str, Any], loop: str) -> str | None:
    """What a loop of a report waits for."""
    return next((each["waits_for"] for each in report["loops"] if each["name"] == loop), None)
