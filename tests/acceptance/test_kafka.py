"""The whole on Apache Kafka: the embedded broker's rows, and an `up` whose broker dies under a job."""

import asyncio
import os
import re
import signal

import asyncpg
import platformdirs
import psutil
import pytest
from test_up import Terminal
from waiting import until
from whole import draw_grid, running

from ops.stack.registry import recorded_stack

pytestmark = pytest.mark.usefixtures("has_kafka")

CELLS = 24
RISKS = 9
START_SECONDS = 180
STOP_SECONDS = 90


async def test_a_climate_job_ends_in_the_rows_of_the_embedded_broker(database_url, tmp_path):
    found = {}
    for broker in ("embedded", "kafka"):
        folder = tmp_path / broker
        folder.mkdir()
        async with running(database_url, folder, broker=broker, batch_size=4) as whole:
            if not found:
                await draw_grid(whole.connection, CELLS)
            await whole.services.start()
            await whole.trigger("climate", broker)
            assert (await whole.ended(broker)).status == "completed"
            counts = "SELECT processed_grids, failed_grids, chunks_done FROM batch_job_logs WHERE job_id = $1"
            assert tuple(await whole.connection.fetchrow(counts, broker)) == (CELLS, 0, CELLS // 4)
            losses = "SELECT sum(losses) FROM batch_job_chunks WHERE job_id = $1"
            assert await whole.connection.fetchval(losses, broker) == 0
            found[broker] = await whole.rows()
            await whole.connection.execute("TRUNCATE probability_results, hazard_results")
    assert found["kafka"] == found["embedded"]
    assert [len(rows) for rows in found["kafka"].values()] == [RISKS * CELLS] * 2


@pytest.fixture
def terminal(server_home):
    folder = server_home / "kafka-user"
    folder.mkdir(mode=0o755)
    terminal = Terminal(folder)
    # The home is the user's own, the jars need not be fetched again.
    terminal.env["XDG_CACHE_HOME"] = str(platformdirs.user_cache_path())
    return terminal


@pytest.fixture
async def up(terminal):
    """A running `riskflow up --broker kafka --data-dir`; its process and folder."""
    data = terminal.folder / "data"
    process = await terminal.start("up", "--broker", "kafka", "--data-dir", str(data))
    try:

        async def is_up():
            assert process.returncode is None, terminal.said()
            return "riskflow is up" in terminal.said()

        await until(is_up, "up", START_SECONDS)
        yield process, data
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), STOP_SECONDS)


async def test_up_goes_on_over_a_killed_broker_whose_clients_stay(up, terminal):
    process, data = up
    before = recorded_stack(data / "stack.json")
    connection = await asyncpg.connect(before.database_url)
    try:
        await draw_grid(connection, CELLS)
        code, out, err = await terminal.run("trigger", "hazard", "--wait", "--risk", "drought")
        assert (code, re.findall(r"status\s+(\w+)", out)) == (0, ["completed"]), err
        os.kill(before.processes["broker"].pid, signal.SIGKILL)
        job_id = await connection.fetchval("SELECT riskflow.request('climate')")
        ended = "SELECT status FROM batch_job_logs WHERE job_id = $1 AND completed_at IS NOT NULL"
        assert await until(lambda: connection.fetchval(ended, job_id), "its end", 120) == "completed"
        rows = await connection.fetchval("SELECT count(*) FROM probability_results")
        assert rows == CELLS * RISKS
    finally:
        await connection.close()
    after = recorded_stack(data / "stack.json")
    changed = {name for name, mark in before.processes.items() if after.processes[name].pid != mark.pid}
    assert changed == {"broker"}
    assert after.kafka_bootstrap_servers == before.kafka_bootstrap_servers
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), STOP_SECONDS) == 0, terminal.said()
    assert psutil.wait_procs(children, timeout=5)[1] == []
    assert (data / "kafka" / "log" / "risk.triggers.v1-0").is_dir()
