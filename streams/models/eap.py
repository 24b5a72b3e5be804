"""Ability from item responses: the mean of its posterior distribution (EAP) under the 3PL.

Source: METHODS, section 3; Bock and Mislevy (1982), Applied Psychological Measurement 6(4).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streams.models.inputs import Array

Places = NDArray[np.int32]
Indices = NDArray[np.int64]

POINTS = np.linspace(-6.0, 6.0, 161)
"""Abilities that the posterior is summed over [standard deviations]; METHODS, section 3."""

LOG_PRIOR = -0.5 * POINTS**2
PRIOR = np.exp(LOG_PRIOR)
"""Of N(0, 1), without its constant, which falls out of the mean."""

BLOCK_ANSWERS = 2**14
"""Answers worked on at a time: at most some 40 MB of curves; a student's answers are never parted."""

LEAST_LOG = -600.0
"""Log of a likelihood that a double still holds in full, with the prior's -18 at the ends."""

_MIX = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)


def eap(  # noqa: PLR0913 - the columns of a response
    student: Places,
    response: Array,
    a: Array,
    b: Array,
    c: Array,
    *,
    students: int,
    scaling: float,
) -> tuple[Array, Indices]:
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
        columns = np.stack([response[chosen], a[chosen], b[chosen], c[chosen]], axis=1)
        # Items recur, and curves cost the most.
        distinct, place = _distinct(columns.view(np.uint64))
        differing = columns[distinct].T
        curves = log_probability(differing[0], differing[1], differing[2], differing[3], scaling)
        ends = np.cumsum(answers[answered[first:last]])
        theta[answered[first:last]] = _posterior_means(curves, np.exp(curves), place, ends)
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
    if not ((response == 0) | (response == 1)).all():
        raise ValueError("item responses must be 0 or 1; leave omitted answers out")
    if not (np.isfinite(a) & np.isfinite(b) & (c >= 0) & (c < 1)).all():
        raise ValueError("items need finite a and b and 0 <= c < 1; leave items without parameters out")


def _blocks(answers: Indices) -> list[tuple[int, int, slice]]:
    """Students from..to and their rows: at most BLOCK_ANSWERS answers, but one student at least."""
    ends = np.concatenate(([0], np.cumsum(answers)))
    blocks, first = [], 0
    while first < len(answers):
        full = int(np.searchsorted(ends, ends[first] + BLOCK_ANSWERS, side="right")) - 1
        last = max(first + 1, full)
        blocks.append((first, last, slice(int(ends[first]), int(ends[last]))))
        first = last
    return blocks


def compile_kernels() -> None:
    """Compile what this module runs, or load it from the cache."""
    one = np.ones(1)
    eap(np.zeros(1, np.int32), one, one, one, 0 * one, students=1, scaling=1.0)


@njit(cache=True, nogil=True)
def _distinct(rows: NDArray[np.uint64]) -> tuple[Indices, Indices]:
    """First of the rows that are the same bit by bit, and which of these each row is, by a hash table."""
    size = 2
    while size < 2 * len(rows):
        size *= 2
    mask = np.uint64(size - 1)
    table = np.full(size, -1, np.int64)
    first = np.empty(len(rows), np.int64)
    place = np.empty(len(rows), np.int64)
    found = 0
    for row in range(len(rows)):
        mixed = np.uint64(0)
        for word in rows[row]:
            mixed = (mixed ^ word) * _MIX
            mixed ^= mixed >> _HALF
        slot = mixed & mask
        while table[slot] >= 0 and not _same(rows, first[table[slot]], row):
            slot = (slot + np.uint64(1)) & mask
        if table[slot] < 0:
            table[slot] = found
            first[found] = row
            found += 1
        place[row] = table[slot]
    return first[:found], place


@njit(cache=True, nogil=True)
def _same(rows: NDArray[np.uint64], one: int, other: int) -> bool:
    for column in range(rows.shape[1]):  # noqa: SIM110 - compiled, a loop is the fastest
        if rows[one, column] != rows[other, column]:
            return False
    return True


# Sums may take their terms in another order, which is the same for every student.
@njit(cache=True, nogil=True, fastmath={"reassoc"})
def _posterior_means(curves: Array, likelihoods: Array, place: Indices, ends: Indices) -> Array:
    """Of students whose answers stand one after the other, up to `ends`, (students,).

    `curves` are logs, (curves, points), and `likelihoods` the same without log; `place` is the curve of
    every answer.
    """
    least = np.array([curve.min() for curve in curves])
    means = np.empty(len(ends))
    weight = np.empty(len(POINTS))
    start = 0
    for student in range(len(ends)):
        own = place[start : ends[student]]
        start = ends[student]
        if least[own].sum() > LEAST_LOG:
            # Nothing can vanish, so a product does, and no log has to be undone.
            weight[:] = PRIOR
            for answer in own:
                for point in range(len(POINTS)):
                    weight[point] *= likelihoods[answer, point]
        else:
            weight[:] = LOG_PRIOR
            for answer in own:
                for point in range(len(POINTS)):
                    weight[point] += curves[answer, point]
            weight[:] = np.exp(weight - weight.max())
        total, moment = 0.0, 0.0
        for point in range(len(POINTS)):
            total += weight[point]
            moment += weight[point] * POINTS[point]
        means[student] = moment / total
    return means
