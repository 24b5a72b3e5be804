"""What the models say of a part's students, as the message that the sink reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np

from schemas.tenant_messages import StudentColumns, TenantMetrics
from streams.models.inputs import Array
from streams.models.student_levels import LEVELS, StudentLevels
from streams.models.students import EAP, ESTIMATE, Codes, StudentMetrics

NUMBERS = (
    "theta",
    "delta_theta_7d",
    "delta_theta_14d",
    "omit_rate",
    "c_hat",
    "absence_rate_7d",
    "absence_rate_14d",
)
COUNTS = ("consecutive_absences", "decline_weeks")
BASES = {ESTIMATE: "estimate", EAP: "eap"}


@dataclass(frozen=True, slots=True)
class PartOrigin:
    """Whose metrics these are: what every message about a part of a tenant's students repeats."""

    job_id: str
    job_seq: int
    chunk_id: str
    chunk: int
    org_id: str
    report_date: date
    part: int
    parts: int


def part_metrics(
    origin: PartOrigin, student_ids: Sequence[str], metrics: StudentMetrics, levels: StudentLevels
) -> TenantMetrics:
    """The message of a part, a value per student in the order of `student_ids`.

    Raises:
        pydantic.ValidationError: A metric is outside its range.
    """
    students = StudentColumns(
        student_id=list(student_ids),
        **{name: _numbers(getattr(metrics, name)) for name in NUMBERS},
        **{name: _counts(getattr(metrics, name)) for name in COUNTS},
        **{
            f"{risk}_level": _names(getattr(levels, risk))
            for risk in ("theta", "omit", "guess", "attendance")
        },
        level=_names(levels.overall),
        theta_basis=_looked_up([BASES.get(code) for code in range(len(BASES) + 1)], metrics.theta_basis),
    )
    return TenantMetrics(**asdict(origin), students=students)


def failed_part(origin: PartOrigin, failure: str) -> TenantMetrics:
    """The message of a part that could not be computed."""
    return TenantMetrics(**asdict(origin), failure=failure)


def _numbers(values: Array) -> list[float | None]:
    listed = values.astype(object)
    listed[~np.isfinite(values)] = None
    return list(listed.tolist())


def _counts(values: Array) -> list[int | None]:
    known = np.isfinite(values)
    listed = np.where(known, values, 0).astype(np.int64).astype(object)
    listed[~known] = None
    return list(listed.tolist())


def _names(codes: Codes) -> list[Any]:
    return _looked_up(LEVELS, codes)


def _looked_up(names: Sequence[str | None], codes: Codes) -> list[Any]:
    return list(np.array(names, dtype=object)[codes].tolist())
