from collections.abc import Callable

import numpy as np
import pytest

from streams.models.assess import assess_risk
from streams.models.estimators import gev_bins, gev_of_l_moments
from streams.models.inputs import CellInputs
from streams.models.risks import RISKS
from streams.models.tables import builtin_tables
from streams.models.urban_flood import (
    HOURLY_SHARE,
    drainage_capacity,
    ponding_depth,
    rain_of_depth,
    runoff_coefficient,
)

RISK = RISKS["urban_flood"]
EDGES = np.array(RISK.edges)
SEOUL_SITE = {"imperviousness": np.array([0.8]), "slope": np.array([0.02])}


def test_seouls_gev_gives_the_printed_edges_probabilities_and_loss() -> None:
    gev = gev_of_l_moments(np.array([154.406667]), np.array([40.435862]), np.array([0.228395]))
    edges = rain_of_depth(
        EDGES, runoff_coefficient(SEOUL_SITE["imperviousness"]), drainage_capacity(**SEOUL_SITE)
    )
    np.testing.assert_allclose(
        edges, [[224.766167, 262.227195, 337.149250, 412.071306, 599.376445]], atol=5e-7
    )
    probability = gev_bins(gev, edges)
    # l1 and l2 are printed to 1e-6 mm, which leaves the sixth digit of P.
    expected = [[0.852330, 0.062159, 0.055559, 0.018642, 0.009967, 0.001343]]
    np.testing.assert_allclose(probability, expected, atol=2e-6)
    assert (probability @ np.array(RISK.damage))[0] == pytest.approx(0.00190709, abs=1e-8)


def test_seouls_days_give_the_printed_probabilities_and_loss(
    seoul_indices: dict[str, np.ndarray], make_inputs: Callable[..., CellInputs]
) -> None:
    inputs = make_inputs({"rx1day": seoul_indices["rx1day"]}, site=SEOUL_SITE)
    found = assess_risk(inputs, RISK, builtin_tables())
    expected = [[0.852330, 0.062159, 0.055559, 0.018642, 0.009967, 0.001343]]
    np.testing.assert_allclose(found.probability, expected, atol=5e-7)
    assert found.aal[0] == pytest.approx(0.00190709, abs=5e-9)


def test_a_day_of_100_mm_holds_an_hour_of_34_668_mm() -> None:
    rain = 100 * HOURLY_SHARE
    assert rain == pytest.approx(34.668, abs=5e-4)


def test_edges_carried_back_pond_to_the_depths_they_came_from() -> None:
    runoff, drainage = np.array([0.5, 0.95]), np.array([25.0, 60.0])
    carried = rain_of_depth(EDGES, runoff, drainage)
    np.testing.assert_allclose(ponding_depth(carried, runoff, drainage), [EDGES, EDGES], atol=1e-12)
    np.testing.assert_array_equal(ponding_depth(carried - 1.0, runoff, drainage)[:, 0], [0.0, 0.0])


def test_drainage_follows_imperviousness_and_slope() -> None:
    imperviousness = np.array([0.29, 0.3, 0.69, 0.7, 1.0, 0.5, 0.5, 0.5, 0.5, np.nan, 0.5])
    slope = np.array([0.02, 0.02, 0.02, 0.02, 0.02, 0.0099, 0.01, 0.03, 0.031, 0.02, np.nan])
    np.testing.assert_allclose(
        drainage_capacity(imperviousness, slope), [25, 40, 40, 60, 60, 32, 40, 40, 48, np.nan, np.nan]
    )


def test_intensity_is_the_depth_and_edges_are_rain(make_inputs: Callable[..., CellInputs]) -> None:
    rx1day = np.linspace(80.0, 370.0, 30)[None, :]
    found = assess_risk(make_inputs({"rx1day": rx1day}, site=SEOUL_SITE), RISK, builtin_tables())
    assert found.intensity[0, 0] == 0.0
    # 0.77 of 370 mm's hour is 98.77 mm; 60 mm/h drain away, the rest stands on a tenth of the cell.
    assert found.intensity[0, -1] == pytest.approx((0.77 * 370 * 24 ** (-1 / 3) - 60) / 100)
    np.testing.assert_allclose(found.edges[0], [224.766167, 262.227195, 337.149250, 412.071306, 599.376445])
    np.testing.assert_array_equal(found.parameters["depth_edges_m"], [EDGES])
    assert found.parameters["drainage_mm_h"][0] == 60.0
    assert found.probability.sum() == pytest.approx(1.0, abs=1e-12)


def test_each_missing_input_is_named(make_inputs: Callable[..., CellInputs]) -> None:
    rx1day = np.random.default_rng(3).gumbel(120, 40, (4, 30)).clip(10)
    rx1day[0] = np.nan
    site = {
        "imperviousness": np.array([0.5, np.nan, 0.5, 0.5]),
        "slope": np.array([0.02, 0.02, np.nan, 0.02]),
    }
    found = assess_risk(make_inputs({"rx1day": rx1day}, site=site), RISK, builtin_tables())
    assert found.reason.tolist() == ["no_data: rx1day", "no_data: imperviousness", "no_data: slope", None]
    assert np.isnan(found.probability).all(axis=1).tolist() == [True, True, True, False]
    assert np.isnan(found.edges).all(axis=1).tolist() == [True, True, True, False]
