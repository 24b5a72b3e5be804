"""Waiting for what has no event: a process, a file, a row that another process writes."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

POLL_SECONDS = 0.02
LIMIT_SECONDS = 60.0


async def until(
    condition: Callable[[], Any], what: str = "the condition", limit: float = LIMIT_SECONDS
) -> Any:
    """What a condition gives, once that is true; it may be awaitable.

    Raises:
        AssertionError: It did not become true within `limit` seconds; names `what`.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + limit
    while not (found := await _given(condition)):
        assert clock() < deadline, f"{what} did not come within {limit:g} s"
        await asyncio.sleep(POLL_SECONDS)
    return found


async def _given(condition: Callable[[], Any]) -> Any:
    given = condition()
    return await given if inspect.isawaitable(given) else given
