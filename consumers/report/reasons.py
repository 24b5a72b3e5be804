"""Why a student has a level: the rules of METHODS, section 3, on stored metrics and thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from schemas.tenants import STUDENT_RISKS, Level, Thresholds

Side = Literal["below", "from"]
Metrics = Mapping[str, float | int | None]
"""Stored metrics of a student by column name; None where an input was missing."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A metric of a risk, and the names of the thresholds that it is held against."""

    risk: str
    metric: str
    side: Side
    warn: str | None
    crit: str | None


@dataclass(frozen=True, slots=True)
class Reason:
    """A rule that fired: `value` lies on the threshold's side `side`; `limits` are the rule's thresholds."""

    risk: str
    metric: str
    side: Side
    level: Level
    value: float
    threshold: float
    limits: tuple[float, ...]


RULES = (
    Rule("theta", "delta_theta_7d", "below", "delta_7d_warn", "delta_7d_crit"),
    Rule("theta", "delta_theta_14d", "below", "delta_14d_warn", "delta_14d_crit"),
    Rule("theta", "decline_weeks", "from", "decline_weeks_warn", None),
    Rule("omit", "omit_rate", "from", "warn", "crit"),
    Rule("guess", "c_hat", "from", "warn", "crit"),
    Rule("attendance", "absence_rate_7d", "from", "absence_7d_warn", "absence_7d_crit"),
    Rule("attendance", "absence_rate_14d", "from", "absence_14d_warn", "absence_14d_crit"),
    Rule("attendance", "consecutive_absences", "from", None, "consecutive_days_crit"),
)
_SEVERITY: dict[str, int] = {"CRIT": 0, "WARN": 1}


def reasons(metrics: Metrics, thresholds: Thresholds) -> list[Reason]:
    """Every rule that fires for a student, CRIT before WARN, then in the order of the risks.

    The worst reason of a risk is that risk's level; a risk without a reason is OK or NO_DATA.
    """
    fired = [reason for rule in RULES if (reason := _fired(rule, metrics[rule.metric], thresholds))]
    return sorted(fired, key=lambda reason: (_SEVERITY[reason.level], STUDENT_RISKS.index(reason.risk)))


def _fired(rule: Rule, value: float | None, thresholds: Thresholds) -> Reason | None:
    if value is None:
        return None
    of_risk = getattr(thresholds, rule.risk)
    named: tuple[tuple[Level, str | None], ...] = (("CRIT", rule.crit), ("WARN", rule.warn))
    limits = {level: getattr(of_risk, name) for level, name in named if name is not None}
    for level, limit in limits.items():
        if value < limit if rule.side == "below" else value >= limit:
            return Reason(rule.risk, rule.metric, rule.side, level, value, limit, tuple(limits.values()))
    return None
