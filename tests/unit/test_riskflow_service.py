"""deploy/riskflow-service: what a container does when its service ends."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import orjson

PROGRAM = Path(__file__).parents[2] / "deploy" / "riskflow-service"
SECONDS = 30


async def start(folder: Path, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return await asyncio.create_subprocess_exec(
        "sh",
        str(PROGRAM),
        *arguments,
        env={"PATH": path, "HOME": str(folder), **environment},
        cwd=folder,
        stderr=asyncio.subprocess.PIPE,
    )


async def read_until(process: asyncio.subprocess.Process, words: str) -> str:
    lines = []
    while words not in (line := (await asyncio.wait_for(process.stderr.readline(), SECONDS)).decode()):
        assert line, f"{words!r} did not come: {lines}"
        lines.append(line)
    return line


async def ended(process: asyncio.subprocess.Process) -> int:
    """The exit code, once nothing that it started holds its error stream any more."""
    await asyncio.wait_for(process.stderr.read(), SECONDS)
    return await asyncio.wait_for(process.wait(), SECONDS)


async def test_wrong_settings_keep_the_container_until_it_is_stopped(tmp_path):
    process = await start(tmp_path, "producers", BATCH_SIZE="0")
    last = orjson.loads(await read_until(process, "is not started again"))
    assert (last["service"], last["level"]) == ("producers", "critical")
    assert process.returncode is None
    process.send_signal(signal.SIGTERM)
    assert await ended(process) == os.EX_CONFIG


async def test_another_code_is_the_containers(tmp_path):
    process = await start(tmp_path, "no-such-role")
    assert await ended(process) == 2


async def test_stop_reaches_the_service(tmp_path):
    process = await start(tmp_path, "producers", DATABASE_HOST="127.0.0.1", DATABASE_PORT="1")
    await read_until(process, "does not answer")
    process.send_signal(signal.SIGTERM)
    assert await ended(process) == 0
