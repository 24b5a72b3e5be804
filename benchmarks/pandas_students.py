# ruff: noqa: PD010 - a group-by of two keys, unstacked, is already a pivot
"""The metrics of students as pandas computes them: group-bys and columns over all students at once.

Nothing goes through Python row by row or group by group. Formulas as METHODS, section 3, has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from streams.models.abilities import WEEK, WEEKS
from streams.models.eap import LOG_PRIOR, POINTS, log_probability
from streams.models.student_levels import CRIT, NO_DATA, OK, WARN, StudentThresholds
from streams.models.students import ABSENT, DECIMALS, EAP, ESTIMATE, MIN_RESPONSES, NONE, StudentInputs

DAY_SECONDS = 86_400
EAP_ROWS = 2_000
"""Posteriors held at a time; with 500, 8,000 or 20,000 of them it is slower."""


@dataclass(frozen=True)
class Frames:
    """The rows of all students, with student numbers from 0, as frames."""

    students: int
    estimates: pd.DataFrame
    assessments: pd.DataFrame
    attendance: pd.DataFrame
    responses: pd.DataFrame

    @classmethod
    def of(cls, parts: Sequence[StudentInputs]) -> Self:
        """The rows of the parts one below the other; a snapshot is of its day's midnight."""
        tables = {
            name: _below_each_other(parts, name)
            for name in ("estimates", "assessments", "attendance", "responses")
        }
        estimates = tables["estimates"]
        at = estimates["order"].where(estimates.pop("assessed"))
        first = at.min() // DAY_SECONDS - estimates["day"][at.idxmin()]
        estimates["order"] = at.fillna((first + estimates["day"]) * DAY_SECONDS)
        return cls(sum(part.students for part in parts), **tables)


def pandas_metrics(frames: Frames, thresholds: StudentThresholds, scaling: float) -> pd.DataFrame:
    """Metrics and levels, a row per student and a column per field of StudentMetrics and StudentLevels."""
    everyone = pd.RangeIndex(frames.students)
    weekly = _weekly_estimates(frames.estimates).reindex(index=everyone, columns=range(WEEKS))
    eap = _weekly_eaps(frames.responses, scaling).reindex(everyone)
    earlier, recent = eap[False], eap[True]
    theta = recent.fillna(_latest(weekly, 0))
    deltas = pd.DataFrame(
        {
            "theta": theta,
            "delta_theta_7d": (
                recent.fillna(_latest(weekly, 0, 1)) - earlier.fillna(_latest(weekly, 1))
            ).round(DECIMALS),
            "delta_theta_14d": (_latest(weekly, 0, 2) - _latest(weekly, 2)).round(DECIMALS),
            "decline_weeks": _decline_weeks(weekly),
            "theta_basis": np.select([recent.notna(), theta.notna()], [EAP, ESTIMATE], NONE),
        }
    )
    others = (_rates(frames.assessments), _absences(frames.attendance))
    metrics = pd.concat([deltas, *(each.reindex(everyone) for each in others)], axis=1)
    return pd.concat([metrics, _levels(metrics, thresholds)], axis=1)


def _below_each_other(parts: Sequence[StudentInputs], name: str) -> pd.DataFrame:
    tables = [getattr(part, name) for part in parts]
    columns: dict[str, Any] = {
        field: np.concatenate([getattr(table, field) for table in tables])
        for field in type(tables[0]).__slots__
    }
    before = np.cumsum([0] + [part.students for part in parts[:-1]])
    columns["student"] += np.repeat(before, [len(table.student) for table in tables]).astype(np.int32)
    return pd.DataFrame(columns, copy=False)


