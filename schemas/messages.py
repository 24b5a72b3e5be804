"""The messages: one pydantic model per topic, which is its schema.

Triggers come from people, so a misspelt field must not pass; the other models ignore fields that
they do not know, so that an older reader survives a newer writer.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

JobType = Literal["probability", "hazard", "climate", "weekly"]
Kind = Literal["probability", "hazard"]
JobStatus = Literal["pending", "running", "completed", "completed_with_failures", "failed", "cancelled"]
EventState = Literal[
    "accepted",
    "refused",
    "progress",
    "tenant_stored",
    "completed",
    "completed_with_failures",
    "failed",
    "cancelled",
]
HazardLevel = Literal["Very Low", "Low", "Medium", "High", "Very High"]

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:+@-]{0,199}$")]
Year = Annotated[int, Field(ge=1800, le=2300)]
Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=360)]
Cell = tuple[Latitude, Longitude]
Share = Annotated[float, Field(ge=0, le=1)]

KINDS_OF: dict[str, tuple[Kind, ...]] = {
    "probability": ("probability",),
    "hazard": ("hazard",),
    "climate": ("probability", "hazard"),
}
"""Result kinds that a climate job type asks for."""

MAX_WINDOW_YEARS = 30
"""A longer window would pool a trend (METHODS, section 1)."""
BY_SCHEDULE = "schedule"
"""requested_by of a trigger that a schedule fired."""


def now() -> datetime:
    """Present moment in UTC."""
    return datetime.now(UTC)


class Message(BaseModel):
    """Base of what riskflow says to itself: unknown fields are ignored, NaN is refused."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class Window(Message):
    """Inclusive years that a job covers, at most MAX_WINDOW_YEARS."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: Year
    end: Year

    @model_validator(mode="after")
    def _ordered_and_short(self) -> Self:
        if self.end < self.start:
            raise ValueError(f"window {self.start}-{self.end} ends before it starts; write START-END")
        if self.end - self.start + 1 > MAX_WINDOW_YEARS:
            years = self.end - self.start + 1
            raise ValueError(
                f"window {self.start}-{self.end} has {years} years; allowed are 1 to {MAX_WINDOW_YEARS}"
            )
        return self


class Bbox(Message):
    """Part of the grid, edges included, in degrees."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_latitude: Latitude
    min_longitude: Longitude
    max_latitude: Latitude
    max_longitude: Longitude

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.max_latitude < self.min_latitude or self.max_longitude < self.min_longitude:
            raise ValueError("bbox: the minimum of latitude and longitude must not exceed the maximum")
        return self


class Trigger(Message):
    """Asks for one job. What is left out comes from the settings of the acceptor."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    job_type: JobType
    job_id: Identifier | None = None
    scenario: Name | None = None
    window: Window | None = None
    risks: Annotated[list[Name], Field(min_length=1)] | None = None
    bbox: Bbox | None = None
    uncertainty: bool = False
    tenants: Annotated[list[Identifier], Field(min_length=1)] | None = None
    report_date: date | None = None
    requested_by: Name | None = None


class GridChunk(Message):
    """Cells to compute for a job, by coordinate (claim check: the data stay in PostgreSQL)."""

    job_id: Identifier
    job_seq: int
    chunk_id: str
    chunk: Annotated[int, Field(ge=1)]
    chunks: Annotated[int, Field(ge=1)]
    kinds: Annotated[list[Kind], Field(min_length=1)]
    risks: Annotated[list[str], Field(min_length=1)]
    scenario: str
    window: Window
    baseline: Window
    uncertainty: bool = False
    cells: Annotated[list[Cell], Field(min_length=1)]


class ProbabilityColumns(Message):
    """One risk of a chunk, a value per cell; a cell has a probability, a reason or a failure.

    `edges` are shared by all cells, `cell_edges` are given where each cell has its own
    (inland and urban flood).
    """

    risk_type: str
    unit: str
    edges: list[float] | None = None
    cell_edges: list[list[float] | None] | None = None
    base_damage_rate: list[Share]
    probability: list[list[Share] | None]
    aal: list[Share | None]
    aal_p05: list[Share | None] | None = None
    aal_p95: list[Share | None] | None = None
    reason: list[str | None]
    basis: list[str | None]
    failure: list[str | None]


class HazardColumns(Message):
    """One risk of a chunk, a value per cell; a cell has a score, a reason or a failure."""

    risk_type: str
    hazard_score: list[Share | None]
    hazard_level: list[HazardLevel | None]
    reason: list[str | None]
    basis: list[str | None]
    failure: list[str | None]


class _Result(Message):
    """What every result of a chunk says; `failure` is set when the chunk failed as a whole."""

    job_id: Identifier
    job_seq: int
    chunk_id: str
    chunk: Annotated[int, Field(ge=1)]
    scenario: str
    window: Window
    cells: list[Cell]
    risk_table: str
    calculated_at: datetime = Field(default_factory=now)
    failure: str | None = None

    def _check_lengths(self, columns: list[tuple[str, list[object] | None]], risk_type: str) -> None:
        for name, column in columns:
            if column is not None and len(column) != len(self.cells):
                raise ValueError(f"{risk_type}.{name} has {len(column)} values for {len(self.cells)} cells")


class ProbabilityResult(_Result):
    """Bin probabilities, damage rates and expected annual loss of a chunk, all its risks."""

    kind: Literal["probability"] = "probability"
    risks: list[ProbabilityColumns]

    @model_validator(mode="after")
    def _one_value_per_cell(self) -> Self:
        for risk in self.risks:
            names = ("cell_edges", "probability", "aal", "aal_p05", "aal_p95", "reason", "basis", "failure")
            self._check_lengths([(name, getattr(risk, name)) for name in names], risk.risk_type)
        return self


class HazardResult(_Result):
    """Hazard scores and levels of a chunk, all its risks."""

    kind: Literal["hazard"] = "hazard"
    risks: list[HazardColumns]

    @model_validator(mode="after")
    def _one_value_per_cell(self) -> Self:
        for risk in self.risks:
            names = ("hazard_score", "hazard_level", "reason", "basis", "failure")
            self._check_lengths([(name, getattr(risk, name)) for name in names], risk.risk_type)
        return self


class RiskProgress(Message):
    """Cells of one risk that have reported, of all kinds of the job."""

    reported: int = 0
    without_number: int = 0
    failed: int = 0


class JobEvent(Message):
    """What became of a job. Counters are totals, so that a repeated event changes nothing."""

    job_id: Identifier
    job_type: str
    state: EventState
    total_grids: int = 0
    processed_grids: int = 0
    failed_grids: int = 0
    risks: dict[str, RiskProgress] = Field(default_factory=dict)
    org_id: str | None = None
    message: str | None = None
    at: datetime = Field(default_factory=now)
