"""What a benchmark found: two sides measured in alternation, their ratio and its goal."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

Sense = Literal[">=", "<="]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One row of the table.

    `a` and `b` hold one value per round, in `unit`; `b` is empty where the goal is a bound and no other
    side was measured. `ratio` is a pure number: the caller says of what, in `compares`.
    """

    name: str
    compares: str
    unit: str
    a: tuple[float, ...]
    b: tuple[float, ...]
    ratio: float
    goal: float
    sense: Sense = ">="
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether the ratio reaches its goal; a NaN never does."""
        return self.ratio >= self.goal if self.sense == ">=" else self.ratio <= self.goal

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "compares": self.compares,
            "ratio": self.ratio,
            "goal": self.goal,
            "sense": self.sense,
            "passed": self.passed,
            "unit": self.unit,
            "median_a": median(self.a),
            "median_b": median(self.b) if self.b else None,
            "a": list(self.a),
            "b": list(self.b),
            "note": self.note,
        }


def speeds(  # noqa: PLR0913 - a row of the table
    name: str,
    compares: str,
    unit: str,
    a: list[float],
    b: list[float],
    goal: float,
    note: str = "",
) -> Outcome:
    """Of two speeds, more being better: median of `a` over median of `b`."""
    return Outcome(name, compares, unit, tuple(a), tuple(b), median(a) / median(b), goal, note=note)


def times(  # noqa: PLR0913 - a row of the table
    name: str,
    compares: str,
    unit: str,
    a: list[float],
    b: list[float],
    goal: float,
    note: str = "",
) -> Outcome:
    """Of two times, less being better: median of `b` over median of `a`, so how many times faster a is."""
    return Outcome(name, compares, unit, tuple(a), tuple(b), median(b) / median(a), goal, note=note)
