"""Daily weather of one scenario made into that of another by delta change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.errors import InvalidFile
from streams.models.inputs import Array

TEMPERATURES = ("tmax", "tmin", "tmean")


@dataclass(frozen=True, slots=True)
class DeltaChange:
    """What is done to every day.

    Attributes:
        source: Scenario that the days are of.
        scenario: Scenario that they become.
        ta: Added to every temperature [degC].
        rn: What precipitation is multiplied by.
    """

    source: str
    scenario: str
    ta: float
    rn: float

    def made(self, values: dict[str, Array], scenarios: Sequence[str | None]) -> list[str]:
        """Change the columns of a block of rows in place; the scenario of each row afterwards.

        Raises:
            InvalidFile: A row is of another scenario than `source`.
        """
        others = sorted({str(name) for name in scenarios if name != self.source})
        if others:
            raise InvalidFile(
                f"the days are of scenario {others[0]}, and {self.scenario} is derived from {self.source}; "
                f"give files of {self.source} only"
            )
        for name in TEMPERATURES:
            if name in values:
                values[name] = values[name] + self.ta
        values["precip"] = values["precip"] * self.rn
        return [self.scenario] * len(scenarios)
