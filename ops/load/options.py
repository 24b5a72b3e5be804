"""What a load is asked to do and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ops.load.change import DeltaChange
from streams.models.inputs import Years

Progress = Callable[[str, float], None]
"""Called with what is being done ("reading stations.csv") and the share of it that is done, 0-1."""


def silent(_phase: str, _share: float) -> None:
    """A progress that nobody watches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """Choices of `riskflow load`.

    Attributes:
        baseline: Years of the thresholds TX90 and TN10.
        bad_values: "refuse" the file, or take impossible values as "missing" and list them.
        bad_values_file: Where they are listed; by default `<first file>.bad-values.csv`,
            in the working folder.
        ibtracs: Storms come from an IBTrACS file; whose winds are read.
        scenario: Scenario of NetCDF files; by default their own attribute.
        timezone: Time zone of times of assessments and items that carry no offset; None refuses them.
        change: Daily weather is changed by this and stored under its scenario.
        progress: Told how far the load is.
    """

    baseline: Years
    bad_values: Literal["refuse", "missing"] = "refuse"
    bad_values_file: Path | None = None
    ibtracs: Literal["wmo", "jtwc"] | None = None
    scenario: str | None = None
    timezone: str | None = None
    change: DeltaChange | None = None
    progress: Progress = silent


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a load stored.

    Attributes:
        table: As the user named it.
        files: Names of the files.
        read: Rows of the files, or values along the time axis for NetCDF.
        rows: Rows that the files gave, by the table they are stored in.
        changed: How many of these are new or differ from what was stored.
        cells: Grid cells of the files.
        years: First and last year of the files' climate, None where there are no years.
        duplicates: Rows that repeat another row exactly, each counted once.
        bad_values: Impossible values taken as missing.
        bad_values_file: The list of them, None where there are none.
        warnings: Sentences about what the user may not expect.
    """

    table: str
    files: tuple[str, ...]
    read: int
    rows: Mapping[str, int]
    changed: Mapping[str, int]
    cells: int = 0
    years: Years | None = None
    duplicates: int = 0
    bad_values: int = 0
    bad_values_file: Path | None = None
    warnings: tuple[str, ...] = field(default=())

    @property
    def sentence(self) -> str:
        """What was stored, for people."""
        stored = ", ".join(f"{count:,} rows of {table}" for table, count in self.rows.items())
        parts = [f"{', '.join(self.files)}: {self.read:,} rows read; {stored}"]
        if self.cells:
            parts.append(f"{self.cells:,} cells")
        if self.years is not None:
            parts.append(f"{self.years.start}-{self.years.end}")
        changed = sum(self.changed.values())
        whole = changed == sum(self.rows[table] for table in self.changed)
        parts.append("all new or changed" if whole else f"{changed:,} of them new or changed")
        if self.duplicates:
            parts.append(f"{self.duplicates:,} repeated rows counted once")
        if self.bad_values:
            parts.append(
                f"{self.bad_values:,} impossible values taken as missing, listed in {self.bad_values_file}"
            )
        return "; ".join(parts)
