"""Every check ends: what hangs is left behind, and said."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from ops.doctor.finding import Finding, not_checked
from schemas.errors import RiskflowError

T = TypeVar("T")

LIMIT = 5.0
"""Seconds that a check may take (expert assumption)."""
FILE_REMEDY = "look at the file system and the rights of this user"


async def bounded(check: str, work: Awaitable[Sequence[Finding]]) -> list[Finding]:
    """What the work finds within LIMIT; what keeps it from finding anything is a finding too."""
    try:
        async with asyncio.timeout(LIMIT):
            return list(await work)
    except TimeoutError:
        return [
            not_checked(check, f"took longer than {LIMIT:g} s", "try again when the machine is less busy")
        ]
    except OSError as error:
        return [not_checked(check, f"cannot be looked at: {error}", FILE_REMEDY)]
    except RiskflowError as error:
        return [not_checked(check, one_line(error), "mend what it says, then try again")]


async def in_thread(work: Callable[[], T]) -> T:
    """The work's result, from a thread that does not hold the process up when it never ends."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(result)  # type: ignore[arg-type]  # None only where T has it
        else:
            done.set_exception(error)

    def run() -> None:
        result, fault = None, None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - handed on to whoever waits
            fault = error
        # Who waited has gone, and the loop with it.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, fault)

    threading.Thread(target=run, name="doctor", daemon=True).start()
    return await done


async def unknown_host(host: str) -> str | None:
    """Why the host has no address, None where it has one.

    Asked before a client asks, whose own look-up would hold the process up at its end.
    """
    try:
        async with asyncio.timeout(LIMIT):
            await in_thread(lambda: socket.getaddrinfo(host, None))
    except TimeoutError:
        return f"the host name {host} was not resolved within {LIMIT:g} s"
    except (OSError, UnicodeError) as error:
        return f"the host name {host} cannot be resolved: {getattr(error, 'strerror', None) or error}"
    return None


def one_line(error: Exception) -> str:
    """An error's sentence in one line."""
    return "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
