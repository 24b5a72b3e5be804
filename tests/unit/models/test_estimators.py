import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import gaussian_kde, genextreme, norm

from streams.models.estimators import (
    HALF_DAY,
    Gev,
    count_bins,
    gev_bins,
    gev_cdf,
    gev_fit,
    gev_of_l_moments,
    gev_return_level,
    hurdle,
    hurdle_fit,
    l_moments,
    shrunk_kde,
    shrunk_kde_bandwidth,
)

ASCENDING = np.arange(1, 31)[None, :] / 10
SPELL_YEARS = np.array([[0.0] * 20 + [6, 7, 8, 9, 10, 12, 15, 20, 25, 30]])
DAY_EDGES = np.array([3.0, 8.0, 20.0, 40.0]) - HALF_DAY


def gev(location: float, scale: float, shape: float) -> Gev:
    return Gev(np.array([location]), np.array([scale]), np.array([shape]))


def of_l_moments(l1: float, l2: float, t3: float) -> Gev:
    return gev_of_l_moments(np.array([l1]), np.array([l2]), np.array([t3]))


def test_port_pirie_l_moments_give_the_printed_gev_and_return_levels() -> None:
    fit = of_l_moments(3.980615, 0.134644, 0.137433)
    assert fit.shape[0] == pytest.approx(0.051477, abs=5e-6)
    assert fit.scale[0] == pytest.approx(0.203268, abs=2e-6)
    assert fit.location[0] == pytest.approx(3.873172, abs=2e-6)
    np.testing.assert_allclose(gev_return_level(fit, np.array([10.0, 100.0])), [[4.3051, 4.7058]], atol=5e-5)


