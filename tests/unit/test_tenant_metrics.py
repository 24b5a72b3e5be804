"""Students' metrics as messages: null and never NaN, a failure that names its part."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import orjson
import pytest
from pydantic import ValidationError

from schemas.tenants import AttendanceThresholds, GuessThresholds, OmitThresholds, ThetaThresholds, Thresholds
from streams.metrics import PartOrigin, failed_part, part_metrics
from streams.models.student_levels import StudentLevels, StudentThresholds
from streams.models.students import EAP, ESTIMATE, NONE, StudentMetrics
from streams.tenants import encoded, student_thresholds

ORIGIN = PartOrigin("job", 3, "job:2", 2, "school", date(2026, 11, 16), 2, 5)
IDS = ["ann", "bob", "가을"]


@pytest.fixture
def metrics() -> StudentMetrics:
    """Of three students; the second's theta is infinite, the third has nothing."""
    share = np.array([0.1, 1.0, np.nan])
    return StudentMetrics(
        theta=np.array([1 / 3, -np.inf, np.nan]),
        delta_theta_7d=np.array([-0.3, np.nan, np.nan]),
        delta_theta_14d=np.array([np.nan, -0.5, np.nan]),
        omit_rate=share,
        c_hat=share,
        absence_rate_7d=share,
        absence_rate_14d=share,
        consecutive_absences=np.array([14.0, 0.0, np.nan]),
        decline_weeks=np.array([np.nan, 6.0, np.nan]),
        theta_basis=np.array([EAP, ESTIMATE, NONE], dtype=np.int8),
    )


@pytest.fixture
def levels() -> StudentLevels:
    """The codes 0-3 in every risk."""
    codes = np.array([0, 1, 3], dtype=np.int8)
    return StudentLevels(codes, codes, codes, codes, np.array([2, 1, 3], dtype=np.int8))


def test_what_is_not_finite_is_null_in_json(metrics: StudentMetrics, levels: StudentLevels) -> None:
    record = encoded(part_metrics(ORIGIN, IDS, metrics, levels), None)
    document = orjson.loads(record.value)
    students = document["students"]

    assert record.key == b"school"
    assert students["student_id"] == IDS
    assert students["theta"] == [1 / 3, None, None]
    assert students["delta_theta_14d"] == [None, -0.5, None]
    assert students["absence_rate_7d"] == [0.1, 1.0, None]
    assert students["consecutive_absences"] == [14, 0, None]
    assert students["decline_weeks"] == [None, 6, None]
    assert students["theta_basis"] == ["eap", "estimate", None]
    assert students["guess_level"] == ["OK", "WARN", "NO_DATA"]
    assert students["level"] == ["CRIT", "WARN", "NO_DATA"]


def test_a_share_beyond_one_is_refused(metrics: StudentMetrics, levels: StudentLevels) -> None:
    beyond = replace(metrics, omit_rate=np.array([0.1, 1.1, np.nan]))
    with pytest.raises(ValidationError, match="omit_rate"):
        part_metrics(ORIGIN, IDS, beyond, levels)


def test_a_failed_part_has_its_reason_and_no_students() -> None:
    document = orjson.loads(encoded(failed_part(ORIGIN, "no such zone"), None).value)

    assert (document["failure"], document["part"], document["parts"]) == ("no such zone", 2, 5)
    assert "students" not in document


def test_every_threshold_reaches_the_models_under_its_own_name() -> None:
    thresholds = Thresholds(
        theta=ThetaThresholds(
            delta_7d_warn=-0.1, delta_7d_crit=-0.2, delta_14d_warn=-0.3, delta_14d_crit=-0.4,
            decline_weeks_warn=5,
        ),
        omit=OmitThresholds(warn=0.11, crit=0.12),
        guess=GuessThresholds(warn=0.13, crit=0.14),
        attendance=AttendanceThresholds(
            absence_7d_warn=0.15, absence_7d_crit=0.16, absence_14d_warn=0.17, absence_14d_crit=0.18,
            consecutive_days_crit=9, excused_is_absent=True,
        ),
    )  # fmt: skip
    assert student_thresholds(thresholds) == StudentThresholds(
        theta_delta_7d_warn=-0.1,
        theta_delta_7d_crit=-0.2,
        theta_delta_14d_warn=-0.3,
        theta_delta_14d_crit=-0.4,
        theta_decline_weeks_warn=5,
        omit_warn=0.11,
        omit_crit=0.12,
        guess_warn=0.13,
        guess_crit=0.14,
        absence_7d_warn=0.15,
        absence_7d_crit=0.16,
        absence_14d_warn=0.17,
        absence_14d_crit=0.18,
        consecutive_days_crit=9,
        excused_is_absent=True,
    )
