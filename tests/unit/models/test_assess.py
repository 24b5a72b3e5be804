from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streams.models.assess import NOT_A_DISTRIBUTION, assess, assess_risk
from streams.models.bootstrap import uniform
from streams.models.estimators import count_bins, hurdle
from streams.models.frame import (
    Annual,
    Estimate,
    Risk,
    annual_index,
    blank,
    no_labels,
    no_susceptibility,
    window_reason,
)
from streams.models.inputs import Array, CellInputs, Years
from streams.models.risks import RISKS
from streams.models.tables import builtin_tables, load_tables

INDEXED = ("high_temperature", "cold_wave", "inland_flood", "urban_flood")
FUTURE = Years(2021, 2050)
MakeInputs = Callable[..., CellInputs]


def chunk(make_inputs: MakeInputs, cells: int, *, years_missing: int = 0) -> CellInputs:
    """A future window wetter than its baseline, every cell with its own years."""
    random = np.random.default_rng(11)
    spells = np.where(random.random((2, cells, 30)) < 0.5, 0.0, random.integers(6, 40, (2, cells, 30)))
    window = random.gumbel(130, 45, (cells, 30)).clip(20)
    for values in (*spells, window):
        values[:, 30 - years_missing :] = np.nan
    return make_inputs(
        {"wsdi": spells[0], "csdi": spells[1], "rx1day": window},
        baseline_indices={"rx1day": random.gumbel(120, 40, (cells, 30)).clip(20)},
        site={"imperviousness": np.full(cells, 0.8), "slope": np.full(cells, 0.02)},
        window=FUTURE,
        scenario="ssp585",
    )


def test_loss_is_the_probability_times_the_damage_and_rows_sum_to_one(make_inputs: MakeInputs) -> None:
    found = assess(chunk(make_inputs, 8), INDEXED, builtin_tables())
    assert list(found) == list(INDEXED)
    for assessment in found.values():
        assert assessment.reason.tolist() == [None] * 8
        np.testing.assert_allclose(assessment.probability.sum(axis=1), 1.0, rtol=0, atol=1e-12)
        np.testing.assert_allclose(assessment.aal, assessment.probability @ assessment.risk.damage)
        assert ((assessment.hazard_score >= 0) & (assessment.hazard_score <= 1)).all()
        assert assessment.intensity.shape == (8, 30)
        assert assessment.edges.shape == (8, len(assessment.risk.edges))
        assert assessment.years[[0, -1]].tolist() == [2021, 2050]
        assert assessment.aal_p05 is None
        assert assessment.aal_p95 is None


def test_a_cell_without_input_leaves_the_others_as_they_are(make_inputs: MakeInputs) -> None:
    inputs = chunk(make_inputs, 4)
    whole = assess(inputs, INDEXED, builtin_tables())
    for values in inputs.indices.values.values():
        values[2] = np.nan
    holed = assess(inputs, INDEXED, builtin_tables())
    for name in INDEXED:
        assert holed[name].reason[2].startswith("no_data: ")
        assert np.isnan(holed[name].aal[2])
        assert np.isnan(holed[name].hazard_score[2])
        assert holed[name].hazard_level[2] is None
        np.testing.assert_array_equal(holed[name].aal[[0, 1, 3]], whole[name].aal[[0, 1, 3]])


def test_nine_risks_without_any_input_give_nine_reasons_and_no_number(make_inputs: MakeInputs) -> None:
    found = assess(make_inputs({"wsdi": np.full((3, 30), np.nan)}), list(RISKS), builtin_tables())
    assert len(found) == 9
    for name, assessment in found.items():
        assert all(reason.startswith("no_data: ") for reason in assessment.reason), name
        assert np.isnan(assessment.probability).all(), name
        assert np.isnan(assessment.aal).all(), name
        assert np.isnan(assessment.hazard_score).all(), name
        assert assessment.probability.shape == (3, len(assessment.risk.damage)), name


def test_an_unknown_risk_names_those_allowed(make_inputs: MakeInputs) -> None:
    with pytest.raises(ValueError, match="unknown risk flood; allowed are high_temperature, cold_wave"):
        assess(chunk(make_inputs, 1), ["cold_wave", "flood"], builtin_tables())


