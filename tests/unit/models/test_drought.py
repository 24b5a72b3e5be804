"""Reference values: METHODS section 2, on the Iberian records."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from records import chunk, iberia, plausible_months

from streams.models import drought
from streams.models.assess import assess_risk
from streams.models.inputs import CellInputs, MonthlySeries, Years
from streams.models.risks import RISKS
from streams.models.tables import builtin_tables

RISK = RISKS["drought"]
EDGES = np.array([1.0, 1.5, 2.0])


@pytest.fixture(scope="module")
def cadiz(shared_data: Path) -> int:
    """Position of the cell 36.25, -6.25."""
    inputs = iberia(shared_data)
    return int(np.flatnonzero((inputs.latitude == 36.25) & (inputs.longitude == -6.25))[0])


def test_the_iberian_cell_has_the_printed_fit_and_spei(shared_data: Path, cadiz: int) -> None:
    inputs = iberia(shared_data)
    annual = drought.annual(inputs)
    assert annual.basis[cadiz] == "et0: hargreaves"
    found = drought.estimate(inputs, annual, EDGES)
    fit = [found.parameters[name][cadiz] for name in ("location", "scale", "shape")]
    np.testing.assert_allclose(fit, [-812.899067, 80.650144, -0.309209], atol=5e-7)
    spei = -found.intensity[cadiz]
    np.testing.assert_allclose(spei[[0, 24]], [-0.967336, -1.693798], atol=5e-7)


def test_the_iberian_cell_has_the_printed_probabilities_and_loss(shared_data: Path, cadiz: int) -> None:
    found = assess_risk(iberia(shared_data), RISK, builtin_tables())
    np.testing.assert_allclose(
        found.probability[cadiz], [0.845344, 0.099942, 0.043977, 0.010737], atol=5.1e-7
    )
    assert found.aal[cadiz] == pytest.approx(0.00072246, abs=5e-9)


def test_every_iberian_cell_has_a_number(shared_data: Path) -> None:
    found = assess_risk(iberia(shared_data), RISK, builtin_tables())
    assert not found.reason.astype(bool).any()
    np.testing.assert_allclose(found.probability.sum(axis=1), 1.0, atol=1e-12)
    assert np.abs(found.intensity).max() <= 3.0


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        (("rn",), "no_data: rn"),
        (("ta", "tamax", "tamin"), "no_data: ta"),
        (("rn", "ta", "tamax", "tamin"), "no_data: rn, ta"),
    ],
)
def test_a_cell_without_rain_or_temperature_says_so(missing: tuple[str, ...], reason: str) -> None:
    months = plausible_months(2, 30)
    for name in missing:
        months[name][0] = np.nan
    found = assess_risk(chunk(months), RISK, builtin_tables())
    assert found.reason.tolist() == [reason, None]
    assert np.isnan(found.probability[0]).all()
    assert np.isfinite(found.aal[1])


def test_one_missing_month_a_year_leaves_too_few_years() -> None:
    months = plausible_months(2, 30)
    months["rn"][0, 5 : 12 * 11 : 12] = np.nan
    found = assess_risk(chunk(months), RISK, builtin_tables())
    assert found.reason.tolist() == ["too_short: 19 of 30 years", None]


def future(change: Callable[[dict[str, np.ndarray]], None]) -> CellInputs:
    """ssp245 over 2021-2050 whose months are those of 1991-2020, changed."""
    historical = chunk(plausible_months(3, 30))
    months = {name: np.hstack([values, values]) for name, values in historical.months.values.items()}
    change(months)
    return replace(
        historical, scenario="ssp245", window=Years(2021, 2050), months=MonthlySeries(1991, months)
    )


def test_a_drier_future_is_measured_against_the_baseline() -> None:
    def drier(months: dict[str, np.ndarray]) -> None:
        months["rn"][:, 360:] *= 0.7

    same = assess_risk(future(lambda _: None), RISK, builtin_tables())
    dry = assess_risk(future(drier), RISK, builtin_tables())
    assert (dry.aal > 3 * same.aal).all()
    assert (dry.intensity > same.intensity).all()
    np.testing.assert_allclose(dry.parameters["location"], same.parameters["location"], rtol=1e-12)


def test_a_short_baseline_is_named() -> None:
    inputs = future(lambda _: None)
    inputs.baseline_months.values["rn"][1, : 12 * 11] = np.nan
    found = assess_risk(inputs, RISK, builtin_tables())
    assert found.reason.tolist() == [None, "too_short: baseline 19 of 30", None]


def test_a_constant_water_balance_has_no_distribution() -> None:
    months = {name: np.tile(values[:, :12], 30) for name, values in plausible_months(1, 30).items()}
    months["ta"][:] = months["tamax"][:] = months["tamin"][:] = -5.0
    found = assess_risk(chunk(months), RISK, builtin_tables())
    assert found.reason.tolist() == ["no_data: constant water_balance"]
