"""Where a server that we start listens, and when it answers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
from collections.abc import Awaitable, Callable

import asyncpg
from aiokafka.errors import KafkaError
from tenacity import AsyncRetrying, retry_if_exception_type, wait_fixed

from ops.stack.child import Child
from schemas.errors import RiskflowError, Unavailable

HOST = "127.0.0.1"
# Below the ranges for outgoing connections (Linux from 32768, macOS from 49152): a client that tries a dead
# server again and again inside that range may end up connected to itself and so take the port.
PORTS = range(20_000, 32_000)
PORT_TRIES = 50
RETRY_SECONDS = 0.05  # between two looks at a server that is starting (expert assumption)
# The library paths are for the launcher: a Python may need them to start at all.
PASSED_ON = ("PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
NOT_YET = (OSError, KafkaError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError)


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens."""
    for port in random.sample(PORTS, PORT_TRIES):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise RiskflowError(f"no free port among {PORT_TRIES} tried in {PORTS.start}-{PORTS.stop - 1} of {HOST}")


def plain_environment() -> dict[str, str]:
    """What a server needs of our environment; secrets and settings meant for other servers stay out."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}


async def wait_answer(child: Child, probe: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Return when `probe` ends without an error of a server that is not ready yet.

    Raises:
        Unavailable: the process ended, or `seconds` are over; with the last lines of its log.
    """
    answering = asyncio.create_task(_repeat(probe))
    ending = asyncio.create_task(child.wait())
    try:
        await asyncio.wait({answering, ending}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            return answering.result()
        how = (
            f"ended with code {ending.result()}" if ending.done() else f"did not answer within {seconds:g} s"
        )
        raise Unavailable(
            f"{child.command.name} {how}; the end of {child.command.log}:\n{child.last_lines()}"
        )
    finally:
        for task in (answering, ending):
            task.cancel()
        await asyncio.wait({answering, ending})


async def _repeat(probe: Callable[[], Awaitable[None]]) -> None:
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(NOT_YET), wait=wait_fixed(RETRY_SECONDS)
    ):
        with attempt:
            await probe()
