"""Measuring two sides in alternation, so that a change of the machine's mood meets both."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Side = Callable[[], Awaitable[float]]
"""Measures once and gives the value of this round."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: the real thing, or a smoke run that only shows that it works.

    `rounds` are counted, `warm_up` come before them and are thrown away.
    """

    smoke: bool = False
    rounds: int = 5
    warm_up: int = 1

    def of(self, real: int, smoke: int) -> int:
        """A count of cells, students or messages."""
        return smoke if self.smoke else real


async def alternate(size: Size, *sides: Side) -> list[list[float]]:
    """One list of values per side: a, b, then a, b again, without the warm-up."""
    found: list[list[float]] = [[] for _ in sides]
    for number in range(size.warm_up + size.rounds):
        for values, side in zip(found, sides, strict=True):
            value = await side()
            if number >= size.warm_up:
                values.append(value)
    return found


def timed(work: Callable[[], object]) -> Side:
    """A side that is a plain function; its value is the seconds it takes."""

    async def side() -> float:
        begun = time.perf_counter()
        work()
        return time.perf_counter() - begun

    return side


def per_cell(compute: Callable[[], object], cells: int) -> Side:
    """A side whose value is the milliseconds that each of so many cells takes."""
    whole = timed(compute)

    async def side() -> float:
        return 1000 * await whole() / cells

    return side
