"""Against NumPy, within a few units of the last place."""

import numpy as np
from numba import njit
from scipy.special import ndtri

from streams.models.vector_math import LEAST_TAIL, exp, log, normal_quantile


@njit
def exponentials(values: np.ndarray, found: np.ndarray) -> None:
    for i in range(len(values)):
        found[i] = exp(values[i])


@njit
def logarithms(values: np.ndarray, found: np.ndarray) -> None:
    for i in range(len(values)):
        found[i] = log(values[i])


@njit
def quantiles(values: np.ndarray, found: np.ndarray) -> None:
    for i in range(len(values)):
        found[i] = normal_quantile(values[i])


def test_exp_is_numpys() -> None:
    values = np.concatenate([np.linspace(-708, 709, 200_003), np.linspace(-1, 1, 200_003)])
    found = np.empty_like(values)
    exponentials(values, found)
    np.testing.assert_allclose(found, np.exp(values), rtol=1e-15)


def test_exp_stays_at_its_bounds() -> None:
    values, found = np.array([-np.inf, -1e9, 0.0, 1e9, np.inf]), np.empty(5)
    exponentials(values, found)
    np.testing.assert_allclose(found, np.exp([-708.0, -708.0, 0.0, 709.0, 709.0]), rtol=1e-15)
    assert found[2] == 1.0


def test_log_is_numpys() -> None:
    values = np.concatenate([np.exp(np.linspace(-700, 700, 200_003)), np.linspace(0.4, 2.5, 200_003)])
    found = np.empty_like(values)
    logarithms(values, found)
    np.testing.assert_allclose(found, np.log(values), rtol=1e-15)


def test_log_of_0_is_below_what_exp_takes() -> None:
    found = np.empty(1)
    logarithms(np.zeros(1), found)
    assert found[0] < -709.0


def test_the_quantile_is_scipys() -> None:
    tail = np.geomspace(LEAST_TAIL, 0.1, 20_001)
    values = np.concatenate([np.linspace(0.001, 0.999, 200_001), tail, 1.0 - tail])
    found = np.empty_like(values)
    quantiles(values, found)
    np.testing.assert_allclose(found, ndtri(values), rtol=2e-15, atol=1e-300)


def test_a_number_has_the_same_bits_wherever_it_stands() -> None:
    values = np.random.default_rng(3).uniform(0.01, 0.99, 67)
    for function in (exponentials, logarithms, quantiles):
        together, alone = np.empty(67), np.empty(67)
        function(values, together)
        for i in range(67):
            function(values[i : i + 1], alone[i : i + 1])
        np.testing.assert_array_equal(together, alone)