def test_what_is_not_a_distribution_never_passes_as_a_number(make_inputs: MakeInputs) -> None:
    row = RISKS["cold_wave"]

    def broken(inputs: CellInputs, annual: Annual, edges: Array) -> Estimate:
        estimate = row.estimate(inputs, annual, edges)
        probability = estimate.probability.copy()
        probability[0] *= 1 + 1e-9
        probability[1] = np.nan
        probability[2] = [1.5, -0.5, 0, 0, 0]
        return replace(estimate, probability=probability)

    inputs = chunk(make_inputs, 4)
    found = assess_risk(inputs, replace(row, estimate=broken), builtin_tables())
    assert found.reason.tolist() == [NOT_A_DISTRIBUTION] * 3 + [None]
    assert np.isnan(found.aal).tolist() == [True, True, True, False]


def test_an_exception_of_a_risk_reaches_the_caller_alone(make_inputs: MakeInputs) -> None:
    def fails(_inputs: CellInputs) -> Annual:
        raise ZeroDivisionError("no such year")

    inputs = chunk(make_inputs, 2)
    with pytest.raises(ZeroDivisionError, match="no such year"):
        assess_risk(inputs, replace(RISKS["cold_wave"], annual=fails), builtin_tables())
    assert assess_risk(inputs, RISKS["high_temperature"], builtin_tables()).reason.tolist() == [None, None]


def wettest_day(inputs: CellInputs) -> Annual:
    window = annual_index(inputs.indices, "rx1day", inputs.window)
    return Annual(window, None, {}, window_reason(window, "rx1day"), no_labels(len(window)))


def counted(_inputs: CellInputs, annual: Annual, edges: Array) -> Estimate:
    return Estimate(
        intensity=annual.window,
        edges=np.broadcast_to(edges, (len(annual.window), len(edges))),
        probability=blank(count_bins(annual.window, edges), annual.reason),
        parameters={},
        reason=annual.reason,
    )


def test_a_tenth_risk_is_a_row_of_its_own(make_inputs: MakeInputs) -> None:
    landslide = Risk(
        name="landslide",
        title="Landslide",
        intensity="annual maximum rain of one day",
        unit="mm",
        estimator="counts",
        edges=(100, 200),
        damage=(0, 0.1, 0.4),
        inputs=("indices",),
        annual=wettest_day,
        estimate=counted,
        susceptibility=no_susceptibility,
    )
    rx1day = np.array([[50.0] * 15 + [100.0] * 9 + [250.0] * 6])
    found = assess_risk(make_inputs({"rx1day": rx1day}), landslide, builtin_tables(), uncertainty=True)
    np.testing.assert_allclose(found.probability, [[0.5, 0.3, 0.2]])
    assert found.aal[0] == pytest.approx(0.11)
    assert found.hazard_score[0] == pytest.approx(1.0)
    assert found.aal_p05 is not None
    assert found.aal_p95 is not None
    assert found.aal_p05[0] < 0.11 < found.aal_p95[0]


def test_a_tenth_risk_may_have_its_own_table(tmp_path: Path, make_inputs: MakeInputs) -> None:
    row = replace(RISKS["cold_wave"], name="frost")
    path = tmp_path / "risks.toml"
    path.write_text("[frost]\ndamage = [0, 0, 0, 0, 1]\n")
    tables = load_tables(path, {"frost": row})
    csdi = np.array([[0.0] * 24 + [45.0] * 6])
    assert assess_risk(make_inputs({"csdi": csdi}), row, tables).aal[0] == pytest.approx(0.2)


def test_percentiles_hold_the_loss_between_them(make_inputs: MakeInputs) -> None:
    found = assess(chunk(make_inputs, 20), INDEXED, builtin_tables(), uncertainty=True)
    for assessment in found.values():
        assert assessment.aal_p05 is not None
        assert assessment.aal_p95 is not None
        assert (assessment.aal_p05 < assessment.aal_p95).all()
        between = (assessment.aal_p05 < assessment.aal) & (assessment.aal < assessment.aal_p95)
        assert between.mean() >= 0.9


