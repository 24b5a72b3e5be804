"""Health by progress and metrics of real services, asked by HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
from service_process import ROOT, ServiceProcess, service, waits
from waiting import until

from ops.stack.servers import EmbeddedBroker
from schemas.settings import Settings

LAG = "riskflow_consumer_lag"
CELL_ROWS = {"probability_results": 10, "hazard_results": 10}
"""Five cells, two risks."""

TRACES = """
    SELECT count(DISTINCT trace) FROM (
        SELECT split_part(convert_from(h.content, 'UTF8'), '-', 2) AS trace
        FROM outbox, unnest(header_names, header_values) AS h (name, content) WHERE h.name = 'traceparent'
        UNION ALL SELECT split_part(traceparent, '-', 2) FROM batch_job_logs) AS told
"""
"""Traces of the trigger, its job and all its events."""


@contextlib.asynccontextmanager
async def stopped(process: Any) -> AsyncIterator[None]:
    """A process that does nothing for the length of a block."""
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


async def lag_of(producers: ServiceProcess, group: str) -> float:
    samples = await producers.metrics()
    return sum(value for name, value in samples.items() if name[:2] == (LAG, group))


async def test_lag_grows_without_a_worker_and_rows_are_counted_as_they_are_written(
    connection: asyncpg.Connection, settings: Settings, tmp_path: Path
) -> None:
    async with (
        service("sink", settings, tmp_path, BATCH_SIZE="2") as sink,
        service("producers", settings, tmp_path) as producers,
    ):
        # A group that has never committed has everything before it, and nothing is there yet.
        report = await producers.ready()
        assert {loop["name"] for loop in report["loops"]} >= {"bridge", "hearing", "dispatcher", "scheduler"}
        await sink.ready()
        job_id = await connection.fetchval("SELECT riskflow.request('climate', '{\"job_id\": \"counted\"}')")
        await until(lambda: _is(lag_of(producers, "riskflow-worker"), 3), "three chunks nobody computes")
        await until(lambda: _shows(producers, "riskflow_job_cells", job_id, "total"), "the job's progress")
        samples = await producers.metrics()
        assert samples["riskflow_job_cells", job_id, "total"] == 5
        assert (samples["riskflow_jobs", "running"], samples["riskflow_leader", "dispatcher"]) == (1, 1)
        assert samples["riskflow_messages_written_total", "risk.grid-chunks.v1"] == 3

        async with service("worker", settings, tmp_path) as worker:
            await worker.ready()
            await until(lambda: connection.fetchval("SELECT completed_at FROM batch_job_logs"), "the end")
            await until(lambda: _is(lag_of(producers, "riskflow-worker"), 0), "no lag of the workers")
            of_worker, of_sink = await worker.metrics(), await sink.metrics()
            assert of_worker["riskflow_messages_read_total", "risk.grid-chunks.v1"] == 3
            for step in ("read", "compute", "send"):
                assert of_worker["riskflow_chunk_seconds_count", "climate", step] == 3
            assert await worker.stop() == 0
        for table, rows in CELL_ROWS.items():
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == rows  # noqa: S608 - a table of this file
            assert of_sink["riskflow_rows_written_total", table] == rows
        await until(lambda: _is(lag_of(producers, "riskflow-sink"), 0), "no lag of the sink")
        assert await connection.fetchval(TRACES) == 1
        await until(lambda: _gone(producers, "riskflow_job_cells"), "the end of the ended job's series")
        assert (await sink.stop(), await producers.stop()) == (0, 0)


async def test_a_service_that_waits_is_live_and_not_ready_and_says_for_what(
    settings: Settings, own_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/nothing"
    async with (
        service("sink", settings, tmp_path, DATABASE_URL=nowhere) as lost,
        service("producers", settings, tmp_path) as producers,
        service("sink", settings, tmp_path) as sink,
    ):
        absent = "database 127.0.0.1:1/nothing"
        report = await lost.until(lambda report: waits(report, "sink") == absent)
        assert (report["status"], report["state"]) == (503, "waiting")
        assert waits(report, "acceptor") == absent
        assert (await lost.report("live"))["status"] == 200
        line = await _health(f"http://127.0.0.1:{lost.port}")
        assert line == (1, "sink: waiting (acceptor waits for database 127.0.0.1:1/nothing; ")
        assert await lost.stop() == 0

        await sink.ready()
        await producers.ready()
        async with stopped(own_broker):
            broker = f"broker {settings.kafka_bootstrap_servers}"
            for each, loop in ((sink, "sink"), (producers, "offsets")):
                report = await each.until(lambda report, loop=loop: waits(report, loop) == broker)
                assert report["status"] == 503
                assert (await each.report("live"))["status"] == 200
        await sink.ready()
        await producers.ready()
        # A second bridge and a second acceptor have nothing to do and are none the worse for it.
        async with (
            service("sink", settings, tmp_path) as second,
            service("producers", settings, tmp_path) as standby,
        ):
            reports = [await second.ready(), await standby.ready()]
            notes = {loop["name"]: loop["note"] for report in reports for loop in report["loops"]}
            assert notes["dispatcher"] == "standing by: another leads"
            assert await _health(f"http://127.0.0.1:{second.port}") == (0, "sink: ready")
            assert (await second.stop(), await standby.stop()) == (0, 0)
        assert (await sink.stop(), await producers.stop()) == (0, 0)


async def test_a_blocked_event_loop_is_not_live(tmp_path: Path) -> None:
    program = (
        "import asyncio, time\n"
        "from ops.health import health_served\n"
        "from schemas import pulse\n"
        "from schemas.settings import load_settings\n"
        "pulse.EVENT_LOOP_SECONDS = 0.5\n"
        "async def work():\n"
        "    async with pulse.beating(beats):\n"
        "        await asyncio.sleep(0.2)\n"
        "        time.sleep(60)\n"
        "beats = pulse.Pulse()\n"
        "with health_served(load_settings(), 'sink', beats):\n"
        "    asyncio.run(work())\n"
    )
    log = tmp_path / "blocked.log"
    with log.open("wb") as output, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HEALTH_PORT": str(port)}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, env=environment, stdout=output, stderr=output
        )
    blocked = ServiceProcess(process, log, port)
    try:
        await blocked.until(lambda report: report["live"], "live")
        report = await blocked.until(lambda report: not report["live"], "live")
        assert (report["status"], report["state"]) == (503, "stuck")
        exit_code, line = await _health(f"http://127.0.0.1:{port}", "--live")
        assert (exit_code, line.startswith("sink: stuck (event loop has not moved for")) == (1, True)
    finally:
        process.kill()
        await process.wait()


async def test_pages_answer_head_and_refuse_what_they_do_not_know(settings: Settings, tmp_path: Path) -> None:
    async with service("sink", settings, tmp_path) as sink:
        await sink.ready()
        assert await sink.get("/health/ready", "HEAD") == (200, "")
        assert await sink.get("/health/ready?verbose=1") != (404, "")
        assert (await sink.get("/"))[0] == 404
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{sink.port}/metrics") as page,
        ):
            assert page.headers["Content-Type"].startswith("text/plain; version=")
        # The first one keeps its port, and the second says so.
        async with service("sink", settings, tmp_path, HEALTH_PORT=str(sink.port)) as second:
            assert await second.ended() == 78
            assert f"HEALTH_PORT: 127.0.0.1:{sink.port} is taken by another program" in second.text
            assert "Traceback" not in second.text
        assert await sink.stop() == 0


async def _is(value: Any, expected: float) -> bool:
    return await value == expected


async def _shows(producers: ServiceProcess, *sample: str) -> bool:
    return sample in await producers.metrics()


async def _gone(producers: ServiceProcess, name: str) -> bool:
    return not any(sample[0] == name for sample in await producers.metrics())


async def _health(url: str, *options: str) -> tuple[int, str]:
    """Exit code and line of `riskflow health`; the line up to the first loop that changes."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops.entry", "health", "--url", url, *options),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    line = output.decode().strip()
    return process.returncode or 0, line.partition("sink waits")[0]
