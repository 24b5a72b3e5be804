import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from streams.models.hazard import expected_shortfall, hazard_level, hazard_score

ONES = np.ones(1)


@pytest.mark.parametrize(
    ("probability", "severity"),
    [
        ((0.6, 0.25, 0.1, 0.05), 0.666667),
        ((0.666667, 0.057755, 0.194131, 0.081323, 0.000124), 0.601965),
        ((0.8, 0.15, 0.04, 0.01), 0.433333),
        ((0.982128, 0.011481, 0.005711, 0.000625, 0.000054, 0.0), 0.024996),
        ((1.0, 0.0, 0.0), 0.0),
        ((0.0, 0.0, 1.0), 1.0),
    ],
)
def test_worst_fifth_of_the_years_has_the_printed_mean_severity(
    probability: tuple[float, ...], severity: float
) -> None:
    # The probabilities are printed to six digits, which carries to S fivefold at most.
    assert expected_shortfall(np.array([probability]))[0] == pytest.approx(severity, abs=3e-6)


def test_susceptibility_multiplies_the_score_up_to_one() -> None:
    probability = np.array([[0.6, 0.25, 0.1, 0.05]] * 3)
    score = hazard_score(probability, np.array([0.8, 1.2, 1.6]))
    np.testing.assert_allclose(score, [0.8 * 2 / 3, 0.8, 1.0])


def test_levels_begin_at_20_40_60_and_80() -> None:
    score = np.array([0.0, 0.19999, 0.2, 0.4, 0.59999, 0.6, 0.79999, 0.8, 1.0, np.nan])
    assert hazard_level(score).tolist() == [
        "Very Low", "Very Low", "Low", "Medium", "Medium", "High", "High", "Very High", "Very High", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("years_per_bin", "points"),
    [
        ((18, 1, 0, 1, 0, 0), 20),
        ((16, 4, 0, 0, 0, 0), 20),
        ((0, 30, 0, 0, 0, 0), 20),
        ((16, 1, 2, 1, 0, 0), 40),
        ((0, 0, 30, 0, 0, 0), 40),
        ((17, 0, 0, 0, 0, 3), 75),
        ((16, 1, 0, 0, 0, 3), 80),
    ],
)
def test_a_score_on_a_bound_is_in_the_level_that_begins_there(
    years_per_bin: tuple[int, ...], points: int
) -> None:
    counts = np.array([years_per_bin])
    score = hazard_score(counts / counts.sum(), ONES)
    assert 100 * score[0] == points
    assert hazard_level(score)[0] == ("Very Low", "Low", "Medium", "High", "Very High")[points // 20]


def test_a_cell_without_probabilities_has_no_score() -> None:
    probability = np.array([[0.5, 0.5], [np.nan, np.nan]])
    score = hazard_score(probability, np.ones(2))
    assert score[0] == 1.0
    assert np.isnan(score[1])
    assert hazard_level(score).tolist() == ["Very High", None]


rows = arrays(float, st.tuples(st.just(1), st.integers(2, 7)), elements=st.floats(0.001, 1.0))


@given(rows)
def test_score_is_between_the_mean_severity_and_one(weights: np.ndarray) -> None:
    probability = weights / weights.sum()
    severities = np.linspace(0, 1, probability.shape[1])
    score = hazard_score(probability, ONES)[0]
    assert probability[0] @ severities - 1e-12 <= score <= 1.0


@given(rows, st.floats(0.0, 1.0))
def test_moving_mass_to_the_worst_bin_never_lowers_the_score(weights: np.ndarray, share: float) -> None:
    probability = weights / weights.sum()
    worse = probability.copy()
    moved = share * worse[0, 0]
    worse[0, 0] -= moved
    worse[0, -1] += moved
    assert hazard_score(worse, ONES)[0] >= hazard_score(probability, ONES)[0] - 1e-12