def test_percentiles_are_those_of_a_plain_bootstrap(make_inputs: MakeInputs) -> None:
    wsdi = np.array([[0.0] * 15 + list(range(6, 36, 2))], dtype=float)
    found = assess(make_inputs({"wsdi": wsdi}), ["high_temperature"], builtin_tables(), uncertainty=True)
    years = wsdi[0][np.random.default_rng(0).integers(0, 30, (20_000, 30))]
    probability = hurdle(years, np.array([2.5, 7.5, 19.5, 39.5]), 5.5)
    peer = np.percentile(probability @ np.array(RISKS["high_temperature"].damage), [5, 95])
    assessment = found["high_temperature"]
    # 200 draws leave the percentiles of a spread of 0.0045 uncertain by about a tenth of it.
    assert assessment.aal_p05 == pytest.approx(peer[0], abs=4e-4)
    assert assessment.aal_p95 == pytest.approx(peer[1], abs=4e-4)


def test_a_rerun_and_another_chunk_give_the_same_percentiles(make_inputs: MakeInputs) -> None:
    inputs = chunk(make_inputs, 12)
    again = assess(inputs, INDEXED, builtin_tables(), uncertainty=True)
    first = assess(inputs, INDEXED, builtin_tables(), uncertainty=True)
    alone = replace(
        inputs,
        latitude=inputs.latitude[7:8],
        longitude=inputs.longitude[7:8],
        site={name: values[7:8] for name, values in inputs.site.items()},
        indices=replace(inputs.indices, values={k: v[7:8] for k, v in inputs.indices.values.items()}),
        baseline_indices=replace(
            inputs.baseline_indices, values={k: v[7:8] for k, v in inputs.baseline_indices.values.items()}
        ),
    )
    single = assess(alone, INDEXED, builtin_tables(), uncertainty=True)
    for name in INDEXED:
        np.testing.assert_array_equal(first[name].aal_p05, again[name].aal_p05)
        np.testing.assert_array_equal(first[name].aal_p95, again[name].aal_p95)
        np.testing.assert_allclose(single[name].aal_p95, first[name].aal_p95[7:8], rtol=1e-9)  # type: ignore[index]


def test_missing_years_are_never_drawn(make_inputs: MakeInputs) -> None:
    found = assess(chunk(make_inputs, 5, years_missing=10), INDEXED, builtin_tables(), uncertainty=True)
    for assessment in found.values():
        assert assessment.reason.tolist() == [None] * 5
        assert np.isfinite(assessment.aal_p05).all()  # type: ignore[arg-type]
        assert np.isfinite(assessment.aal_p95).all()  # type: ignore[arg-type]


def test_inland_flood_of_the_baselines_own_years_has_no_percentiles(make_inputs: MakeInputs) -> None:
    rx1day = np.random.default_rng(2).gumbel(120, 40, (3, 30))
    site = {"imperviousness": np.full(3, 0.8), "slope": np.full(3, 0.02)}
    found = assess(
        make_inputs({"rx1day": rx1day}, site=site),
        ["inland_flood", "urban_flood"],
        builtin_tables(),
        uncertainty=True,
    )
    assert np.isnan(found["inland_flood"].aal_p05).all()  # type: ignore[arg-type]
    assert np.isnan(found["inland_flood"].aal_p95).all()  # type: ignore[arg-type]
    assert np.isfinite(found["urban_flood"].aal_p95).all()  # type: ignore[arg-type]


def test_a_cell_without_a_number_has_no_percentiles(make_inputs: MakeInputs) -> None:
    inputs = chunk(make_inputs, 3)
    inputs.indices.values["rx1day"][0] = np.nan
    inputs.indices.values["rx1day"][1] = 80.0
    found = assess(inputs, ["inland_flood"], builtin_tables(), uncertainty=True)["inland_flood"]
    assert found.reason.tolist() == ["no_data: rx1day", "no_data: constant rx1day", None]
    assert np.isnan(found.aal_p05).tolist() == [True, True, False]  # type: ignore[arg-type]


def test_draws_are_even_and_their_streams_apart() -> None:
    seeds = np.arange(20, dtype=np.uint64)
    window, baseline = uniform(seeds, 1, 5000), uniform(seeds, 2, 5000)
    assert window.min() >= 0
    assert window.max() < 1
    shares = np.histogram(window, bins=10, range=(0, 1))[0] / window.size
    np.testing.assert_allclose(shares, 0.1, atol=0.005)
    together = np.corrcoef(np.concatenate([window, baseline]))
    assert np.abs(together - np.eye(40)).max() < 0.08
