"""Processes that write reports: they may die, and they never outlive their parent."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
from report_samples import BRIGHTON, NOTHING, REPORT_DATE, SEOUL, store_report
from waiting import until

from consumers.report import limits
from consumers.report.pool import Pool
from consumers.report.worker import Task, write_report
from schemas.faults import is_passing
from schemas.settings import Settings
from schemas.tenants import Tenant

WELL: dict[str, Any] = NOTHING | {"omit_rate": 0.01}


@pytest.fixture
def report_settings(flow_settings: Settings, tmp_path: Path) -> Settings:
    return flow_settings.model_copy(update={"reports_dir": tmp_path / "reports"})


def task(tenant: Tenant, settings: Settings) -> Task:
    return Task(settings.dsn, tenant, REPORT_DATE, settings.reports_dir, settings.report_templates)


def in_a_second(tenant: Tenant, settings: Settings) -> Task:
    return replace(task(tenant, settings), seconds=1.0)


async def test_a_database_that_is_away_is_an_error_to_try_again(report_settings: Settings) -> None:
    away = report_settings.model_copy(update={"database_url": None, "database_host": "/nowhere"})
    with pytest.raises(OSError) as caught:  # noqa: PT011 - which OSError is the system's choice
        await asyncio.to_thread(write_report, task(SEOUL, away))
    assert is_passing(caught.value)
    # As it comes from another process.
    starting = pickle.loads(pickle.dumps(asyncpg.CannotConnectNowError("starting up")))  # noqa: S301
    assert is_passing(starting)


async def test_killed_workers_are_made_anew(
    connection: asyncpg.Connection, report_settings: Settings
) -> None:
    await store_report(connection, SEOUL, [{"student_id": "a", **WELL}])
    pool = Pool(1)
    try:
        assert (await pool.write([task(SEOUL, report_settings)]))[0].failure is None
        first = list(pool._executor._processes)
        for worker in first:
            os.kill(worker, signal.SIGKILL)
        assert (await pool.write([task(SEOUL, report_settings)]))[0].failure is None
        assert list(pool._executor._processes) != first
    finally:
        pool.close()
    assert not any(psutil.pid_exists(worker) for worker in first)


async def test_a_report_that_kills_its_worker_fails_alone(
    connection: asyncpg.Connection, report_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.report.pool.write_report", dies_of_brighton)
    monkeypatch.setattr("consumers.report.pool.MAX_TRIES", 2)
    for tenant in (BRIGHTON, SEOUL):
        await store_report(connection, tenant, [{"student_id": "a", **WELL}])
    pool = Pool(1)
    try:
        outcomes = await pool.write([task(BRIGHTON, report_settings), task(SEOUL, report_settings)])
    finally:
        pool.close()
    assert outcomes[0].failure.startswith("its report killed the process that wrote it, 2 times (out of")
    assert outcomes[1].html == "2026-11-23/seoul-hs_report.html"


def dies_of_brighton(task: Task) -> Any:
    if task.tenant.org_id == "brighton":
        os.kill(os.getpid(), signal.SIGKILL)
    return write_report(task)


ENDLESS = """
{% if tenant.org_id == 'brighton' %}{% for i in range(99999) %}
  {% for j in range(99999) %}{% endfor %}
{% endfor %}{% elif tenant.org_id == 'stuck' %}
  {% set n = namespace(a=[1], b=[1]) %}
  {% for i in range(60) %}{% set n.a = [n.a, n.a] %}{% set n.b = [n.b, n.b] %}{% endfor %}
  {{ n.a == n.b }}
{% endif %}<p>
"""


async def test_an_endless_template_fails_its_tenant_alone(
    connection: asyncpg.Connection,
    report_settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("consumers.report.pool.write_report", hardly_more)
    (tmp_path / "report.html.j2").write_text(ENDLESS)
    settings = report_settings.model_copy(update={"report_templates": tmp_path})
    stuck = BRIGHTON.model_copy(update={"org_id": "stuck"})
    for tenant in (BRIGHTON, SEOUL, stuck):
        await store_report(connection, tenant, [{"student_id": "a", **WELL}])
    pool = Pool(1)
    try:
        outcomes = await pool.write([in_a_second(BRIGHTON, settings), task(SEOUL, settings)])
        fault = "template report.html.j2 line 3: not ready within 1 s; has it a loop without end?"
        assert outcomes[0].failure == fault
        assert outcomes[1].html == "2026-11-23/seoul-hs_report.html"
        # It stays in C code, where no error reaches it.
        outcomes = await pool.write([in_a_second(stuck, settings), task(SEOUL, settings)])
    finally:
        pool.close()
    assert (outcomes[0].failure or "").startswith("its report killed the process that wrote it, once (")
    assert outcomes[1].html == "2026-11-23/seoul-hs_report.html"


def hardly_more(task: Task) -> Any:
    limits.HARD_SECONDS = 0.3
    return write_report(task)


PARENT = """
import asyncio, sys
from consumers.report.pool import Pool

async def main():
    pool = Pool(1)
    pool._started().submit(int).result()
    print(*pool._executor._processes, flush=True)
    await asyncio.Event().wait()

if __name__ == "__main__":
    asyncio.run(main())
"""


async def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    parent = subprocess.Popen(  # noqa: ASYNC220 - its first line comes at once
        [sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        worker = psutil.Process(int(parent.stdout.readline()))
    finally:
        parent.kill()
        parent.communicate()

    async def gone() -> bool:
        return not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE

    await until(gone, "the worker's end", limit=5)
