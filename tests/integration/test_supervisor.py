"""Services under the supervisor and the whole stack, as real processes that are killed for real."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import stat
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import psutil
import pytest
from waiting import until

from ops.stack.data_dir import locked_data_dir
from ops.stack.registry import recorded_stack
from ops.stack.stack import Hooks, Stack, StackState, running_stack
from ops.stack.supervisor import RestartPolicy, Service, Supervisor
from schemas.errors import RiskflowError

ROOT = Path(__file__).parents[2]
QUICK = RestartPolicy(first=0.1, factor=2.0, cap=0.3, healthy=60.0)
SLEEPER = "import signal; signal.pause()"
STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
while True:
    signal.pause()
"""
# Says in the file it is given when it starts and when it is asked to stop.
TELLER = """
import os, signal, sys
def tell(word):
    with open(sys.argv[1], "a") as events:
        events.write(f"{os.environ['RISKFLOW_INSTANCE']} {word}\\n")
def stop(number, frame):
    tell("stops")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
tell("starts")
while True:
    signal.pause()
"""
# A stack in a process of its own; the argument is its data directory, or nothing for a temporary one.
STACK = """
import asyncio, pathlib, sys
from ops.stack.stack import Hooks, Service, Stack
async def nothing(address):
    pass
async def main():
    sleeper = (sys.executable, "-c", "import signal; signal.pause()")
    services = [Service("worker", sleeper, count=2), Service("sink", sleeper)]
    data_dir = pathlib.Path(sys.argv[1]) if sys.argv[1:] else None
    async with Stack(services, Hooks(nothing, nothing, nothing), data_dir=data_dir) as stack:
        print(stack.data_dir, flush=True)
        return await stack.run_until_signal()
sys.exit(asyncio.run(main()))
"""


def python(code: str, *arguments: object) -> tuple[str, ...]:
    return (sys.executable, "-c", code, *map(str, arguments))


def words(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def data_dir() -> object:
    with locked_data_dir(None) as folder:
        yield folder / "stack"


@pytest.fixture(autouse=True)
def own_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep these stacks out of the place where the user's commands look for theirs."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@contextlib.asynccontextmanager
async def supervised(folder: Path, *services: Service, **options: object) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(services, folder, policy=QUICK, **options)  # type: ignore[arg-type]
    try:
        await supervisor.start()
        yield supervisor
    finally:
        await supervisor.stop()


def test_delay_doubles_up_to_the_cap_and_a_healthy_run_starts_over() -> None:
    policy = RestartPolicy(first=0.5, factor=2.0, cap=3.0, healthy=60.0)
    assert [policy.delay(failures) for failures in (1, 2, 3, 4, 5, 10_000)] == [0.5, 1.0, 2.0, 3.0, 3.0, 3.0]
    assert policy.failures(4, lasted=59.9) == 5
    assert policy.failures(4, lasted=60.0) == 1


async def test_failing_service_is_started_again_with_growing_delays(tmp_path: Path) -> None:
    times = tmp_path / "times"
    code = "import sys, time; open(sys.argv[1], 'a').write(f'{time.time()}\\n'); sys.exit(3)"
    async with supervised(tmp_path, Service("crasher", python(code, times))) as supervisor:
        await until(lambda: len(words(times)) == 4)
        assert supervisor.instances["crasher"].exit_code == 3
    moments = [float(each) for each in words(times)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert all(gap >= least for gap, least in zip(gaps, (0.1, 0.2, 0.3), strict=True))


async def test_service_killed_by_a_signal_is_started_again(tmp_path: Path) -> None:
    async with supervised(tmp_path, Service("worker", python(SLEEPER))) as supervisor:
        first = supervisor.pids()["worker"]
        await supervisor.kill("worker", restart=True)
        await until(lambda: supervisor.pids().get("worker", first) != first)
        assert supervisor.instances["worker"].starts == 2


@pytest.mark.parametrize(("code", "refused"), [(78, ["once"]), (0, [])])
async def test_exit_78_and_a_good_end_are_final(tmp_path: Path, code: int, refused: list[str]) -> None:
    service = Service("once", python(f"import sys; print('because'); sys.exit({code})"))
    async with supervised(tmp_path, service) as supervisor:
        await asyncio.wait_for(supervisor.wait_idle(), 10)
        assert supervisor.instances["once"].starts == 1
        assert await supervisor.wait_exit("once") == code
        assert supervisor.refused() == refused
    assert words(tmp_path / "once.log") == ["because"]


async def test_stop_ends_a_stubborn_service_and_its_whole_group(tmp_path: Path) -> None:
    family = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}])\n" + STUBBORN
    async with supervised(tmp_path, Service("stubborn", python(family)), stop_seconds=0.3) as supervisor:
        await until(lambda: words(tmp_path / "stubborn.log") == ["ready", "ready"])
        parent = psutil.Process(supervisor.pids()["stubborn"])
        members = [parent, *parent.children(recursive=True)]
        assert len(members) == 2
        await supervisor.stop()
        assert await supervisor.wait_exit("stubborn") == -signal.SIGKILL
    assert not psutil.wait_procs(members, timeout=5)[1]