def _weekly_estimates(rows: pd.DataFrame) -> pd.DataFrame:
    """Last estimate of each student and week, week 0 being R-7..R-1."""
    known = rows.dropna(subset="theta").sort_values("order")
    return known["theta"].groupby([known["student"], (-1 - known["day"]) // WEEK]).last().unstack()


def _latest(weekly: pd.DataFrame, first: int, end: int | None = None) -> pd.Series:
    return weekly.iloc[:, first:end].bfill(axis=1).iloc[:, 0]


def _decline_weeks(weekly: pd.DataFrame) -> pd.Series:
    falls = weekly.iloc[:, :-1].to_numpy() < weekly.iloc[:, 1:].to_numpy()
    weeks = pd.Series(np.logical_and.accumulate(falls, axis=1).sum(axis=1), weekly.index, dtype=float)
    return weeks.where(weekly[0].notna())


def _weekly_eaps(rows: pd.DataFrame, scaling: float) -> pd.DataFrame:
    """EAP of each student with enough responses in both weeks; column True is R-7..R-1."""
    items = rows.groupby(["response", "a", "b", "c"], sort=False)
    place = items.ngroup()
    response, a, b, c = items.size().index.to_frame().to_numpy().T
    curves = log_probability(response, a, b, c, scaling)
    week = (rows["day"] >= -WEEK).rename("recent")
    # How often a student gave each answer, times its curve, is the sum of the curves.
    given = rows.groupby([rows["student"], week, place], sort=False).size().unstack(fill_value=0)
    enough = (given.sum(axis=1) >= MIN_RESPONSES).unstack(fill_value=False).all(axis=1)
    given = given[enough.reindex(given.index.get_level_values("student")).to_numpy()]
    counts, curves = given.to_numpy(np.float64), curves[given.columns]
    means = [_means(counts[row : row + EAP_ROWS] @ curves) for row in range(0, len(counts), EAP_ROWS)]
    theta = pd.Series(np.concatenate([*means, np.empty(0)]), given.index)
    return theta.unstack().reindex(columns=[False, True])


def _means(log_likelihood: Any) -> Any:
    log_posterior = log_likelihood + LOG_PRIOR
    weight = np.exp(log_posterior - log_posterior.max(axis=1, keepdims=True))
    return weight @ POINTS / weight.sum(axis=1)


def _rates(rows: pd.DataFrame) -> pd.DataFrame:
    sums = rows.dropna(subset=["items", "omitted"]).groupby("student")[["items", "omitted"]].sum()
    return pd.DataFrame(
        {
            "omit_rate": sums["omitted"] / sums["items"].where(sums["items"] > 0),
            "c_hat": rows.groupby("student")["c_hat"].mean().round(DECIMALS),
        }
    )


def _absences(rows: pd.DataFrame) -> pd.DataFrame:
    missed = rows["status"] == ABSENT
    days = missed.groupby([rows["student"], rows["day"]]).agg(["size", "sum"]).reset_index()
    totals = days.groupby("student")[["size", "sum"]].sum()
    week = days[days["day"] >= -WEEK].groupby("student")[["size", "sum"]].sum()
    attended = days[days["sum"] < days["size"]].groupby("student")["day"].max()
    since = days["day"] > days["student"].map(attended).fillna(-np.inf)
    return pd.DataFrame(
        {
            "absence_rate_7d": week["sum"] / week["size"],
            "absence_rate_14d": totals["sum"] / totals["size"],
            "consecutive_absences": since.groupby(days["student"]).sum().astype(float),
        }
    )


def _levels(metrics: pd.DataFrame, limits: StudentThresholds) -> pd.DataFrame:
    levels = pd.DataFrame(
        {
            "theta": _level(
                metrics[["delta_theta_7d", "delta_theta_14d", "decline_weeks"]],
                (metrics["delta_theta_7d"] < limits.theta_delta_7d_crit)
                | (metrics["delta_theta_14d"] < limits.theta_delta_14d_crit),
                (metrics["delta_theta_7d"] < limits.theta_delta_7d_warn)
                | (metrics["delta_theta_14d"] < limits.theta_delta_14d_warn)
                | (metrics["decline_weeks"] >= limits.theta_decline_weeks_warn),
            ),
            "omit": _level(
                metrics[["omit_rate"]],
                metrics["omit_rate"] >= limits.omit_crit,
                metrics["omit_rate"] >= limits.omit_warn,
            ),
            "guess": _level(
                metrics[["c_hat"]],
                metrics["c_hat"] >= limits.guess_crit,
                metrics["c_hat"] >= limits.guess_warn,
            ),
            "attendance": _level(
                metrics[["absence_rate_7d", "absence_rate_14d", "consecutive_absences"]],
                (metrics["absence_rate_7d"] >= limits.absence_7d_crit)
                | (metrics["absence_rate_14d"] >= limits.absence_14d_crit)
                | (metrics["consecutive_absences"] >= limits.consecutive_days_crit),
                (metrics["absence_rate_7d"] >= limits.absence_7d_warn)
                | (metrics["absence_rate_14d"] >= limits.absence_14d_warn),
            ),
        }
    )
    worst = levels.where(levels != NO_DATA, -1).max(axis=1)
    return levels.assign(overall=worst.where(worst >= 0, NO_DATA)).add_suffix("_level")


def _level(metrics: pd.DataFrame, is_crit: pd.Series, is_warn: pd.Series) -> Any:
    return np.select([is_crit, is_warn, metrics.notna().any(axis=1)], [CRIT, WARN, OK], NO_DATA)
