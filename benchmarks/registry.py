"""The benchmarks by name, in the order in which they run."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Awaitable, Callable

from benchmarks.outcome import Outcome
from benchmarks.rounds import Size

Benchmark = Callable[[Size], Awaitable[list[Outcome]]]

MODULES = {
    "job-annual": "whole_job:annual",
    "job-daily": "whole_job:daily",
    "limit": "limit:limit",
    "sink": "sink:sink",
    "read": "read:read",
    "spei": "spei:spei12",
    "fwi": "fwi:fwi",
    "scaling": "scaling:scaling",
    "growth": "growth:growth",
    "latency": "latency:latency",
    "students": "students:students",
    "reports": "reports:reports",
    "partitions": "partitions:partitions",
}
"""Module and function of each."""

ON_REQUEST = {"partitions"}
"""Those that run only where they are named: 50 million rows take 20 minutes and 32 GB of disk."""
BY_DEFAULT = [name for name in MODULES if name not in ON_REQUEST]


def benchmark(name: str) -> Benchmark:
    """The function; imported here, so that one benchmark does not need the peers of another.

    Raises:
        KeyError: There is no such benchmark.
    """
    module, _, function = MODULES[name].partition(":")
    found: Benchmark = getattr(importlib.import_module(f"benchmarks.{module}"), function)
    return found


async def performed(names: list[str], size: Size, say: Callable[[str], None]) -> AsyncIterator[Outcome]:
    """The outcomes of the named, as they come."""
    for name in names:
        say(name)
        for outcome in await benchmark(name)(size):
            yield outcome
