"""The list of faults: each module of faults adds its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faults.run import Run

BROKERS = ("kafka", "embedded")
LIMIT = 600.0
"""Seconds after which a fault's run counts as hanging."""
PACE = 0.25
"""Seconds that a chunk takes beyond its computing, so that a job lasts long enough to be disturbed."""

Act = Callable[["Run"], Awaitable[None]]
"""Starts the services, triggers jobs, disturbs them, and returns when all have ended."""


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    Args:
        name: What ONLY takes.
        title: What the table shows.
        act: What happens.
        brokers: Brokers that it applies to.
        pace: Seconds that each chunk takes beyond its computing.
        points: Added to RISKFLOW_FAULT of every service (schemas.fault_points).
        settings: Settings other than the suite's.
        under_up: Whether broker, database and services are those of `riskflow up`.
        limit: Seconds that it may take.
    """

    name: str
    title: str
    act: Act
    brokers: tuple[str, ...] = BROKERS
    pace: float = PACE
    points: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    under_up: bool = False
    limit: float = LIMIT


FAULTS: dict[str, Fault] = {}


def fault(name: str, title: str, **choices: Any) -> Callable[[Act], Act]:
    """Put a function into the list of faults, in the order of definition."""

    def add(act: Act) -> Act:
        assert name not in FAULTS, f"two faults are called {name}"
        FAULTS[name] = Fault(name, title, act, **choices)
        return act

    return add
