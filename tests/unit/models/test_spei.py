import numpy as np
import pytest
from scipy.stats import genlogistic, norm

from streams.models.spei import LIMIT, fit_logistic, spei, standardise, trailing_sums


def balance(cells: int, years: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2.0, 40.0, (cells, 12 * years)) - 60.0


def test_a_trailing_sum_takes_the_month_and_the_eleven_before() -> None:
    months = np.arange(24.0)[None]
    sums = trailing_sums(months)[0]
    assert np.isnan(sums[:11]).all()
    assert sums[11:].tolist() == [sum(range(end - 11, end + 1)) for end in range(11, 24)]


def test_a_missing_month_spoils_its_twelve_sums_and_no_other() -> None:
    months = np.ones((1, 48))
    months[0, 20] = np.nan
    sums = trailing_sums(months)[0]
    assert np.flatnonzero(np.isnan(sums)).tolist() == [*range(11), *range(20, 32)]


def test_a_series_shorter_than_the_sum_has_none() -> None:
    assert np.isnan(trailing_sums(np.ones((2, 7)))).all()


def test_the_fit_finds_the_distribution_that_the_sample_was_drawn_from() -> None:
    location, scale, shape = 100.0, 40.0, -0.2
    probability = (np.arange(20_000) + 0.5) / 20_000
    sample = location + scale / shape * (1 - ((1 - probability) / probability) ** shape)
    fit = fit_logistic(sample[None])
    np.testing.assert_allclose(
        [fit.location[0], fit.scale[0], fit.shape[0]], [location, scale, shape], rtol=2e-3
    )


def test_a_symmetric_sample_is_the_logistic_distribution() -> None:
    probability = (np.arange(40) + 0.5) / 40
    sample = genlogistic.ppf(probability, 1.0, loc=5.0, scale=2.0)[None]
    fit = fit_logistic(sample)
    assert fit.shape[0] == pytest.approx(0.0, abs=1e-12)
    found = standardise(sample, fit)[0]
    expected = norm.ppf(1 / (1 + np.exp(-(sample[0] - fit.location[0]) / fit.scale[0])))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_spei_of_its_own_baseline_is_standard_normal() -> None:
    found = spei(balance(60, 80), slice(0, 80))[:, 11:]
    assert found.mean() == pytest.approx(0.0, abs=0.01)
    assert found.std() == pytest.approx(1.0, abs=0.02)


def test_values_outside_the_support_are_the_limit_of_their_side() -> None:
    random = np.random.default_rng(2)
    wet_tail = random.gamma(1.0, 50.0, (1, 40))
    dry_tail = -wet_tail
    far = np.array([[-1e6, 1e6]])
    for sample in (wet_tail, dry_tail):
        fit = fit_logistic(sample)
        assert fit.shape[0] != 0
        assert standardise(far, fit)[0].tolist() == [-LIMIT, LIMIT]


def test_nineteen_finite_sums_are_too_few_and_twenty_are_enough() -> None:
    sample = np.random.default_rng(4).normal(size=(2, 30))
    sample[0, :11] = np.nan
    sample[1, :10] = np.nan
    fit = fit_logistic(sample)
    assert np.isnan(fit.scale).tolist() == [True, False]
    assert np.isnan(fit.location).tolist() == [True, False]
    alone = fit_logistic(sample[1:, 10:])
    assert fit.scale[1] == pytest.approx(alone.scale[0], rel=1e-12)


def test_a_constant_sample_has_no_distribution() -> None:
    fit = fit_logistic(np.full((1, 30), 700.1))
    assert np.isnan(fit.scale[0])
    assert np.isnan(standardise(np.array([[700.1]]), fit)).all()


def test_each_calendar_month_has_its_own_fit() -> None:
    months = balance(3, 40, seed=9)
    found = spei(months, slice(0, 30))
    december = trailing_sums(months)[:, 11::12]
    expected = standardise(december, fit_logistic(december[:, :30]))
    np.testing.assert_allclose(found[:, 11::12], expected, atol=1e-12)
    assert np.isnan(found[:, :11]).all()
    assert np.isfinite(found[:, 11:]).all()
