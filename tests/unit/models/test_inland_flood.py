from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.models.assess import assess_risk
from streams.models.estimators import Gev, gev_return_level, l_moments
from streams.models.inputs import CellInputs, Years
from streams.models.risks import RISKS
from streams.models.tables import builtin_tables

RISK = RISKS["inland_flood"]
FUTURE = Years(2021, 2050)


def rain(cells: int, *, seed: int = 5, factor: float = 1.0) -> np.ndarray:
    return factor * np.random.default_rng(seed).gumbel(120.0, 45.0, (cells, 30)).clip(20.0)


def test_in_its_own_baseline_every_cell_has_the_printed_numbers(
    make_inputs: Callable[..., CellInputs],
) -> None:
    found = assess_risk(make_inputs({"rx1day": rain(50)}), RISK, builtin_tables())
    np.testing.assert_allclose(found.probability, [[0.8, 0.15, 0.04, 0.01]] * 50, atol=1e-12)
    np.testing.assert_allclose(found.aal, 0.0009, atol=1e-14)
    np.testing.assert_allclose(found.hazard_score, 0.4333, atol=5e-5)


def test_seouls_days_give_the_printed_gev_and_edges(
    seoul_indices: dict[str, np.ndarray], make_inputs: Callable[..., CellInputs]
) -> None:
    rx1day = seoul_indices["rx1day"]
    np.testing.assert_allclose(np.ravel(l_moments(rx1day)), [154.406667, 40.435862, 0.228395], atol=5e-7)
    found = assess_risk(make_inputs({"rx1day": rx1day}), RISK, builtin_tables())
    fit = [found.parameters[name][0] for name in ("location", "scale", "shape")]
    np.testing.assert_allclose(fit, [118.476126, 53.334638, -0.089417], atol=5e-7)
    np.testing.assert_allclose(found.edges, [[204.087736, 299.919684, 421.976075]], atol=5e-7)


def test_edges_are_the_return_levels_of_the_cells_baseline(make_inputs: Callable[..., CellInputs]) -> None:
    found = assess_risk(make_inputs({"rx1day": rain(4)}), RISK, builtin_tables())
    baseline = Gev(*(found.parameters[f"baseline_{name}"] for name in ("location", "scale", "shape")))
    np.testing.assert_allclose(found.edges, gev_return_level(baseline, np.array([5.0, 20.0, 100.0])))
    assert (np.diff(found.edges) > 0).all()
    np.testing.assert_array_equal(found.parameters["return_periods"][0], [5, 20, 100])


def test_wetter_years_than_the_baselines_move_mass_to_the_worse_bins(
    make_inputs: Callable[..., CellInputs],
) -> None:
    inputs = make_inputs(
        {"rx1day": rain(3, factor=1.3)},
        baseline_indices={"rx1day": rain(3)},
        window=FUTURE,
        scenario="ssp585",
    )
    found = assess_risk(inputs, RISK, builtin_tables())
    assert (found.probability[:, 0] < 0.8).all()
    assert (found.probability[:, 3] > 0.01).all()
    assert (found.aal > 0.0009).all()
    # Rain times 1.3 is the baseline's GEV with location and scale times 1.3.
    np.testing.assert_allclose(found.parameters["scale"], 1.3 * found.parameters["baseline_scale"])


def test_short_baseline_constant_rain_and_no_rain_have_their_reasons(
    make_inputs: Callable[..., CellInputs],
) -> None:
    window, baseline = rain(5), rain(5)
    baseline[0, 19:] = np.nan
    window[1] = 40.0
    baseline[2] = 40.0
    window[3] = np.nan
    inputs = make_inputs({"rx1day": window}, baseline_indices={"rx1day": baseline}, window=FUTURE)
    found = assess_risk(inputs, RISK, builtin_tables())
    assert found.reason.tolist() == [
        "too_short: baseline 19 of 30",
        "no_data: constant rx1day",
        "no_data: constant rx1day",
        "no_data: rx1day",
        None,
    ]
    assert np.isnan(found.aal).tolist() == [True, True, True, True, False]


def test_score_follows_the_distance_to_the_river(make_inputs: Callable[..., CellInputs]) -> None:
    river_km = np.array([0.0, 0.99, 1.0, 4.9, 5.0, 60.0, np.nan])
    found = assess_risk(make_inputs({"rx1day": rain(7)}, site={"river_km": river_km}), RISK, builtin_tables())
    factor = np.array([1.2, 1.2, 1.0, 1.0, 0.8, 0.8, 1.0])
    np.testing.assert_allclose(found.hazard_score, factor * 13 / 30, atol=1e-12)


@given(st.floats(0.1, 5.0), st.integers(0, 1000))
def test_the_unit_of_rain_does_not_change_the_probabilities(
    make_inputs: Callable[..., CellInputs], factor: float, seed: int
) -> None:
    window, baseline = rain(1, seed=seed, factor=1.1), rain(1, seed=seed + 1)
    plain, scaled = (
        assess_risk(
            make_inputs({"rx1day": f * window}, baseline_indices={"rx1day": f * baseline}, window=FUTURE),
            RISK,
            builtin_tables(),
        )
        for f in (1.0, factor)
    )
    np.testing.assert_allclose(scaled.probability, plain.probability, atol=1e-9)
    assert scaled.aal == pytest.approx(plain.aal, abs=1e-9)
