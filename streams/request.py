"""What a bulk read is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streams.models.inputs import HISTORICAL, Years

ASKED = "unnest($1::float8[], $2::float8[]) WITH ORDINALITY AS asked (latitude, longitude, place)"
"""The cells of a request in SQL, from the parameters $1 and $2; places count from 1."""

SAME_CELL = "(round(asked.latitude::numeric, 6), round(asked.longitude::numeric, 6))"
"""Key of an asked cell: the tables keep six decimals."""


@dataclass(frozen=True, slots=True)
class Request:
    """Which cells to read, for which job."""

    cells: Sequence[tuple[float, float]]
    scenario: str
    window: Years
    baseline: Years
    groups: frozenset[str]

    @property
    def coordinates(self) -> tuple[list[float], list[float]]:
        """Latitudes and longitudes [degrees], as the statements take them."""
        return [latitude for latitude, _ in self.cells], [longitude for _, longitude in self.cells]

    @property
    def scenarios(self) -> list[str]:
        """The stored scenarios that the series are made of."""
        return sorted({HISTORICAL, self.scenario})

    @property
    def whole_span(self) -> Years:
        """From the first to the last year that window or baseline covers."""
        return Years(
            min(self.window.start, self.baseline.start),
            max(self.window.end, self.baseline.end),
        )
