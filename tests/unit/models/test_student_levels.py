from dataclasses import fields, replace
from fractions import Fraction

import numpy as np
import pytest

from streams.models.student_levels import LEVELS, StudentThresholds, student_levels
from streams.models.students import StudentMetrics

# METHODS, section 3.
DEFAULTS = StudentThresholds(
    theta_delta_7d_warn=-0.15,
    theta_delta_7d_crit=-0.30,
    theta_delta_14d_warn=-0.25,
    theta_delta_14d_crit=-0.50,
    theta_decline_weeks_warn=3,
    omit_warn=0.08,
    omit_crit=0.15,
    guess_warn=0.30,
    guess_crit=0.40,
    absence_7d_warn=0.10,
    absence_7d_crit=0.20,
    absence_14d_warn=0.15,
    absence_14d_crit=0.30,
    consecutive_days_crit=5,
    excused_is_absent=False,
)
RISKS = ("theta", "omit", "guess", "attendance", "overall")


def levels(thresholds=DEFAULTS, **metrics):
    """Names of the levels of students of whom nothing else is known."""
    students = len(next(iter(metrics.values())))
    known = {name: np.array(values, dtype=float) for name, values in metrics.items()}
    missing = {field.name: np.full(students, np.nan) for field in fields(StudentMetrics)}
    found = student_levels(StudentMetrics(**missing | known), thresholds)
    return {name: [LEVELS[code] for code in getattr(found, name)] for name in RISKS}


@pytest.mark.parametrize(
    ("risk", "metric", "values", "expected"),
    [
        ("theta", "delta_theta_7d", [0.2, -0.15, -0.1500001, -0.30, -0.3000001], "OK OK WARN WARN CRIT"),
        ("theta", "delta_theta_14d", [0.2, -0.25, -0.2500001, -0.50, -0.5000001], "OK OK WARN WARN CRIT"),
        ("theta", "decline_weeks", [0, 2, 3, 6], "OK OK WARN WARN"),
        ("omit", "omit_rate", [0.0, 0.0799999, 0.08, 0.1499999, 0.15], "OK OK WARN WARN CRIT"),
        ("guess", "c_hat", [0.0, 0.2999999, 0.30, 0.3999999, 0.40], "OK OK WARN WARN CRIT"),
        ("attendance", "absence_rate_7d", [0.0, 0.0999999, 0.10, 0.1999999, 0.20], "OK OK WARN WARN CRIT"),
        ("attendance", "absence_rate_14d", [0.0, 0.1499999, 0.15, 0.2999999, 0.30], "OK OK WARN WARN CRIT"),
        ("attendance", "consecutive_absences", [0, 4, 5, 14], "OK OK CRIT CRIT"),
    ],
)
def test_each_rule_fires_at_its_threshold_and_not_before(risk, metric, values, expected) -> None:
    found = levels(**{metric: values})
    assert found[risk] == expected.split()
    assert found["overall"] == expected.split()
    for other in set(RISKS) - {risk, "overall"}:
        assert set(found[other]) == {"NO_DATA"}


def test_a_warning_of_seven_days_never_hides_a_critical_fall_of_fourteen() -> None:
    assert levels(delta_theta_7d=[-0.2], delta_theta_14d=[-0.6])["theta"] == ["CRIT"]
    assert levels(absence_rate_7d=[0.1], absence_rate_14d=[0.3])["attendance"] == ["CRIT"]
    assert levels(absence_rate_7d=[0.0], consecutive_absences=[5])["attendance"] == ["CRIT"]


def test_a_critical_fall_of_seven_days_stays_beside_a_warning_of_fourteen() -> None:
    assert levels(delta_theta_7d=[-0.4], delta_theta_14d=[-0.3], decline_weeks=[3])["theta"] == ["CRIT"]


def test_one_critical_student_leaves_the_others_as_they_are() -> None:
    found = levels(
        delta_theta_7d=[-1.0, 0.0, -0.2, np.nan],
        omit_rate=[0.5, 0.0, 0.0, np.nan],
        c_hat=[0.9, 0.1, 0.1, np.nan],
    )
    assert found["overall"] == ["CRIT", "OK", "WARN", "NO_DATA"]


def test_a_missing_metric_fires_no_rule_but_another_of_its_risk_counts() -> None:
    found = levels(delta_theta_7d=[np.nan, np.nan], decline_weeks=[0, 3], omit_rate=[np.nan, np.nan])
    assert found["theta"] == ["OK", "WARN"]
    assert found["omit"] == ["NO_DATA", "NO_DATA"]


@pytest.mark.parametrize(
    ("omit", "guess", "expected"),
    [
        (0.0, np.nan, "OK"),
        (0.08, np.nan, "WARN"),
        (0.15, 0.0, "CRIT"),
        (0.08, 0.4, "CRIT"),
        (np.nan, np.nan, "NO_DATA"),
    ],
)
def test_overall_is_the_worst_risk_with_data(omit, guess, expected) -> None:
    assert levels(omit_rate=[omit], c_hat=[guess])["overall"] == [expected]


def test_thresholds_are_those_given() -> None:
    strict = replace(DEFAULTS, omit_warn=0.01, consecutive_days_crit=1, theta_decline_weeks_warn=1)
    found = levels(strict, omit_rate=[0.01], consecutive_absences=[1], decline_weeks=[1])
    assert (found["omit"], found["attendance"], found["theta"]) == (["WARN"], ["CRIT"], ["WARN"])


def test_no_students_have_no_levels() -> None:
    assert levels(omit_rate=[]) == {name: [] for name in RISKS}


@pytest.mark.parametrize("hundredths", [8, 10, 15, 20, 30, 40])
def test_a_share_of_counts_that_equals_a_threshold_fires(hundredths) -> None:
    share = Fraction(hundredths, 100)
    whole = np.arange(1, 20_001) * share.denominator
    part = np.arange(1, 20_001) * share.numerator
    threshold = replace(DEFAULTS, omit_warn=float(f"0.{hundredths:02d}"), omit_crit=1.0)
    assert set(levels(threshold, omit_rate=part / whole)["omit"]) == {"WARN"}
    assert set(levels(threshold, omit_rate=(part - 1) / whole)["omit"]) == {"OK"}
