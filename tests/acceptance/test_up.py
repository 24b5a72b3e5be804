"""`riskflow up` as a user sees it: starts, is found by the other commands, stops without a trace."""

import asyncio
import os
import re
import shlex
import signal
import sys

import aiohttp
import asyncpg
import orjson
import psutil
import pytest
from aiokafka import AIOKafkaProducer
from waiting import until
from whole import draw_grid

ELSEWHERE = {
    "KAFKA_BOOTSTRAP_SERVERS": "broker.example.org:9093",
    "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "KAFKA_SASL_USERNAME": "somebody",
    "KAFKA_SASL_PASSWORD": "of another broker",
    "DATABASE_HOST": "db.example.org",
    "DATABASE_SSLMODE": "require",
}
"""Servers that a user has in the environment, none of which `up` may speak to."""
COMMAND = [sys.executable, "-m", "ops.cli"]
SETTINGS = ("DATABASE_", "KAFKA_", "SCENARIO", "WINDOW_", "BASELINE_", "BATCH_SIZE", "PARALLEL_WORKERS")
CELL_KEYS = {
    "latitude", "longitude", "risk_type", "scenario", "window", "years", "intensity", "unit", "edges",
    "probability", "base_damage_rate", "aal", "hazard_score", "hazard_level", "estimator", "parameters",
    "reason",
}  # fmt: skip