async def test_lines_are_kept_and_forwarded_with_the_instances_name(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []
    code = (
        "import os; print(os.environ['RISKFLOW_INSTANCE'], os.environ['WHERE']); print('no newline', end='')"
    )
    service = Service("worker", python(code), env={"WHERE": "here"}, count=2)
    forward = lambda name, line: seen.append((name, line))  # noqa: E731 - a recorder
    async with supervised(tmp_path, service, forward=forward) as supervisor:
        await supervisor.wait_idle()
    assert sorted(seen) == [
        (name, line) for name in ("worker-1", "worker-2") for line in ("no newline", f"{name} here")
    ]
    assert words(tmp_path / "worker-2.log") == ["worker-2 here", "no newline"]


async def test_unknown_name_is_refused_with_the_names_there_are(tmp_path: Path) -> None:
    async with supervised(tmp_path, Service("worker", python(SLEEPER), count=2)) as supervisor:
        with pytest.raises(ValueError, match="no service or instance wroker; there are worker-1, worker-2"):
            await supervisor.stop("wroker")


def telling_hooks(events: Path) -> Hooks:
    def hook(word: str) -> Callable[[str], object]:
        async def tell(address: str) -> None:
            assert address
            with events.open("a") as file:
                file.write(f"{word}\n")

        return tell

    return Hooks(hook("migrate"), hook("create topics"), hook("mark unsent"))  # type: ignore[arg-type]


async def test_killed_broker_is_replaced_while_its_clients_are_stopped(tmp_path: Path) -> None:
    events = tmp_path / "events"
    services = [
        Service("client", python(TELLER, events)),
        Service("web", python(TELLER, events), depends_on_broker=False),
        Service("idle", python(TELLER, events)),
    ]
    async with Stack(services, telling_hooks(events), start=["client", "web"], policy=QUICK) as stack:
        await until(lambda: {"client starts", "web starts"} <= set(words(events)))
        address, first = stack.broker.address, stack.broker.pid
        await stack.kill("broker")
        await until(lambda: words(events).count("client starts") == 2)
        assert words(events)[:3] == ["migrate", "create topics", "mark unsent"]
        assert words(events)[5:] == ["client stops", "create topics", "mark unsent", "client starts"]
        assert stack.broker.address == address
        assert stack.broker.pid not in (None, first)
        state = running_stack(stack.data_dir)
        assert state is not None
        assert state.processes["broker"].pid == stack.broker.pid
        assert state.processes["client"].pid == stack.supervisor.pids()["client"]
    assert sorted(words(events)[9:]) == ["client stops", "web stops"]


async def test_hook_that_fails_is_tried_again_before_clients_start(tmp_path: Path) -> None:
    events = tmp_path / "events"
    plain = telling_hooks(events)
    failures = iter([None, ConnectionRefusedError("away"), RiskflowError("still away"), None])

    async def unsent(url: str) -> None:
        if failure := next(failures):
            raise failure
        await plain.mark_unreported_unsent(url)

    hooks = Hooks(plain.migrate, plain.create_topics, unsent)
    services = [Service("client", python(TELLER, events))]
    async with Stack(services, hooks, policy=QUICK) as stack:
        await until(lambda: words(events)[-1:] == ["client starts"])
        await stack.kill("broker")
        await until(lambda: words(events).count("client starts") == 2)
    assert words(events)[4:-1] == ["client stops", *["create topics"] * 3, "mark unsent", "client starts"]


async def test_killed_database_comes_back_at_its_address_and_services_stay(tmp_path: Path) -> None:
    services = [Service("sink", python(SLEEPER))]
    async with Stack(services, telling_hooks(tmp_path / "events"), policy=QUICK) as stack:
        url, first, sink = stack.postgres.url, stack.postgres.pid, stack.supervisor.pids()["sink"]
        await stack.kill("postgresql")
        await until(lambda: stack.postgres.pid not in (None, first))
        await stack.postgres.wait_ready()
        connection = await asyncpg.connect(url)
        assert await connection.fetchval("SELECT current_database()") == "riskflow"
        await connection.close()
        assert stack.supervisor.pids()["sink"] == sink


async def test_killed_service_stays_down_until_it_is_started(tmp_path: Path) -> None:
    hooks = telling_hooks(tmp_path / "events")
    async with Stack([Service("worker", python(SLEEPER))], hooks, policy=QUICK, announce=False) as stack:
        first = stack.supervisor.pids()["worker"]
        await stack.kill("worker")
        assert await stack.wait_exit("worker") == -signal.SIGKILL
        assert stack.supervisor.active() == []
        await stack.start("worker")
        assert stack.supervisor.pids()["worker"] != first
        assert running_stack() is None
        folder = stack.data_dir
    assert not folder.exists()


async def test_stack_whose_services_all_refuse_ends_with_78(tmp_path: Path) -> None:
    services = [Service("worker", python("import sys; sys.exit(78)"), count=2)]
    async with Stack(services, telling_hooks(tmp_path / "events"), policy=QUICK) as stack:
        assert await asyncio.wait_for(stack.run_until_signal(), 10) == 78
        assert stack.supervisor.refused() == ["worker-1", "worker-2"]


async def test_second_stack_on_a_data_directory_is_refused(tmp_path: Path, data_dir: Path) -> None:
    hooks = telling_hooks(tmp_path / "events")
    async with Stack([], hooks, data_dir=data_dir):
        with pytest.raises(RiskflowError, match=f"already running on .*stack \\(process {os.getpid()}\\)"):
            await Stack([], hooks, data_dir=data_dir).__aenter__()


async def test_running_stack_tells_how_to_connect_and_is_none_afterwards(
    tmp_path: Path, data_dir: Path
) -> None:
    async with Stack([], telling_hooks(tmp_path / "events"), data_dir=data_dir):
        state = running_stack()
        assert state is not None
        assert state == running_stack(data_dir)
        assert "database_url" not in repr(state)
        assert stat.S_IMODE((data_dir / "stack.json").stat().st_mode) == 0o600
        told = state.environment()
        connection = await asyncpg.connect(
            host=told["DATABASE_HOST"],
            port=int(told["DATABASE_PORT"]),
            user=told["DATABASE_USER"],
            password=told["DATABASE_PASSWORD"],
            database=told["DATABASE_NAME"],
        )
        await connection.close()
    assert running_stack() is None
    assert running_stack(data_dir) is None


def test_state_of_a_process_that_is_gone_is_not_a_running_stack(tmp_path: Path) -> None:
    mark = {"pid": os.getpid(), "started_at": time.time() + 100}
    fields = {
        "data_dir": tmp_path,
        "kafka_bootstrap_servers": "h:1",
        "database_url": "postgresql://u:p@h:1/d",
    }
    state = StackState(supervisor=mark, processes={}, **fields)
    (tmp_path / "stack.json").write_text(state.model_dump_json())
    assert recorded_stack(tmp_path / "stack.json") == state
    assert running_stack(tmp_path) is None


@contextlib.asynccontextmanager
async def own_process(code: str, *arguments: object) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A stack in a process of its own, and the first line that it printed."""
    main = await asyncio.create_subprocess_exec(
        *python(code, *arguments), cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert main.stdout is not None
        line = (await main.stdout.readline()).decode().strip()
        if not line:
            pytest.fail(f"the stack ended before it was up: {(await main.communicate())[1].decode()}")
        yield main, line
    finally:
        if main.returncode is None:
            main.kill()
        await main.communicate()


def family_of(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


async def test_sigterm_stops_everything_and_removes_a_temporary_folder() -> None:
    async with own_process(STACK) as (main, folder):
        family = family_of(main.pid)
        assert len(family) >= 5
        assert "postgres" in {each.name() for each in family}
        main.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(main.wait(), 20) == 0
        assert [each for each in family if each.is_running()] == []
        assert not await asyncio.to_thread(os.path.exists, folder)


async def test_stack_killed_with_9_leaves_no_process_and_clean_data(data_dir: Path, tmp_path: Path) -> None:
    async with own_process(STACK, data_dir) as (main, _):
        family = family_of(main.pid)
        assert len(family) >= 5
        main.kill()
        await main.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, family, 10)
    assert alive == []
    assert words(data_dir / "postgresql" / "postgresql.log")[-1].endswith("database system is shut down")
    assert running_stack(data_dir) is None
    async with Stack([], telling_hooks(tmp_path / "events"), data_dir=data_dir) as stack:
        assert stack.postgres.pid is not None
    assert "not properly shut down" not in (data_dir / "postgresql" / "postgresql.log").read_text()


async def test_signal_during_the_start_stops_what_was_started(data_dir: Path) -> None:
    hook = "async def nothing(address):\n    print('starting', flush=True); await asyncio.sleep(60)"
    code = STACK.replace("async def nothing(address):\n    pass", hook)
    async with own_process(code, data_dir) as (main, line):
        assert line == "starting"
        family = family_of(main.pid)
        assert len(family) >= 2
        main.send_signal(signal.SIGTERM)
        _, errors = await asyncio.wait_for(main.communicate(), 20)
        assert errors.decode().splitlines()[-1] == "ops.stack.stack.Interrupted: stopped by SIGTERM"
        assert [each for each in family if each.is_running()] == []


async def test_second_signal_does_not_wait_for_a_stubborn_service(data_dir: Path) -> None:
    code = STACK.replace('"import signal; signal.pause()"', repr(STUBBORN))
    async with own_process(code, data_dir) as (main, _):
        family = family_of(main.pid)
        logs = [data_dir / "logs" / f"{name}.log" for name in ("worker-1", "worker-2", "sink")]
        await until(lambda: all(words(log) == ["ready"] for log in logs))
        began = time.monotonic()
        # Two numbers, because the system may merge two signals of one.
        main.send_signal(signal.SIGINT)
        main.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(main.wait(), 20) == 0
        assert time.monotonic() - began < 8
        assert [each for each in family if each.is_running()] == []
