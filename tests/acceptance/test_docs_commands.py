"""What the documentation tells a reader to type works: run, or parsed where it says why it is not run."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
import socket
import sys
from collections import Counter
from pathlib import Path

import asyncpg
import pytest
import typer.main
from documented import OTHER, SHELL, blocks
from waiting import until

from ops.cli import app
from schemas.settings import Settings

ROOT = Path(__file__).parents[2]
ALL = blocks(ROOT)
BLOCK_SECONDS = 240
RUN_SHELL = [block for block in ALL if block.language in SHELL and block.is_run]
RUN_SQL = [block for block in ALL if block.language == "sql" and block.is_run]
PYTHON = [block for block in ALL if block.language == "python"]
CONFIG = [block for block in ALL if block.language == "ini"]
PARSED = [(block, words) for block in ALL for words in block.commands()]


NAMED = r"`riskflow (?!is )([a-z]+(?: [a-z]+)?)\b[^`]*`"
"""A command within a sentence; "riskflow is up" is none."""
WEBHOOK = "_SLACK_WEBHOOK"
"""End of the variables that a tenants.yaml names, in all examples."""


def places(found):
    return [block.place for block in found]


def free_port() -> int:
    """The first of the health pages' ports, which `riskflow health` asks."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Reader:
    """Somebody who reads the documentation at the top of the clone, in a shell of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "clone"
        self.folder.mkdir()
        for name in ("docs", "examples", "deploy", "producers", ".env.example"):
            (self.folder / name).symlink_to(ROOT / name)
        names = {name.upper() for name in Settings.model_fields}
        self.env = {name: value for name, value in os.environ.items() if name not in names}
        self.env |= {
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
            "COLUMNS": "200",
            "PARALLEL_WORKERS": "1",
            "TENANTS_FILE": "docs/samples/tenants.yaml",
            "HEALTH_PORT": str(free_port()),
        }
        self.env |= {f"{name}_SCHEDULE_ENABLED": "false" for name in ("PROBABILITY", "HAZARD", "WEEKLY")}
        self.log = folder / "up.log"

    async def start(self, *command: str) -> asyncio.subprocess.Process:
        with self.log.open("wb") as log:
            return await asyncio.create_subprocess_exec(
                *command, cwd=self.folder, env=self.env, stdout=log, stderr=log
            )

    async def type(self, script: str, *, seconds: float = BLOCK_SECONDS, **env: str) -> str:
        """What a script prints; it must end with 0 in time, every command of it."""
        process = await asyncio.create_subprocess_exec(
            *("bash", "-euo", "pipefail", "-c", script),
            cwd=self.folder,
            env=self.env | env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            out, _ = await asyncio.wait_for(process.communicate(), seconds)
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail(f"not ended after {seconds} s:\n{script}")
        assert process.returncode == 0, f"exit code {process.returncode} of:\n{script}\n{out.decode()}"
        return out.decode()


@pytest.fixture(scope="module")
async def reader(server_home):
    """The reader beside a running `riskflow up --data-dir data`, as the tutorial has it."""
    folder = server_home / "reader"
    folder.mkdir(mode=0o755)
    reader = Reader(folder)
    process = await reader.start(sys.executable, "-m", "ops.entry", "up", "--data-dir", "data")

    async def is_up():
        assert process.returncode is None, reader.log.read_text()
        return "riskflow is up" in reader.log.read_text()

    try:
        await until(is_up, "up")
        yield reader
    finally:
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 60) == 0, reader.log.read_text()


@pytest.fixture(scope="module")
async def addresses(reader) -> dict[str, str]:
    """What `riskflow env` says."""
    out = await reader.type("riskflow env")
    pairs = (shlex.split(line.removeprefix("export "))[0].split("=", 1) for line in out.splitlines())
    return dict(pairs)


def test_every_block_says_its_language_and_what_is_not_run_says_why():
    assert len(RUN_SHELL) > 15
    for block in ALL:
        assert block.language in SHELL | OTHER, f"{block.place}: {block.language or 'no language'}"
        if not block.is_run:
            assert block.reason, f"{block.place}: <!-- not run: REASON -->"


@pytest.mark.parametrize("block", RUN_SHELL, ids=places(RUN_SHELL))
async def test_a_block_of_commands_runs(reader, block):
    await reader.type(block.text)


@pytest.mark.parametrize("block", RUN_SQL, ids=places(RUN_SQL))
async def test_a_block_of_sql_runs(addresses, block):
    connection = await asyncpg.connect(addresses["DATABASE_URL"])
    transaction = connection.transaction()
    await transaction.start()
    try:
        await asyncio.wait_for(connection.execute(block.text), BLOCK_SECONDS)
    finally:
        await transaction.rollback()
        await connection.close()


@pytest.mark.parametrize("block", PYTHON, ids=places(PYTHON))
async def test_a_block_of_python_compiles_and_runs_where_it_says_so(reader, addresses, block):
    compile(block.text, block.place, "exec")
    if block.said == "run":
        await reader.type(f"exec python - <<'END'\n{block.text}\nEND", **addresses)


@pytest.mark.parametrize(("block", "words"), PARSED, ids=[f"{one.place} {' '.join(w)}" for one, w in PARSED])
def test_a_command_exists_with_these_arguments(block, words):
    del block
    command = typer.main.get_command(app)
    context = command.make_context("riskflow", [*words] or ["--help"], resilient_parsing=not words)
    while words and (children := getattr(command, "commands", None)) and context._protected_args:
        name, *rest = [*context._protected_args, *context.args]
        command = children[name]
        context = command.make_context(name, rest, parent=context)


@pytest.mark.parametrize("block", CONFIG, ids=places(CONFIG))
def test_a_block_of_settings_names_settings(block):
    for line in block.text.splitlines():
        name, equals, _ = line.partition("=")
        assert equals, line
        assert name.lower() in Settings.model_fields or name.endswith(WEBHOOK), name


def test_a_command_that_a_sentence_names_exists():
    known = typer.main.get_command(app).commands
    named = {
        tuple(found.split())
        for page in {block.place.split(":")[0] for block in ALL}
        for found in re.findall(NAMED, (ROOT / page).read_text("utf-8"))
    }
    assert len(named) > 15
    for first, *second in named:
        assert first in known, first
        children = getattr(known[first], "commands", None)
        assert not (children and second) or second[0] in children, f"{first} {second}"


def test_what_was_run_and_what_was_not_is_said(capsys):
    shell = [block for block in ALL if block.language in SHELL]
    reasons = Counter(block.reason for block in shell if not block.is_run)
    of_run = sum(len(list(block.commands())) for block in RUN_SHELL)
    said = [
        f"riskflow commands in the documentation: {of_run} run, {len(PARSED) - of_run} parsed only",
        f"blocks of commands: {len(RUN_SHELL)} run, {sum(reasons.values())} not, because",
        *(f"  {reason} ({count})" for reason, count in reasons.most_common()),
        f"blocks of SQL: {len(RUN_SQL)} run and rolled back; of Python: {len(PYTHON)} compiled",
    ]
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(said) + "\n")
    assert of_run > 20
