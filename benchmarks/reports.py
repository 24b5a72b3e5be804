"""Reports rendered by two processes against one, with what of a page each process takes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import psutil

from benchmarks.outcome import Outcome, speeds
from benchmarks.rounds import Size, alternate
from benchmarks.stage import Stage, now, stage
from consumers.report.files import folder_of
from consumers.report.pool import Pool, cores
from consumers.report.worker import Task
from ops.demo.schools import write_tenants
from ops.generator.students import draw_tenant
from ops.generator.tenant import DrawnTenant
from ops.generator.tenant_tables import copy_tenant
from schemas.errors import RiskflowError
from schemas.tenants import Tenant

REPORT_DATE = date(2026, 11, 16)
ZONE = "Asia/Seoul"
SERVICES = ("sink", "producers", "reporter", "worker")
FILES = 2
"""Page and CSV of a tenant."""
MILLISECONDS = 1000.0


class _Renderers:
    """So many processes that write the same reports into a folder of their own."""

    def __init__(self, running: Stage, tasks: Sequence[Task], processes: int, folder: Path) -> None:
        self._stage = running
        self._pool = Pool(processes)
        self.tasks = [replace(task, reports_dir=folder) for task in tasks]
        self.processor: list[dict[str, float]] = []
        """Milliseconds of processor time a page, by process, of every round."""

    async def pages_a_second(self) -> float:
        before, begun = self._cpu(), now()
        outcomes = await self._pool.write(self.tasks)
        seconds, after = now() - begun, self._cpu()
        faults = [outcome.failure for outcome in outcomes if not outcome.html]
        if faults:
            raise RiskflowError(f"{len(faults)} reports failed: {faults[0]}")
        pages = len(outcomes)
        self.processor.append({name: MILLISECONDS * (after[name] - before[name]) / pages for name in after})
        return pages / seconds

    def written(self) -> dict[str, bytes]:
        """The files by name."""
        folder = folder_of(self.tasks[0].reports_dir, REPORT_DATE)
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    def close(self) -> None:
        self._pool.close()

    def _cpu(self) -> dict[str, float]:
        """Processor time so far; renderers are the children that are no server."""
        servers = set(self._stage.pids().values())
        renderers = [child for child in psutil.Process().children() if child.pid not in servers]
        times = [child.cpu_times() for child in renderers]
        return {
            "renderers": sum(each.user + each.system for each in times),
            "postgresql": self._stage.cpu_seconds()["postgresql"],
            "parent": time.process_time(),
        }


async def reports(size: Size) -> list[Outcome]:
    """Pages a second of two renderer processes against one, reading, CSV and fsync included."""
    tenants, students = size.of(40, 2), size.of(500, 50)
    async with _stored(tenants, students) as (running, tasks, folder):
        two = _Renderers(running, tasks, 2, folder / "two")
        one = _Renderers(running, tasks, 1, folder / "one")
        try:
            if not size.warm_up:
                await two.pages_a_second()
                await one.pages_a_second()
            speed_of_two, speed_of_one = await alternate(size, two.pages_a_second, one.pages_a_second)
        finally:
            two.close()
            one.close()
        if len(two.written()) != FILES * tenants or two.written() != one.written():
            raise RiskflowError("one renderer process wrote other files than two")
    spent = two.processor[-size.rounds :]
    page = {name: median(each[name] for each in spent) for name in spent[0]}
    ceiling = min(2, cores()) * MILLISECONDS / sum(page.values()) / median(speed_of_one)
    shares = ", ".join(f"{name} {milliseconds:.1f}" for name, milliseconds in page.items())
    return [
        speeds(
            "reports",
            "pages a second, two renderer processes against one",
            "pages/s",
            speed_of_two,
            speed_of_one,
            goal=1.8,
            note=f"{tenants} tenants of {students} students, page and CSV the same byte for byte; reading "
            f"from the database, which shares the cores, and fsync are in it. Processor time of a page with "
            f"two processes in ms: {shares}; both cores full would be a ratio of {ceiling:.2f}.",
        )
    ]


@asynccontextmanager
async def _stored(tenants: int, students: int) -> AsyncIterator[tuple[Stage, list[Task], Path]]:
    """A database with a computed weekly report of every tenant, no service running, and the tasks."""
    entries = [
        Tenant(org_id=f"school-{number:02d}", name=f"School {number}", timezone=ZONE, language=language)
        for number in range(1, tenants + 1)
        for language in [("ko", "en")[number % 2]]
    ]
    with TemporaryDirectory(prefix="riskflow-reports-") as folder:
        file = Path(folder) / "tenants.yaml"
        write_tenants(file, entries)
        changes = {"tenants_file": file, "reports_dir": Path(folder) / "job"}
        async with stage(*SERVICES, workers=1, **changes) as running:
            for entry in entries:
                await copy_tenant(running.connection, entry.org_id, draw_tenant(_drawn(entry, students)))
            await running.connection.execute("VACUUM ANALYZE")
            await running.job("weekly", report_date=REPORT_DATE.isoformat())
            await running.stack.supervisor.stop()
            dsn = running.settings.dsn
            tasks = [Task(dsn, entry, REPORT_DATE, Path(folder), None) for entry in entries]
            yield running, tasks, Path(folder)


def _drawn(tenant: Tenant, students: int) -> DrawnTenant:
    return DrawnTenant(
        org_id=tenant.org_id,
        students=students,
        report_date=REPORT_DATE,
        language=tenant.language,
        timezone=tenant.timezone,
    )
