"""Ability from item responses: the mean of its posterior distribution (EAP) under the 3PL.

Source: METHODS, section 3; Bock and Mislevy (1982), Applied Psychological Measurement 6(4).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streams.models.inputs import Array

Places = NDArray[np.int32]
Columns = tuple[Array, Array, Array, Array]
"""Response, a, b, c."""

POINTS = np.linspace(-6.0, 6.0, 161)
"""Abilities that the posterior is summed over [standard deviations]; METHODS, section 3."""

LOG_PRIOR = -0.5 * POINTS**2
"""Of N(0, 1), without its constant, which falls out of the mean."""

BLOCK_ANSWERS = 2**16
"""Answers worked on at a time: some 20 MB of points; a student's answers are never parted."""


def eap(  # noqa: PLR0913 - the columns of a response
    student: Places,
    response: Array,
    a: Array,
    b: Array,
    c: Array,
    *,
    students: int,
    scaling: float,
) -> tuple[Array, NDArray[np.int64]]:
    """Posterior mean of ability over N(0, 1), per student, and the number of answers it rests on.

    Args:
        student: Place of the student, 0..students-1, (answers,), in any order.
        response: 1 right, 0 wrong, (answers,). An omitted answer is not a response.
        a: Discrimination [1], (answers,).
        b: Difficulty [standard deviations of ability], (answers,).
        c: Guessing, 0 <= c < 1, (answers,).
        students: Length of the results.
        scaling: D of the 3PL, 1.7 or 1.0.

    Returns:
        theta (students,) in standard deviations, NaN without answers, and answers (students,). Another
        order of a student's answers moves theta by rounding only; other students never do.

    Raises:
        ValueError: a response is not 0 or 1, or an item has no 3PL curve.
    """
    _check(response, a, b, c)
    answers = np.bincount(student, minlength=students)
    theta = np.full(students, np.nan)
    by_student = np.argsort(student, kind="stable")
    answered = np.flatnonzero(answers)
    for first, last, rows in _blocks(answers[answered]):
        chosen = by_student[rows]
        columns = (response[chosen], a[chosen], b[chosen], c[chosen])
        theta[answered[first:last]] = _posterior_means(columns, answers[answered[first:last]], scaling)
    return theta, answers


def log_probability(response: Array, a: Array, b: Array, c: Array, scaling: float) -> Array:
    """Log of the probability of each response at POINTS, (answers, points).

    The 3PL p = c + (1 - c) / (1 + exp(-D a (theta - b))) of a right answer, 1 - p of a wrong one;
    in logs, so that neither end of the scale comes out as log 0. Source: METHODS, section 3.
    """
    logit = scaling * a[:, None] * (POINTS - b[:, None])
    log_p = np.log1p(-c)[:, None] - np.logaddexp(0.0, logit)
    right = response == 1
    with np.errstate(divide="ignore"):
        guessed = np.log(c[right])[:, None]
    log_p[right] = np.logaddexp(guessed, log_p[right] + logit[right])
    return np.asarray(log_p)


def _check(response: Array, a: Array, b: Array, c: Array) -> None:
    if not np.isin(response, (0.0, 1.0)).all():
        raise ValueError("item responses must be 0 or 1; leave omitted answers out")
    if not (np.isfinite(a) & np.isfinite(b) & (c >= 0) & (c < 1)).all():
        raise ValueError("items need finite a and b and 0 <= c < 1; leave items without parameters out")


def _blocks(answers: NDArray[np.int64]) -> list[tuple[int, int, slice]]:
    """Students from..to and their rows: at most BLOCK_ANSWERS answers, but one student at least."""
    ends = np.concatenate(([0], np.cumsum(answers)))
    blocks, first = [], 0
    while first < len(answers):
        full = int(np.searchsorted(ends, ends[first] + BLOCK_ANSWERS, side="right")) - 1
        last = max(first + 1, full)
        blocks.append((first, last, slice(int(ends[first]), int(ends[last]))))
        first = last
    return blocks


def _posterior_means(columns: Columns, answers: NDArray[np.int64], scaling: float) -> Array:
    """Of students whose answers stand one after the other, `answers` of each."""
    distinct, place = _distinct(columns)
    curves = log_probability(*distinct, scaling)
    log_posterior = LOG_PRIOR + _sums(curves, place, answers)
    log_posterior -= log_posterior.max(axis=1, keepdims=True)
    weight = np.exp(log_posterior, out=log_posterior)
    # Sums, not a matrix product: a student's number must not depend on the students beside them.
    return np.asarray((weight * POINTS).sum(axis=1) / weight.sum(axis=1))


def _distinct(columns: Columns) -> tuple[Columns, NDArray[np.int64]]:
    """The rows that differ, and which of them each row is: items recur, and curves cost the most."""
    order = np.lexsort(columns)
    ordered = [column[order] for column in columns]
    is_new = np.zeros(len(order), dtype=bool)
    is_new[0] = True
    for column in ordered:
        is_new[1:] |= column[1:] != column[:-1]
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.cumsum(is_new) - 1
    response, a, b, c = (column[is_new] for column in ordered)
    return (response, a, b, c), place


def _sums(curves: Array, place: NDArray[np.int64], answers: NDArray[np.int64]) -> Array:
    """Sum of the curves of each student's answers, (students, points), one answer of each at a time."""
    # Students with more answers first: those that have one left are then a slice.
    longest_first = np.argsort(-answers, kind="stable")
    starts = (np.cumsum(answers) - answers)[longest_first]
    total: Array = curves[place[starts]]
    for answer in range(1, int(answers.max())):
        left = np.count_nonzero(answers > answer)
        total[:left] += curves[place[starts[:left] + answer]]
    return total[np.argsort(longest_first)]
