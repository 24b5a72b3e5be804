"""The objects of the HTTP API that several pages share; docs/tables.md says what their fields mean."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel


class Years(BaseModel):
    """A window: its first and last year."""

    start: int
    end: int


class JobDocument(BaseModel):
    """One job of the log, as `riskflow jobs --json` writes it."""

    job_id: str
    job_type: str
    job_seq: int
    status: str
    refused: bool
    requested_by: str | None
    scenario: str | None
    window: Years | None
    report_date: date | None
    kinds: list[str]
    risks: list[str]
    started_at: datetime | None
    completed_at: datetime | None
    seconds: float | None
    cancelled_by: str | None
    resumed_by: str | None
    resumed_at: datetime | None
    counted: str
    total: int
    processed: int
    failed: int
    percent: int | None
    success_rate: float | None
    chunks_total: int
    chunks_done: int
    reports_per_risk: int
    jobs_ahead: int | None
    seconds_left: float | None
    stalled_since: datetime | None
    error_message: str | None


class RiskCount(BaseModel):
    """Cells of one risk that have reported, summed over the job's kinds."""

    risk_type: str
    reported: int
    without_number: int
    failed: int


class TenantCount(BaseModel):
    """How far one tenant of a weekly job is."""

    org_id: str
    state: str
    students: int
    parts: int
    parts_done: int
    error: str | None
    deliveries: list[str]


class FailureCount(BaseModel):
    """Why parts of a job failed, once per kind and reason."""

    kind: str
    error: str | None
    chunks: int
    cells: int


class OpenJob(JobDocument):
    """A job with the counts that move its bars."""

    risk_counts: list[RiskCount]


class ShownJob(OpenJob):
    """A job with all that is known of it, as `riskflow jobs show --json` writes it."""

    superseded: int
    failures: list[FailureCount]
    tenants: list[TenantCount]


class Bin(BaseModel):
    """One intensity bin; the first has no lower edge, the last no upper one."""

    bin: int
    lower: float | None
    upper: float | None
    unit: str
    probability: float
    base_damage_rate: float


class BinLabel(BaseModel):
    """The edges of a bin."""

    lower: float | None
    upper: float | None
    unit: str | None


class ResultRow(BaseModel):
    """Probability and hazard of one risk and cell; null with a reason where there is no number."""

    latitude: float
    longitude: float
    risk_type: str
    scenario: str
    window: Years
    aal: float | None
    aal_p05: float | None
    aal_p95: float | None
    bins: list[Bin] | None
    hazard_score: float | None
    hazard_score_100: float | None
    hazard_level: str | None
    reason: str | None
    hazard_reason: str | None
    basis: str | None
    probability_job_id: str | None
    hazard_job_id: str | None
    calculated_at: datetime | None


class CellSize(BaseModel):
    """Spacing of a regular grid [degrees]."""

    latitude: float
    longitude: float


class MapColumns(BaseModel):
    """One risk over all cells; every list has one value per cell."""

    risk_type: str
    scenario: str
    window: Years
    unit: str | None
    cell_size: CellSize | None = None
    worst_bin_label: BinLabel | None = None
    calculated_at: datetime | None
    latitude: list[float]
    longitude: list[float]
    aal: list[float | None]
    aal_p05: list[float | None]
    aal_p95: list[float | None]
    worst_bin: list[float | None]
    hazard_score: list[float | None]
    hazard_level: list[str | None]
    reason: list[str | None]
    hazard_reason: list[str | None]
    basis: list[str | None]
