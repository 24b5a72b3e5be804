import numpy as np
import pytest

from streams.models.damage import depth_damage, depth_means, wind_damage, wind_means
from streams.models.risks import RISKS


def test_depth_damage_is_the_published_curve_and_linear_between_its_points() -> None:
    depth = np.array([-1.0, 0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 9.0])
    expected = [0, 0, 0.1633, 0.3266, 0.4941, 0.6166, 0.7207, 0.8695, 0.9315, 0.9836, 1, 1]
    np.testing.assert_allclose(depth_damage(depth), expected)


def test_mean_depth_damages_are_the_printed_base_rates() -> None:
    means = depth_means(np.array([0, 0.1, 0.3, 0.5, 1.0]))
    np.testing.assert_allclose(means, [0, 0.03266, 0.13064, 0.26128, 0.41035, 0.61200], atol=1e-12)
    coastal, urban = RISKS["coastal_flood"], RISKS["urban_flood"]
    np.testing.assert_allclose(coastal.damage, depth_means(np.array(coastal.edges)), atol=5e-7)
    np.testing.assert_allclose(urban.damage, 0.1 * depth_means(np.array(urban.edges)), atol=5e-7)


@pytest.mark.parametrize(
    ("wind", "damage", "digits"), [(33.0, 0.0033, 4), (44.0, 0.04951, 5), (54.0, 0.16153, 5), (74.7, 0.5, 12)]
)
def test_wind_damage_with_the_half_wind_of_the_published_check(
    wind: float, damage: float, digits: int
) -> None:
    assert round(float(wind_damage(np.array(wind), half_wind=74.7)), digits) == damage


def test_wind_damage_begins_at_its_onset_and_rises_to_all() -> None:
    wind = np.array([0.0, 25.7, 25.8, 135.6, 1e6])
    found = wind_damage(wind)
    assert found[0] == found[1] == 0
    assert found[2] > 0
    assert found[3] == 0.5
    assert found[4] == pytest.approx(1)


def test_mean_wind_damages_are_the_printed_base_rates() -> None:
    means = wind_means(np.array([17, 25, 33, 44, 54]))
    np.testing.assert_array_equal(means.round(6), [0, 0, 0.000266, 0.003888, 0.017108, 0.045826])
    typhoon = RISKS["typhoon"]
    np.testing.assert_allclose(typhoon.damage, wind_means(np.array(typhoon.edges)), atol=5e-7)


def test_means_are_those_of_a_fine_sum_over_the_bin() -> None:
    wind = np.linspace(33, 44, 200_001)
    assert wind_means(np.array([17, 25, 33, 44, 54]))[3] == pytest.approx(
        wind_damage(wind / 0.91).mean(), rel=1e-5
    )
    depth = np.linspace(1, 2, 200_001)
    assert depth_means(np.array([0, 0.1, 0.3, 0.5, 1.0]))[5] == pytest.approx(
        depth_damage(depth).mean(), rel=1e-5
    )
