"""Reasons agree with the levels of METHODS, whatever the metrics and thresholds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_samples import METRICS, NOTHING, RISKS, levels_of

from consumers.report.reasons import reasons
from consumers.report.words import Words
from schemas.tenants import Thresholds

SHARE = st.floats(0, 1) | st.sampled_from([0.08, 0.1, 0.15, 0.2, 0.3, 0.4])
FALL = st.floats(-1, 1) | st.sampled_from([-0.15, -0.25, -0.3, -0.5])
DRAWN: dict[str, st.SearchStrategy[Any]] = {
    "theta": st.floats(-6, 6),
    "delta_theta_7d": FALL,
    "delta_theta_14d": FALL,
    "omit_rate": SHARE,
    "c_hat": SHARE,
    "absence_rate_7d": SHARE,
    "absence_rate_14d": SHARE,
    "consecutive_absences": st.integers(0, 10),
    "decline_weeks": st.integers(0, 6),
}
STUDENTS = st.fixed_dictionaries({metric: st.none() | DRAWN[metric] for metric in METRICS})


@st.composite
def thresholds(draw: st.DrawFn) -> Thresholds:
    def pair(values: st.SearchStrategy[float]) -> list[float]:
        return sorted((draw(values), draw(values)))

    falls = st.floats(-1, -0.01)
    week, fortnight = pair(falls), pair(falls)
    omit, guess, absence_week, absence_fortnight = (pair(st.floats(0, 1)) for _ in range(4))
    return Thresholds.model_validate(
        {
            "theta": {
                "delta_7d_warn": week[1],
                "delta_7d_crit": week[0],
                "delta_14d_warn": fortnight[1],
                "delta_14d_crit": fortnight[0],
                "decline_weeks_warn": draw(st.integers(1, 6)),
            },
            "omit": {"warn": omit[0], "crit": omit[1]},
            "guess": {"warn": guess[0], "crit": guess[1]},
            "attendance": {
                "absence_7d_warn": absence_week[0],
                "absence_7d_crit": absence_week[1],
                "absence_14d_warn": absence_fortnight[0],
                "absence_14d_crit": absence_fortnight[1],
                "consecutive_days_crit": draw(st.integers(1, 14)),
            },
        }
    )


@given(STUDENTS, st.just(Thresholds()) | thresholds())
def test_the_worst_reason_of_a_risk_is_its_level(student: dict[str, Any], limits: Thresholds) -> None:
    found = reasons(student, limits)
    levels = levels_of(student, limits)
    for risk in RISKS:
        of_risk = [reason.level for reason in found if reason.risk == risk]
        assert (of_risk[0] if of_risk else "OK") == levels[risk].replace("NO_DATA", "OK")
    assert [reason.level for reason in found] == sorted(reason.level for reason in found)


@given(STUDENTS, thresholds(), st.sampled_from(["ko", "en"]))
def test_the_value_in_words_is_on_the_thresholds_side(
    student: dict[str, Any], limits: Thresholds, language: str
) -> None:
    words = Words(language, "Asia/Seoul")
    for reason in reasons(student, limits):
        said = words.reason(reason)
        assert words(f"metric.{reason.metric}") in said
        assert words.threshold(reason.metric, reason.threshold) in said


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ({"absence_rate_7d": 0.25}, ["7-day absence 25.0% (from 20%: critical)"]),
        ({"absence_rate_7d": 0.2}, ["7-day absence 20.0% (from 20%: critical)"]),
        ({"absence_rate_7d": 0.19999}, ["7-day absence 19.999% (from 10%: warning)"]),
        (
            {"delta_theta_7d": -0.16, "delta_theta_14d": -0.51},
            [
                "14-day change of ability \N{MINUS SIGN}0.51 (below \N{MINUS SIGN}0.50: critical)",
                "7-day change of ability \N{MINUS SIGN}0.16 (below \N{MINUS SIGN}0.15: warning)",
            ],
        ),
        ({"delta_theta_7d": -0.15}, []),
        (
            {"delta_theta_7d": -0.1500001},
            ["7-day change of ability \N{MINUS SIGN}0.1500001 (below \N{MINUS SIGN}0.15: warning)"],
        ),
        ({"consecutive_absences": 5}, ["Absent in a row 5 school days (from 5 school days: critical)"]),
        ({"decline_weeks": 3}, ["Weeks of decline in a row 3 weeks (from 3 weeks: warning)"]),
    ],
)
def test_reasons_in_english(metrics: dict[str, Any], said: list[str]) -> None:
    words = Words("en", "Europe/London")
    assert [words.reason(reason) for reason in reasons(NOTHING | metrics, Thresholds())] == said


def test_reasons_in_korean() -> None:
    words = Words("ko", "Asia/Seoul")
    metrics = NOTHING | {"omit_rate": 0.091, "absence_rate_14d": 0.3, "decline_weeks": 4}
    assert [words.reason(reason) for reason in reasons(metrics, Thresholds())] == [
        "14일 결석률 30.0% (30% 이상: 심각)",
        "연속 하락 주 4주 (3주 이상: 주의)",
        "무응답률 9.1% (8% 이상: 주의)",
    ]