def test_port_pirie_annual_maxima_have_the_printed_l_moments(shared_data: Path) -> None:
    with (shared_data / "annual_max_sealevel_5stations.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["station"] == "Port Pirie (AU)"]
    sample = np.array([[float(row["annual_max_sea_level"]) for row in rows]])
    assert sample.shape == (1, 65)
    np.testing.assert_allclose(np.ravel(l_moments(sample)), [3.980615, 0.134644, 0.137433], atol=5e-7)
    np.testing.assert_allclose(gev_fit(sample).shape, [0.051477], atol=5e-7)


def test_seoul_rx1day_l_moments_give_the_printed_gev_and_return_levels() -> None:
    fit = of_l_moments(154.406667, 40.435862, 0.228395)
    np.testing.assert_allclose([fit.location[0], fit.scale[0]], [118.476126, 53.334638], atol=3e-4)
    assert fit.shape[0] == pytest.approx(-0.089417, abs=1e-6)
    np.testing.assert_allclose(
        gev_return_level(fit, np.array([5.0, 20.0, 100.0])),
        [[204.087736, 299.919684, 421.976075]],
        atol=2e-3,
    )


@pytest.mark.parametrize("t3", [-0.9, -0.5, 0.6, 0.95])
def test_a_steep_shape_is_clipped_before_the_scale_is_taken(t3: float) -> None:
    fit = of_l_moments(100.0, 20.0, t3)
    k = 0.3 if t3 < 0 else -0.3
    assert fit.shape[0] == k
    # Scale and location of the unclipped k would not give l1 back as the mean.
    assert genextreme(k, fit.location[0], fit.scale[0]).mean() == pytest.approx(100.0)


def test_a_shape_at_zero_takes_the_gumbel_formulas() -> None:
    # t3 of the Gumbel distribution as the approximation of k has it: c = 0.
    fit = of_l_moments(10.0, 2.0, 2 * np.log(3) / np.log(2) - 3)
    assert abs(fit.shape[0]) < 1e-6
    assert fit.scale[0] == pytest.approx(2 / np.log(2))
    assert fit.location[0] == pytest.approx(10 - 0.577216 * 2 / np.log(2))
    assert gev_return_level(fit, np.array([100.0]))[0, 0] == pytest.approx(
        fit.location[0] + fit.scale[0] * 4.600149226776579
    )
    assert gev_cdf(fit, fit.location)[0] == pytest.approx(np.exp(-1))


@pytest.mark.parametrize("k", [-0.25, -1e-4, 1e-4, 0.2])
def test_gev_cdf_is_that_of_scipy_in_hoskings_sign(k: float) -> None:
    at = np.linspace(-200.0, 1500.0, 400)[None, :]
    expected = genextreme(k, loc=120.0, scale=50.0).cdf(at)
    np.testing.assert_allclose(gev_cdf(gev(120.0, 50.0, k), at), expected, atol=1e-12)


def test_outside_its_support_the_gev_is_exactly_zero_or_one() -> None:
    np.testing.assert_array_equal(gev_cdf(gev(0.0, 1.0, 0.2), np.array([[5.0, 5.1, 1e9]])), [[1.0, 1.0, 1.0]])
    np.testing.assert_array_equal(gev_cdf(gev(0.0, 1.0, -0.2), np.array([[-5.0, -5.1, -1e9]])), [[0, 0, 0]])


def test_a_constant_sample_has_no_gev() -> None:
    fit = gev_fit(np.full((1, 30), 71.3))
    assert np.isnan([fit.location[0], fit.scale[0]]).all()
    assert np.isnan(gev_bins(fit, np.array([50.0, 90.0]))).all()


def test_missing_years_leave_the_l_moments_of_the_others() -> None:
    sample = np.array([[3.0, np.nan, 1.0, 7.0, np.nan, 2.0]])
    present = np.array([[3.0, 1.0, 7.0, 2.0]])
    np.testing.assert_allclose(l_moments(sample), l_moments(present))
    assert np.isnan(l_moments(np.array([[1.0, np.nan, 2.0]]))).all()


def test_shrunk_kde_gives_the_printed_probabilities() -> None:
    probability = shrunk_kde(ASCENDING, np.array([1.0, 1.5, 2.0]))
    np.testing.assert_allclose(probability, [[0.295801, 0.185531, 0.186160, 0.332508]], atol=5e-7)


def test_shrunk_kde_keeps_the_variance_of_the_sample() -> None:
    mean, bandwidth, shrinkage = shrunk_kde_bandwidth(ASCENDING)
    assert mean[0] == pytest.approx(1.55)
    spread = ASCENDING.std(ddof=1)
    assert shrinkage[0] ** 2 * (spread**2 + bandwidth[0] ** 2) == pytest.approx(spread**2)


def test_shrunk_kde_is_scipys_density_of_the_shrunk_sample() -> None:
    _, _, shrinkage = shrunk_kde_bandwidth(ASCENDING)
    centred = ASCENDING[0].mean() + shrinkage[0] * (ASCENDING[0] - ASCENDING[0].mean())
    peer = gaussian_kde(centred, bw_method="scott")
    expected = peer.integrate_box_1d(1.0, 1.5)
    assert shrunk_kde(ASCENDING, np.array([1.0, 1.5]))[0, 1] == pytest.approx(expected, abs=1e-12)


def test_shrunk_kde_of_a_constant_sample_is_all_in_its_bin() -> None:
    constant = np.full((2, 30), 0.3)
    constant[1] = 1.5
    np.testing.assert_array_equal(shrunk_kde(constant, np.array([1.0, 1.5])), [[1.0, 0, 0], [0, 0, 1.0]])


def test_hurdle_gives_the_printed_probabilities() -> None:
    expected = [[0.666667, 0.057755, 0.194131, 0.081323, 0.000124]]
    np.testing.assert_allclose(hurdle(SPELL_YEARS, DAY_EDGES, 5.5), expected, atol=5e-7)


def test_hurdle_keeps_the_second_moment_about_the_bound() -> None:
    fit = hurdle_fit(SPELL_YEARS, 5.5)
    excess = SPELL_YEARS[SPELL_YEARS > 0] - 5.5
    kept = fit.shrinkage[0] ** 2 * (np.mean(excess**2) + fit.bandwidth[0] ** 2)
    assert kept == pytest.approx(np.mean(excess**2))
    assert fit.share_of_zeros[0] == pytest.approx(2 / 3)
    assert fit.positive[0] == 10


def test_hurdle_takes_the_spread_alone_where_half_the_values_are_equal() -> None:
    sample = np.array([[0.0] * 10 + [6.0] * 8 + [7.0, 30.0]])
    excess = sample[sample > 0] - 5.5
    assert hurdle_fit(sample, 5.5).bandwidth[0] == pytest.approx(0.9 * excess.std(ddof=1) * 10**-0.2)


def test_hurdle_over_wind_is_not_shifted() -> None:
    gales = np.array([[0.0] * 24 + [18.0, 20.0, 22.5, 25.0, 31.0, 40.0]])
    probability = hurdle(gales, np.array([17.0, 25.0, 33.0]), 17.0)
    fit = hurdle_fit(gales, 17.0)
    excess = gales[gales > 0] - 17.0
    kernels = norm(
        np.concatenate([fit.shrinkage * excess, -fit.shrinkage * excess]), fit.shrinkage * fit.bandwidth
    )
    assert probability[0, 0] == pytest.approx(0.8)
    assert probability[0, 1] == pytest.approx(0.2 * 2 * np.mean(kernels.cdf(8.0) - kernels.cdf(0.0)))


def test_below_five_positive_years_hurdle_counts() -> None:
    sample = np.array([[0.0] * 26 + [6.0, 7.0, 8.0, 41.0]])
    expected = [[26 / 30, 2 / 30, 1 / 30, 0.0, 1 / 30]]
    np.testing.assert_allclose(hurdle(sample, DAY_EDGES, 5.5), expected, atol=1e-15)


def test_equal_positive_years_are_all_in_their_bin() -> None:
    sample = np.array([[0.0] * 20 + [8.0] * 10])
    np.testing.assert_allclose(hurdle(sample, DAY_EDGES, 5.5), [[2 / 3, 0, 1 / 3, 0, 0]], atol=1e-15)


def test_counted_bins_hold_their_lower_edge_and_not_their_upper() -> None:
    sample = np.array([[1.0, 2.0, 2.5, np.nan]])
    np.testing.assert_allclose(count_bins(sample, np.array([1.0, 2.0])), [[0, 1 / 3, 2 / 3]])


def test_a_cell_without_years_has_no_probability_and_spoils_no_other() -> None:
    sample = np.vstack([ASCENDING, np.full((1, 30), np.nan)])
    for probability in (
        shrunk_kde(sample, np.array([1.0, 2.0])),
        hurdle(sample, np.array([1.0, 2.0]), 0.05),
        gev_bins(gev_fit(sample), np.array([1.0, 2.0])),
    ):
        assert np.isfinite(probability[0]).all()
        assert np.isnan(probability[1]).all()


samples = arrays(
    float,
    st.tuples(st.integers(1, 4), st.integers(20, 30)),
    elements=st.one_of(st.just(0.0), st.just(np.nan), st.integers(6, 90).map(float)),
)
edge_lists = st.lists(st.integers(1, 90), min_size=1, max_size=5, unique=True).map(
    lambda edges: np.array(sorted(edges), dtype=float)
)


def all_probabilities(sample: np.ndarray, edges: np.ndarray) -> list[np.ndarray]:
    return [
        shrunk_kde(sample, edges),
        hurdle(sample, edges - HALF_DAY, 5.5),
        gev_bins(gev_fit(sample), edges),
    ]


@given(samples, edge_lists)
def test_probabilities_sum_to_one_and_are_never_negative(sample: np.ndarray, edges: np.ndarray) -> None:
    for probability in all_probabilities(sample, edges):
        known = ~np.isnan(probability).any(axis=1)
        np.testing.assert_allclose(probability[known].sum(axis=1), 1.0, rtol=0, atol=1e-12)
        assert (probability[known] >= 0).all()


@given(samples, edge_lists, st.randoms(use_true_random=False))
def test_the_order_of_the_years_does_not_matter(
    sample: np.ndarray, edges: np.ndarray, random: object
) -> None:
    order = list(range(sample.shape[1]))
    random.shuffle(order)  # type: ignore[attr-defined]
    for before, after in zip(
        all_probabilities(sample, edges), all_probabilities(sample[:, order], edges), strict=True
    ):
        np.testing.assert_allclose(after, before, atol=1e-9)


@given(samples, edge_lists)
def test_a_cell_gets_the_same_alone_as_in_a_chunk(sample: np.ndarray, edges: np.ndarray) -> None:
    for row in range(len(sample)):
        for alone, together in zip(
            all_probabilities(sample[row : row + 1], edges), all_probabilities(sample, edges), strict=True
        ):
            np.testing.assert_allclose(alone[0], together[row], atol=1e-12)


@given(samples, edge_lists)
def test_fewer_edges_add_up_the_bins_between(sample: np.ndarray, edges: np.ndarray) -> None:
    for fine, coarse in zip(
        all_probabilities(sample, edges), all_probabilities(sample, edges[:1]), strict=True
    ):
        np.testing.assert_allclose(fine[:, 1:].sum(axis=1), coarse[:, 1], atol=1e-12)


@given(
    st.floats(-0.3, 0.3),
    st.floats(1.0, 200.0),
    st.lists(st.floats(1.01, 1000.0), min_size=2, max_size=6, unique=True),
)
def test_return_levels_ascend_and_are_where_the_cdf_says(
    k: float, scale: float, periods: list[float]
) -> None:
    fit = gev(100.0, scale, k)
    wanted = np.array(sorted(periods))
    levels = gev_return_level(fit, wanted)
    assert (np.diff(levels) >= 0).all()
    np.testing.assert_allclose(gev_cdf(fit, levels)[0], 1 - 1 / wanted, atol=1e-9)
