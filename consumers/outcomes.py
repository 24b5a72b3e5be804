"""What a result says about its chunk: which cells failed, and the counters per risk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.errors import InvalidMessage
from schemas.messages import HazardColumns, HazardResult, Kind, ProbabilityColumns, ProbabilityResult

Result = ProbabilityResult | HazardResult
Columns = ProbabilityColumns | HazardColumns


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk as the ledger holds it."""

    chunk_id: str
    job_id: str
    job_seq: int
    chunk: int
    cells: int
    kinds: Sequence[str]
    risks: Sequence[str]


@dataclass(frozen=True, slots=True)
class RiskCount:
    """Cells of one risk in one result."""

    risk_type: str
    reported: int
    without_number: int
    failed: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one kind of one chunk; `failed_cells` are places from 0."""

    job_id: str
    chunk: int
    kind: Kind
    failed_cells: tuple[int, ...]
    error: str | None
    counts: tuple[RiskCount, ...]

    @property
    def key(self) -> tuple[str, int, str]:
        """What makes it one."""
        return self.job_id, self.chunk, self.kind


def of_result(chunk: Chunk, result: Result) -> Outcome:
    """Outcome of a result that belongs to `chunk`.

    Raises:
        InvalidMessage: The result does not fit the chunk that was asked for.
    """
    if result.failure is not None:
        return of_failure(chunk, result.kind, result.failure)
    _check_fits(chunk, result)
    counts = []
    failed: dict[int, str] = {}
    for risk in result.risks:
        columns: Columns = risk
        faults = {i: text for i, text in enumerate(columns.failure) if text is not None}
        without = sum(
            reason is not None and failure is None
            for reason, failure in zip(columns.reason, columns.failure, strict=True)
        )
        counts.append(RiskCount(columns.risk_type, chunk.cells, without, len(faults)))
        for i, text in faults.items():
            failed.setdefault(
                i, f"{columns.risk_type} at {result.cells[i][0]:g}, {result.cells[i][1]:g}: {text}"
            )
    places = tuple(sorted(failed))
    error = failed[places[0]] if places else None
    return Outcome(chunk.job_id, chunk.chunk, result.kind, places, error, tuple(counts))


def of_failure(chunk: Chunk, kind: Kind, reason: str) -> Outcome:
    """Outcome of a chunk that failed as a whole."""
    counts = tuple(RiskCount(risk, chunk.cells, 0, chunk.cells) for risk in chunk.risks)
    return Outcome(chunk.job_id, chunk.chunk, kind, tuple(range(chunk.cells)), reason, counts)


def _check_fits(chunk: Chunk, result: Result) -> None:
    if len(result.cells) != chunk.cells:
        raise InvalidMessage(f"{chunk.chunk_id} has {chunk.cells} cells, its result {len(result.cells)}")
    risks = [risk.risk_type for risk in result.risks]
    if sorted(risks) != sorted(chunk.risks):
        raise InvalidMessage(
            f"{chunk.chunk_id} asks for {', '.join(chunk.risks)}; its result has {', '.join(risks) or 'none'}"
        )