class Terminal:
    """A user's shell in an empty folder, with a home of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
        self.env |= {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), "PARALLEL_WORKERS": "1"}
        # A Monday morning or a new year adds no job to those that are counted.
        self.env |= {f"{name}_SCHEDULE_ENABLED": "false" for name in ("PROBABILITY", "HAZARD", "WEEKLY")}
        self.env |= {"COLUMNS": "200"}

    async def start(self, *arguments, **env):
        """Start a command that goes on."""
        with (self.folder / "up.log").open("wb") as log:
            return await asyncio.create_subprocess_exec(
                *COMMAND, *arguments, cwd=self.folder, env=self.env | env, stdout=log, stderr=log
            )

    async def run(self, *arguments, **env):
        """Exit code, standard output and standard error of a command."""
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *arguments,
            cwd=self.folder,
            env=self.env | env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 120)
        return process.returncode, out.decode(), err.decode()

    def said(self):
        return (self.folder / "up.log").read_text()


@pytest.fixture(scope="module")
def terminal(server_home):
    folder = server_home / "user"
    folder.mkdir(mode=0o755)
    return Terminal(folder)


@pytest.fixture(scope="module")
async def up(terminal):
    """A running `riskflow up --data-dir`, with a small drawn grid in its database."""
    process = await terminal.start("up", "--data-dir", str(terminal.folder / "data"), **ELSEWHERE)

    async def is_up():
        assert process.returncode is None, terminal.said()
        return "riskflow is up" in terminal.said()

    await until(is_up, "up")
    environment = await assignments(terminal)
    connection = await asyncpg.connect(environment["DATABASE_URL"])
    await draw_grid(connection, 20)
    yield environment, connection
    await connection.close()
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 5
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), 60) == 0, terminal.said()
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []
    code, _, err = await terminal.run("env")
    assert (code, "nothing is running here" in err) == (1, True)


async def assignments(terminal) -> dict[str, str]:
    code, out, err = await terminal.run("env")
    assert code == 0, err
    assert (await terminal.run("env", "--data-dir", str(terminal.folder / "data")))[1] == out
    code, _, err = await terminal.run("env", "--data-dir", str(terminal.folder))
    assert (code, "nothing is running on" in err) == (1, True)
    pairs = (shlex.split(line.removeprefix("export "))[0].split("=", 1) for line in out.splitlines())
    return dict(pairs)


async def test_env_gives_the_names_that_any_client_takes(up):
    environment, connection = up
    assert {name for name, value in environment.items() if value} == {
        "KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "DATABASE_HOST", "DATABASE_PORT", "DATABASE_NAME",
        "DATABASE_USER", "DATABASE_PASSWORD", "RISKFLOW_URL", "RISKFLOW_TOKEN",
    }  # fmt: skip
    by_parts = await asyncpg.connect(
        host=environment["DATABASE_HOST"],
        port=int(environment["DATABASE_PORT"]),
        database=environment["DATABASE_NAME"],
        user=environment["DATABASE_USER"],
        password=environment["DATABASE_PASSWORD"],
    )
    same = "SELECT system_identifier FROM pg_control_system()"
    assert await by_parts.fetchval(same) == await connection.fetchval(same)
    await by_parts.close()


@pytest.mark.usefixtures("up")
async def test_a_second_up_on_the_same_folder_says_that_it_is_running(terminal):
    code, out, err = await terminal.run("up", "--data-dir", str(terminal.folder / "data"))
    assert code == 1
    assert "riskflow is already running on" in err
    assert "Traceback" not in out + err


async def test_a_trigger_waits_for_its_rows_and_says_so_with_its_code(up, terminal):
    _, connection = up
    code, out, err = await terminal.run(
        "trigger", "climate", "--wait", "--risk", "drought", "--risk", "urban_flood"
    )
    assert code == 0, err
    assert re.search(r"status\s+completed\n", out)
    rows = await connection.fetch("SELECT risk_type, count(*) FROM probability_results GROUP BY 1 ORDER BY 1")
    assert [tuple(row) for row in rows] == [("drought", 20), ("urban_flood", 20)]
    code, out, _ = await terminal.run("jobs")
    assert code == 0
    assert "20/20" in out


async def test_the_page_is_found_by_the_variables_of_env_and_by_the_address_that_up_prints(up, terminal):
    environment, _ = up
    url, token = environment["RISKFLOW_URL"], environment["RISKFLOW_TOKEN"]
    assert f"Page: {url}/#token={token}" in terminal.said()
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
        async with session.get(f"{url}/api/v1/session") as answer:
            assert (await answer.json())["role"] == "operator"
        async with session.get(
            f"{url}/api/v1/session", headers={"Authorization": "Bearer another"}
        ) as answer:
            assert answer.status == 401


@pytest.mark.usefixtures("up")
async def test_the_doctor_finds_all_that_up_runs(terminal):
    code, out, err = await terminal.run("doctor", "--json")
    assert (code, err) == (0, "")
    found = {each["check"]: each for each in orjson.loads(out)["findings"]}
    assert found["services"]["says"] == "connected: producers, worker, sink, reporter, web"
    running = (
        "riskflow up",
        "database",
        "broker",
        "migrations",
        "topics",
        "services",
        "scheduler",
        "dead letters",
    )
    assert {check: found[check]["state"] for check in running} == dict.fromkeys(running, "ok")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--risk", "flod"], "unknown risk flod; allowed: high_temperature, cold_wave, drought"),
        (["--window", "1990-2020"], "window 1990-2020 has 31 years; allowed are 1 to 30"),
        (["--window", "2020-1991"], "window 2020-1991 ends before it starts"),
        (["--window", "soon"], "write the first and last year as START-END"),
        (["--bbox", "1,2,3,4"], "holds no cell; the grid's 20 cells lie in latitude 33 to 33"),
        (["--bbox", "1,2,3"], "write four numbers"),
        (["--scenario", "ssp999"], "scenario ssp999 has no data; scenarios with data: historical"),
    ],
)
async def test_a_trigger_that_cannot_be_is_refused_before_it_is_sent(up, terminal, arguments, said):
    _, connection = up
    before = await connection.fetchval("SELECT count(*) FROM batch_job_logs")
    code, out, err = await terminal.run("trigger", "probability", *arguments)
    assert (code, out) == (1, "")
    assert said in err
    assert await connection.fetchval("SELECT count(*) FROM batch_job_logs") == before


async def test_explain_keeps_its_contract(up, terminal):
    _, connection = up
    cell = await connection.fetchrow("SELECT latitude, longitude FROM grid_cells ORDER BY 1, 2 LIMIT 1")
    where = ["--lat", str(cell["latitude"]), "--lon", str(cell["longitude"])]
    code, out, err = await terminal.run("explain", *where, "--risk", "drought", "--json")
    assert code == 0, err
    found = orjson.loads(out)
    assert set(found) >= CELL_KEYS
    assert (found["risk_type"], found["scenario"], found["unit"]) == (
        "drought",
        "historical",
        "standard deviations",
    )
    assert found["years"] == list(range(1991, 2021))
    assert len(found["intensity"]) == 30
    assert sum(found["probability"]) == pytest.approx(1, abs=1e-9)
    loss = sum(p * rate for p, rate in zip(found["probability"], found["base_damage_rate"], strict=True))
    assert found["aal"] == pytest.approx(loss, abs=1e-15)
    stored = await connection.fetchval(
        "SELECT aal FROM probability_results WHERE risk_type = 'drought' ORDER BY latitude, longitude LIMIT 1"
    )
    assert found["aal"] == pytest.approx(stored, rel=1e-12)

    code, out, _ = await terminal.run("explain", *where, "--risk", "typhoon", "--json")
    found = orjson.loads(out)
    assert (code, found["aal"], found["reason"]) == (0, None, "no_data: storms")
    code, out, err = await terminal.run("explain", *where, "--risk", "inland_flood")
    assert code == 0, err
    assert "expected annual loss" in out
    code, _, err = await terminal.run("explain", "--lat", "0", "--lon", "0", "--risk", "drought")
    assert (code, "is not a cell of the grid; the nearest are 33, 124" in err) == (1, True)


async def test_any_kafka_client_can_trigger(up):
    environment, connection = up
    producer = AIOKafkaProducer(bootstrap_servers=environment["KAFKA_BOOTSTRAP_SERVERS"])
    await producer.start()
    await producer.send_and_wait("risk.triggers.v1", b'{"job_type": "hazard", "job_id": "by-any-client"}')
    await producer.send_and_wait(
        "risk.triggers.v1", b'{"job_type": "hazard", "risks": ["flod"], "job_id": "bad"}'
    )
    await producer.stop()
    await ended(connection, "by-any-client", "completed")
    await ended(connection, "bad", "failed")
    reason = await connection.fetchval("SELECT error_message FROM batch_job_logs WHERE job_id = 'bad'")
    assert reason.startswith("unknown risk flod; allowed: high_temperature")


async def test_other_systems_trigger_by_request_and_by_notify(up):
    _, connection = up
    job_id = await connection.fetchval("SELECT riskflow.request('probability', '{\"risks\": [\"drought\"]}')")
    await ended(connection, job_id, "completed")
    await connection.execute("NOTIFY aiops_trigger, 'hazard'")
    query = "SELECT job_id FROM batch_job_logs WHERE job_id LIKE 'notify-%' AND job_type = 'hazard'"
    notified = await until(lambda: connection.fetchval(query), "the job of the NOTIFY")
    await ended(connection, notified, "completed")
    await connection.execute("NOTIFY aiops_trigger, 'floods'")
    query = (
        "SELECT error_message FROM batch_job_logs WHERE status = 'failed' AND trigger::text LIKE '%floods%'"
    )
    refused = await until(lambda: connection.fetchval(query), "the refusal of the NOTIFY")
    assert "'probability', 'hazard', 'climate' or 'weekly'" in refused


async def ended(connection, job_id: str, status: str) -> None:
    query = "SELECT status FROM batch_job_logs WHERE job_id = $1 AND completed_at IS NOT NULL"
    assert await until(lambda: connection.fetchval(query, job_id), f"the end of {job_id}") == status


async def test_a_wrong_setting_stops_the_program_with_its_name(terminal):
    code, _, err = await terminal.run("sink", BATCH_SIZE="lots")
    assert (code, "BATCH_SIZE: Input should be a valid integer" in err) == (78, True)


async def test_no_broker_and_no_database_at_start_is_said_and_ends_the_program(terminal):
    nowhere = {
        "DATABASE_URL": "postgresql://u:secret-word@127.0.0.1:9/d",
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
    }
    for service in ("sink", "producers", "reporter", "worker"):
        code, out, err = await terminal.run(service, START_TIMEOUT="1", **nowhere)
        assert code == 1
        assert "does not answer; retrying for 1 s" in err
        assert "Traceback" not in err
        assert "secret-word" not in out + err
    code, _, err = await terminal.run("jobs", **nowhere)
    assert code == 1
    assert "database 127.0.0.1:9/d cannot be used" in err
