"""Levels of a student's four risks and of the student, from metrics and thresholds.

Source: METHODS, section 3. Comparisons are on the metrics as they are, never on printed digits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streams.models.inputs import Array
from streams.models.students import Codes, StudentMetrics

LEVELS = ("OK", "WARN", "CRIT", "NO_DATA")
"""Names of the levels by code."""

OK, WARN, CRIT, NO_DATA = range(4)

Rule = tuple[Array, NDArray[np.bool_], int]
"""A metric, where it fires (never where the metric is NaN), and the level it gives."""


@dataclass(frozen=True, slots=True)
class StudentThresholds:
    """When a rule fires: changes of theta in standard deviations, rates as shares, weeks and school days."""

    theta_delta_7d_warn: float
    theta_delta_7d_crit: float
    theta_delta_14d_warn: float
    theta_delta_14d_crit: float
    theta_decline_weeks_warn: int
    omit_warn: float
    omit_crit: float
    guess_warn: float
    guess_crit: float
    absence_7d_warn: float
    absence_7d_crit: float
    absence_14d_warn: float
    absence_14d_crit: float
    consecutive_days_crit: int
    excused_is_absent: bool


@dataclass(frozen=True, slots=True)
class StudentLevels:
    """Codes of LEVELS, each array (students,); `overall` is the student's own."""

    theta: Codes
    omit: Codes
    guess: Codes
    attendance: Codes
    overall: Codes


def student_levels(metrics: StudentMetrics, thresholds: StudentThresholds) -> StudentLevels:
    """The worst level that any rule of a risk gives, and the worst of the four risks."""
    theta = _worst_rule(
        _below(metrics.delta_theta_7d, thresholds.theta_delta_7d_warn, WARN),
        _below(metrics.delta_theta_14d, thresholds.theta_delta_14d_warn, WARN),
        _reaches(metrics.decline_weeks, thresholds.theta_decline_weeks_warn, WARN),
        _below(metrics.delta_theta_7d, thresholds.theta_delta_7d_crit, CRIT),
        _below(metrics.delta_theta_14d, thresholds.theta_delta_14d_crit, CRIT),
    )
    omit = _worst_rule(
        _reaches(metrics.omit_rate, thresholds.omit_warn, WARN),
        _reaches(metrics.omit_rate, thresholds.omit_crit, CRIT),
    )
    guess = _worst_rule(
        _reaches(metrics.c_hat, thresholds.guess_warn, WARN),
        _reaches(metrics.c_hat, thresholds.guess_crit, CRIT),
    )
    attendance = _worst_rule(
        _reaches(metrics.absence_rate_7d, thresholds.absence_7d_warn, WARN),
        _reaches(metrics.absence_rate_14d, thresholds.absence_14d_warn, WARN),
        _reaches(metrics.absence_rate_7d, thresholds.absence_7d_crit, CRIT),
        _reaches(metrics.absence_rate_14d, thresholds.absence_14d_crit, CRIT),
        _reaches(metrics.consecutive_absences, thresholds.consecutive_days_crit, CRIT),
    )
    return StudentLevels(theta, omit, guess, attendance, _worst_risk(theta, omit, guess, attendance))


def _below(metric: Array, threshold: float, level: int) -> Rule:
    return metric, metric < threshold, level


def _reaches(metric: Array, threshold: float, level: int) -> Rule:
    return metric, metric >= threshold, level


def _worst_rule(*rules: Rule) -> Codes:
    """NO_DATA where no rule had a metric."""
    level = np.full(len(rules[0][0]), NO_DATA, dtype=np.int8)
    for metric, _, _ in rules:
        level[~np.isnan(metric)] = OK
    for _, fires, given in rules:
        level[fires] = np.maximum(level[fires], given)
    return level


def _worst_risk(*levels: Codes) -> Codes:
    """NO_DATA where all are; otherwise it is less than OK."""
    with_data = [np.where(level == NO_DATA, -1, level) for level in levels]
    worst = np.max(with_data, axis=0)
    return np.where(worst < 0, NO_DATA, worst).astype(np.int8)
