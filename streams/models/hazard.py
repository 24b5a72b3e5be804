"""Hazard score: the mean severity of the worst fifth of the years, and its five levels.

Source: METHODS, section 1. Levels compare cells within a risk; across risks the AAL compares.
"""

from __future__ import annotations

import numpy as np

from streams.models.inputs import Array, Labels

WORST_SHARE = 0.2
"""Probability mass that the expected shortfall is taken over [1]; expert assumption, METHODS, section 1."""

LEVEL_BOUNDS = np.array([20.0, 40.0, 60.0, 80.0])
"""Scores of 100 at which the next level begins [1]; METHODS, section 1."""

SCORE_DECIMALS = 12
"""Decimals of a score: the last bits of a sum must not put a score of 20 under its level [1]."""

LEVELS = ("Very Low", "Low", "Medium", "High", "Very High")


def expected_shortfall(probability: Array) -> Array:
    """Mean bin severity S of the worst WORST_SHARE of probability mass, (cells,).

    Severities run evenly from 0 for the mildest bin to 1 for the worst; `probability` is
    (cells, bins) with two bins or more. NaN rows stay NaN. Source: Acerbi and Tasche (2002).
    """
    worst_first = probability[:, ::-1]
    worse = np.cumsum(worst_first, axis=1) - worst_first
    taken = np.clip(WORST_SHARE - worse, 0.0, worst_first)
    severities = np.linspace(1.0, 0.0, probability.shape[1])
    # A sum, not a matrix product: a cell's number must not depend on the cells beside it.
    return np.asarray((taken * severities).sum(axis=1) / WORST_SHARE)


def hazard_score(probability: Array, susceptibility: Array) -> Array:
    """S times the site's susceptibility, (cells,), at most 1, to SCORE_DECIMALS."""
    score = np.minimum(expected_shortfall(probability) * susceptibility, 1.0)
    return np.asarray(np.round(score, SCORE_DECIMALS))


def hazard_level(score: Array) -> Labels:
    """One of LEVELS per score in 0-1, (cells,); None where there is no score."""
    level = np.array(LEVELS, dtype=object)[np.digitize(100 * score, LEVEL_BOUNDS)]
    level[np.isnan(score)] = None
    return level
