"""A side that is a program of its own, started before the clock: it answers each line of JSON with one."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from schemas.errors import RiskflowError
from streams.worker import THREAD_LIMITS

ROOT = Path(__file__).parents[1]


class Program:
    """A running module of this package."""

    def __init__(self, module: str, process: asyncio.subprocess.Process) -> None:
        self._module = module
        self._process = process

    async def ask(self, question: object) -> Any:
        """Its answer to one line.

        Raises:
            RiskflowError: It ended; what it said of that is on standard error.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("a program is started with both its ends")
        stdin.write(orjson.dumps(question) + b"\n")
        answer = await stdout.readline()
        if not answer:
            raise RiskflowError(f"{self._module} ended with {await self._process.wait()} before it answered")
        return orjson.loads(answer)


@asynccontextmanager
async def program(module: str) -> AsyncIterator[Program]:
    """A module of this package as a program, ended with the block.

    It computes in one thread, as riskflow's workers do: both sides are scaled by processes.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | dict.fromkeys(THREAD_LIMITS, "1"),
        cwd=ROOT,
    )
    try:
        yield Program(module, process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
