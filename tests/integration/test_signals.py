"""Every service ends with 0 and in time when it is told to, whatever its servers do; and tells no secret."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from service_process import LIMIT_SECONDS, ROOT, ServiceProcess, service
from waiting import until

from ops.stack.servers import EmbeddedBroker, EmbeddedPostgres
from schemas.settings import Settings
from schemas.stop import LEAVE_SECONDS

SERVICES = ("sink", "producers", "reporter", "worker")
BOTH = (signal.SIGTERM, signal.SIGINT)
MARGIN_SECONDS = 6
"""For a loaded machine; alone it takes less than one."""


@contextlib.asynccontextmanager
async def all_services(
    settings: Settings, folder: Path, **environment: str
) -> AsyncIterator[list[ServiceProcess]]:
    async with contextlib.AsyncExitStack() as started:
        yield [
            await started.enter_async_context(service(name, settings, folder, **environment))
            for name in SERVICES
        ]


async def codes(services: list[ServiceProcess], number: signal.Signals) -> dict[str, int]:
    """Exit codes after a signal to all, which must have ended in time."""
    clock = asyncio.get_running_loop().time
    begun = clock()
    ended = await asyncio.gather(*(each.stop(number) for each in services))
    assert clock() - begun < LEAVE_SECONDS + MARGIN_SECONDS
    for each in services:
        assert "Traceback" not in each.text, each.text
    return dict(zip(SERVICES, ended, strict=True))


@contextlib.contextmanager
def frozen(*pids: int):
    """Processes that do nothing for the length of a block."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


WELL = dict.fromkeys(SERVICES, 0)


async def test_services_at_work_whose_broker_falls_silent_end_with_0(
    connection: asyncpg.Connection, settings: Settings, own_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    async with all_services(settings, tmp_path) as services:
        await asyncio.gather(*(each.ready() for each in services))
        await connection.execute("SELECT riskflow.request('climate')")
        with frozen(own_broker.pid):
            assert await codes(services, signal.SIGTERM) == WELL


async def test_services_with_a_silent_database_end_with_0(
    connection: asyncpg.Connection, settings: Settings, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    async with all_services(settings, tmp_path) as services:
        await asyncio.gather(*(each.ready() for each in services))
        backends = await connection.fetch(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND application_name LIKE 'riskflow%'"
        )
        assert len(backends) >= len(SERVICES)
        with frozen(postgres.pid, *(row["pid"] for row in backends)):
            # One that starts now is accepted by the kernel and answered by nobody.
            async with service("sink", settings, tmp_path) as late:
                await late.until(lambda report: report["state"] == "waiting")
                ended = await asyncio.gather(codes(services, signal.SIGINT), late.stop())
    assert ended == [WELL, 0]


async def test_services_whose_servers_are_away_end_with_0(settings: Settings, tmp_path: Path) -> None:
    nowhere = {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "START_TIMEOUT": "60",
    }
    async with all_services(settings, tmp_path, **nowhere) as services:
        await asyncio.gather(
            *(
                each.until(
                    lambda report: any("database" in (loop["waits_for"] or "") for loop in report["loops"])
                )
                for each in services
            )
        )
        assert await codes(services, signal.SIGTERM) == WELL


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the moment is read from Linux's /proc")
@pytest.mark.parametrize("command", [*SERVICES, "up"])
@pytest.mark.parametrize("number", BOTH)
async def test_a_signal_while_the_program_is_loaded_is_a_plain_end(
    command: str, number: signal.Signals, tmp_path: Path
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops.entry", command),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "START_TIMEOUT": "1"},
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    status = Path(f"/proc/{process.pid}/status")

    async def heeds() -> bool:
        lines = await asyncio.to_thread(status.read_text)
        caught = next(line for line in lines.splitlines() if line.startswith("SigCgt"))
        return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)

    await until(heeds, "a handler", LIMIT_SECONDS)
    process.send_signal(number)
    output, _ = await asyncio.wait_for(process.communicate(), LIMIT_SECONDS)
    assert (process.returncode, output) == (0, b"")


SECRETS = {
    "DATABASE_URL": "hush-database",
    "KAFKA_SASL_PASSWORD": "hush-broker",
    "SMTP_PASSWORD": "hush-mail",
    "SEOUL_SLACK_WEBHOOK": "https://hooks.slack.example/services/hush-hook",
}


async def test_no_line_of_a_service_with_wrong_passwords_tells_a_secret(
    settings: Settings, tmp_path: Path
) -> None:
    login, _, place = settings.dsn.rpartition("@")
    wrong_database = {"DATABASE_URL": f"{login.rpartition(':')[0]}:{SECRETS['DATABASE_URL']}@{place}"}
    sasl = {
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_MECHANISM": "PLAIN",
        "KAFKA_SASL_USERNAME": "somebody",
    }
    mail = {"SMTP_HOST": "127.0.0.1", "SMTP_USER": "somebody", "SMTP_FROM": "riskflow@example.org"}
    shared = {name: secret for name, secret in SECRETS.items() if name != "DATABASE_URL"} | mail | sasl
    # With the right database it is the broker that lets nobody in.
    wrongs = dict(zip(SERVICES, (wrong_database, {}, {}, wrong_database), strict=True))
    forms = dict(zip(SERVICES, ("json", "human", "json", "human"), strict=True))
    async with contextlib.AsyncExitStack() as started:
        for name, wrong in wrongs.items():
            environment = (
                shared | wrong | {"LOG_LEVEL": "DEBUG", "LOG_FORMAT": forms[name], "START_TIMEOUT": "2"}
            )
            each = await started.enter_async_context(service(name, settings, tmp_path, **environment))
            assert await each.ended() == 1, each.text
            assert ("refuses the connection" if wrong is wrong_database else "log in by PLAIN") in each.text
            assert "hush" not in each.text
            assert forms[name] == "human" or all(json.loads(line)["event"] for line in each.text.splitlines())
