"""Reference values: METHODS section 2."""

from dataclasses import replace

import numpy as np
import pytest
from records import chunk, plausible_months

from streams.models import water_scarcity
from streams.models.assess import assess_risk
from streams.models.estimators import shrunk_kde
from streams.models.inputs import CellInputs, MonthlySeries, Years, YearTable
from streams.models.risks import RISKS
from streams.models.tables import builtin_tables

RISK = RISKS["water_scarcity"]
RENEWABLE, WITHDRAWAL = 1000.0, 300.0


def basin_cells(cells: int = 2, years: int = 30, first_year: int = 1991) -> CellInputs:
    inputs = chunk(plausible_months(cells, years), first_year=first_year)
    basin = {"renewable_mcm": np.full(cells, RENEWABLE), "withdrawal_mcm": np.full(cells, WITHDRAWAL)}
    return replace(inputs, basin=basin)


def scenario(demand: YearTable | None) -> CellInputs:
    """ssp245 over 2021-2050 after the historical months of 1991-2020."""
    historical = basin_cells()
    months = {name: np.hstack([values, values]) for name, values in historical.months.values.items()}
    return replace(
        historical,
        scenario="ssp245",
        window=Years(2021, 2050),
        months=MonthlySeries(1991, months),
        demand=demand,
    )


def test_fus_equation_gives_the_printed_runoff() -> None:
    rain, et0 = np.array([1000.0, 1300.0]), np.array([1000.0, 1000.0])
    found = water_scarcity.runoff(rain, et0)
    np.testing.assert_allclose(rain - found, [694.488, 1300 - 521.547378], atol=5e-4)
    assert found[1] == pytest.approx(521.547378, abs=5e-7)


def test_runoff_is_zero_without_rain_and_unknown_without_inputs() -> None:
    found = water_scarcity.runoff(
        np.array([0.0, -1.0, np.nan, 500.0]), np.array([900.0, 900.0, 900.0, np.nan])
    )
    assert found[:2].tolist() == [0.0, 0.0]
    assert np.isnan(found[2:]).all()


def test_runoff_stays_between_zero_and_rain() -> None:
    rain, et0 = np.meshgrid(np.geomspace(0.1, 5000, 60), np.geomspace(1, 3000, 60))
    found = water_scarcity.runoff(rain, et0)
    assert ((found >= 0) & (found <= rain)).all()


def test_a_year_without_its_five_is_missing() -> None:
    annual = water_scarcity.annual(basin_cells())
    assert np.isnan(annual.window[:, :4]).all()
    assert np.isfinite(annual.window[:, 4:]).all()
    longer = replace(basin_cells(2, 34, 1987))
    assert np.isfinite(water_scarcity.annual(longer).window).all()


def test_the_ratio_is_withdrawal_over_what_the_baseline_makes_of_the_runoff() -> None:
    inputs = basin_cells(1, 34, 1987)
    annual = water_scarcity.annual(inputs)
    found = water_scarcity.estimate(inputs, annual, np.array([0.25, 0.5, 0.75, 1.0]))
    assert annual.baseline is not None
    expected = WITHDRAWAL / (RENEWABLE * annual.window / annual.baseline.mean() * 0.63)
    np.testing.assert_allclose(found.intensity, expected, rtol=1e-12)
    logs = shrunk_kde(np.log(expected), np.log([0.25, 0.5, 0.75, 1.0]))
    np.testing.assert_allclose(found.probability, logs, atol=1e-14)
    np.testing.assert_allclose(found.probability.sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_array_equal(found.edges, [[0.25, 0.5, 0.75, 1.0]])


def test_runoff_of_the_window_is_that_of_five_year_means() -> None:
    months = {name: np.full((1, 360), 10.0) for name in ("ta", "rn")}
    months["rn"][:] = 100.0
    months["rn"][0, 120:132] = 40.0
    inputs = replace(chunk(months), basin={"renewable_mcm": np.ones(1), "withdrawal_mcm": np.ones(1)})
    annual = water_scarcity.annual(inputs)
    assert annual.basis[0] == "et0: thornthwaite"
    window = annual.window[0]
    np.testing.assert_allclose(window[10:15], window[10], rtol=2e-3)
    assert window[10] < 0.85 * window[9]
    assert window[15] == pytest.approx(window[9], rel=2e-3)


def test_demand_is_linear_between_the_tables_years_and_level_beyond() -> None:
    table = YearTable(np.array([2025.0, 2035.0]), np.array([1.0, 2.0]))
    level = YearTable(np.array([2030.0]), np.array([1.0]))
    found, plain = (assess_risk(scenario(demand), RISK, builtin_tables()) for demand in (table, level))
    ratio = found.intensity[0] / plain.intensity[0]
    np.testing.assert_allclose(ratio[[0, 4, 9, 14, 29]], [1.0, 1.0, 1.5, 2.0, 2.0], rtol=1e-12)


@pytest.mark.parametrize("demand", [None, YearTable(np.empty(0), np.empty(0))])
def test_a_scenario_without_demand_has_no_number(demand: YearTable | None) -> None:
    found = assess_risk(scenario(demand), RISK, builtin_tables())
    assert found.reason.tolist() == ["no_data: demand"] * 2


def test_historical_needs_no_demand() -> None:
    found = assess_risk(basin_cells(), RISK, builtin_tables())
    assert found.reason.tolist() == [None, None]
    assert (found.aal > 0).all()


def test_a_cell_without_a_basin_says_so() -> None:
    inputs = basin_cells()
    inputs.basin["withdrawal_mcm"][0] = np.nan
    found = assess_risk(inputs, RISK, builtin_tables())
    assert found.reason.tolist() == ["no_data: basin", None]
    nowhere = assess_risk(replace(inputs, basin={}), RISK, builtin_tables())
    assert nowhere.reason.tolist() == ["no_data: basin"] * 2


def test_five_years_without_rain_are_ten_times_scarce() -> None:
    inputs = basin_cells(1, 34, 1987)
    inputs.months.values["rn"][0, 120:180] = 0.0
    found = assess_risk(inputs, RISK, builtin_tables())
    assert found.intensity[0, 10] == 10.0
    assert (found.intensity[0] == 10.0).sum() == 1


def test_a_baseline_without_runoff_has_no_number() -> None:
    inputs = basin_cells()
    inputs.months.values["rn"][0] = 0.0
    found = assess_risk(inputs, RISK, builtin_tables())
    assert found.reason.tolist() == ["no_data: runoff", None]


def test_nothing_withdrawn_is_the_mildest_bin() -> None:
    inputs = basin_cells()
    inputs.basin["withdrawal_mcm"][0] = 0.0
    found = assess_risk(inputs, RISK, builtin_tables())
    np.testing.assert_allclose(found.probability[0], [1, 0, 0, 0, 0], atol=1e-12)


def test_missing_rain_and_short_series_are_named() -> None:
    inputs = basin_cells(3)
    inputs.months.values["rn"][0] = np.nan
    inputs.months.values["rn"][1, 12 * 10] = np.nan
    inputs.months.values["rn"][2, 12 * 10 : 12 * 14 : 12] = np.nan
    found = assess_risk(inputs, RISK, builtin_tables())
    assert found.reason.tolist() == ["no_data: rn", None, "too_short: 18 of 30 years"]
