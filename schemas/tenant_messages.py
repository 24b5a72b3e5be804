"""Messages of the weekly tenant report: chunks of students, their metrics, the report that is ready."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.messages import Identifier, Message, Share, now
from schemas.tenants import (
    DAYS,
    ESTIMATE_DAYS,
    WEEK_DAYS,
    Level,
    ReportDate,
    Scaling,
    Thresholds,
)

Number = float | None
Days = Annotated[int, Field(ge=0, le=DAYS)] | None
Weeks = Annotated[int, Field(ge=0, le=ESTIMATE_DAYS // WEEK_DAYS)] | None
ThetaBasis = Literal["estimate", "eap"]
"""Where theta comes from: the stored estimates, or the item responses of the two weeks (EAP)."""


class _Part(Message):
    """What every message about part `part` of `parts` of a tenant's students says."""

    job_id: Identifier
    job_seq: int
    chunk_id: str
    chunk: Annotated[int, Field(ge=1)]
    org_id: Identifier
    report_date: ReportDate
    part: Annotated[int, Field(ge=1)]
    parts: Annotated[int, Field(ge=1)]


class TenantChunk(_Part):
    """Students to compute, as a range of ids: from `first_student` up to but without `before_student`.

    Both are left out at the ends of the range, so that the parts of a tenant leave no student out.
    """

    first_student: str | None = None
    before_student: str | None = None
    timezone: str
    irt_scaling: Scaling
    thresholds: Thresholds


class StudentColumns(Message):
    """Metrics and levels as columns, a value per student, null where an input is missing.

    Thetas in standard deviations of ability, rates as shares, absences in school days.
    """

    student_id: list[str]
    theta: list[Number]
    delta_theta_7d: list[Number]
    delta_theta_14d: list[Number]
    omit_rate: list[Share | None]
    c_hat: list[Number]
    absence_rate_7d: list[Share | None]
    absence_rate_14d: list[Share | None]
    consecutive_absences: list[Days]
    decline_weeks: list[Weeks]
    theta_level: list[Level]
    omit_level: list[Level]
    guess_level: list[Level]
    attendance_level: list[Level]
    level: list[Level]
    theta_basis: list[ThetaBasis | None]

    @model_validator(mode="after")
    def _one_value_per_student(self) -> Self:
        students = len(self.student_id)
        for name in type(self).model_fields:
            values = len(getattr(self, name))
            if values != students:
                raise ValueError(f"{name} has {values} values for {students} students")
        return self


class TenantMetrics(_Part):
    """Metrics of a part of a tenant's students, or the failure and its reason."""

    students: StudentColumns | None = None
    calculated_at: datetime = Field(default_factory=now)
    failure: str | None = None

    @model_validator(mode="after")
    def _students_or_failure(self) -> Self:
        if (self.students is None) == (self.failure is None):
            raise ValueError("either students or failure must be given, not both and not neither")
        return self


class ReportReady(Message):
    """A tenant's report lies in REPORTS_DIR and may be delivered; paths are relative to it."""

    job_id: Identifier
    org_id: Identifier
    report_date: ReportDate
    html: str
    csv: str
    rendered_at: datetime = Field(default_factory=now)
