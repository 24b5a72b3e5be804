"""What the making of one page may take, so that a template without end fails its tenant alone."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import RiskflowError

RENDER_SECONDS = 20.0
"""Of one page; less than its session may idle. One of 50 000 students took 0.6 (expert assumption)."""
HARD_SECONDS = 10.0
"""Seconds of processor time beyond that, after which the process is ended (expert assumption)."""
RENDER_BYTES = 1 << 29
"""Memory that one page may take beside its data; that of 50 000 students took 3 MB (expert assumption)."""
_AGAIN_SECONDS = 1.0
_USED = Path("/proc/self/statm")


class TooLong(RiskflowError):  # noqa: N818 - named by what is wrong, as all errors here
    """The page was not ready in time."""


@contextmanager
def limited(seconds: float = RENDER_SECONDS) -> Iterator[None]:
    """Bound the time and the memory of a block, which must run in the main thread and await nothing.

    What never comes back from C code (a comparison of deeply nested lists) is ended with its process.
    Memory is bounded on Linux only.

    Raises:
        TooLong: The block took more than `seconds`.
        MemoryError: It asked for more than RENDER_BYTES.
    """

    def ring(number: int, frame: object) -> None:
        del number, frame
        raise TooLong(f"not ready within {seconds:g} s; has it a loop without end?")

    before = signal.signal(signal.SIGALRM, ring)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    try:
        with _bounded_memory():
            # It rings again where the first error was swallowed, as jinja2 does while it compiles.
            signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_SECONDS)
            signal.setitimer(signal.ITIMER_PROF, seconds + HARD_SECONDS)
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _bounded_memory() -> Iterator[None]:
    if not _USED.exists():
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(_USED.read_text("ascii").split()[0]) * resource.getpagesize()
    limit = used + RENDER_BYTES
    resource.setrlimit(
        resource.RLIMIT_AS, (limit if soft == resource.RLIM_INFINITY else min(soft, limit), hard)
    )
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
