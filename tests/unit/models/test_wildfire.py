from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from records import chunk, korea, korea_indices, plausible_months

from streams.models import fwi, weather, wildfire
from streams.models.assess import assess_risk
from streams.models.inputs import AnnualSeries, CellInputs, MonthlySeries, Years
from streams.models.risks import RISKS
from streams.models.tables import builtin_tables

RISK = RISKS["wildfire"]


def dry_months(cells: int, years: int = 30) -> dict[str, np.ndarray]:
    """Months of a climate whose drawn weather burns on tens of days a year."""
    months = plausible_months(cells, years)
    return months | {
        "tamax": months["tamax"] + 4,
        "rn": months["rn"] / 3,
        "rhm": months["rhm"] - 10,
        "ws": months["ws"] + 1,
    }


def with_days(inputs: CellInputs, days: np.ndarray, first_year: int = 1991) -> CellInputs:
    missing = {name: np.full(days.shape, np.nan) for name in inputs.indices.values}
    series = AnnualSeries(first_year, missing | {"fwi_days": days})
    return replace(inputs, indices=series, baseline_indices=series)


def test_seoul_from_daily_weather_has_the_printed_loss(shared_data: Path) -> None:
    seoul = korea(shared_data).index("Seoul")
    indices = korea_indices(shared_data)
    inputs = chunk(
        {name: values[seoul : seoul + 1] for name, values in indices.monthly.items()},
        indices={name: values[seoul : seoul + 1] for name, values in indices.annual.items()},
    )
    found = assess_risk(inputs, RISK, builtin_tables())
    assert found.intensity.sum() == 83
    assert found.aal[0] == pytest.approx(0.00045420, abs=5e-9)
    assert found.basis.tolist() == ["fwi: daily"]


def test_stored_days_are_used_and_nothing_is_drawn() -> None:
    days = np.tile(np.arange(30.0), (2, 1))
    inputs = with_days(chunk(dry_months(2)), days)
    annual = wildfire.annual(inputs)
    np.testing.assert_array_equal(annual.window, days)
    assert annual.basis.tolist() == ["fwi: daily", "fwi: daily"]


def test_without_stored_days_the_weather_is_drawn() -> None:
    annual = wildfire.annual(chunk(dry_months(3)))
    assert annual.basis.tolist() == ["fwi: drawn"] * 3
    assert np.isfinite(annual.window).all()
    assert 20 < annual.window.mean() < 200
    assert (annual.window == np.round(annual.window)).all()


def test_years_without_stored_days_are_drawn_beside_those_that_have_them() -> None:
    days = np.full((2, 30), 4.0)
    days[0, 20:] = np.nan
    inputs = chunk(dry_months(2))
    drawn = wildfire.annual(inputs).window
    annual = wildfire.annual(with_days(inputs, days))
    assert annual.basis.tolist() == ["fwi: daily, drawn", "fwi: daily"]
    np.testing.assert_array_equal(annual.window[0], [*[4.0] * 20, *drawn[0, 20:]])


def test_a_rerun_and_another_chunk_give_the_same_days() -> None:
    months = dry_months(4)
    inputs = chunk(months)
    whole = wildfire.annual(inputs).window
    np.testing.assert_array_equal(wildfire.annual(inputs).window, whole)
    alone = replace(
        chunk({name: values[2:3] for name, values in months.items()}),
        latitude=inputs.latitude[2:3],
        longitude=inputs.longitude[2:3],
    )
    np.testing.assert_array_equal(wildfire.annual(alone).window, whole[2:3])


def test_codes_of_a_scenario_come_from_the_historical_year_before() -> None:
    months = dry_months(2, 60)
    months["rn"][:, :360] = 0.0
    after_drought = replace(chunk(months, first_year=1991), window=Years(2021, 2050))
    wet = {name: values.copy() for name, values in months.items()}
    wet["rn"][:, :360] = 250.0
    after_rain = replace(chunk(wet, first_year=1991), window=Years(2021, 2050))
    dry_days, wet_days = (wildfire.annual(inputs).window for inputs in (after_drought, after_rain))
    assert (dry_days[:, 0] > wet_days[:, 0]).all()
    np.testing.assert_array_equal(dry_days[:, 5:], wet_days[:, 5:])


def test_the_settling_years_before_the_window_hardly_matter_beyond_the_first() -> None:
    months = dry_months(20, 60)
    longer = wildfire.annual(replace(chunk(months), window=Years(2011, 2050)))
    shorter = wildfire.annual(replace(chunk(months), window=Years(2021, 2050)))
    assert longer.window.mean() > 20
    np.testing.assert_allclose(shorter.window[:, 0], longer.window[:, 10], atol=2)
    np.testing.assert_array_equal(shorter.window[:, 3:], longer.window[:, 13:])


@pytest.mark.parametrize(
    ("missing", "reason"),
    [(("rhm", "ws"), "no_data: rhm, ws"), (("ws",), "no_data: ws"), (("tamax",), "no_data: tamax")],
)
def test_a_cell_without_days_and_without_a_variable_says_which(missing: tuple[str, ...], reason: str) -> None:
    months = dry_months(2)
    for name in missing:
        months[name][0] = np.nan
    found = assess_risk(chunk(months), RISK, builtin_tables())
    assert found.reason.tolist() == [reason, None]
    assert found.basis.tolist() == [None, "fwi: drawn"]


def test_years_that_lack_a_month_count_as_missing() -> None:
    months = dry_months(1)
    months["ws"][0, 6 : 12 * 11 : 12] = np.nan
    found = assess_risk(chunk(months), RISK, builtin_tables())
    assert found.reason.tolist() == ["too_short: 19 of 30 years"]
    assert np.isnan(found.intensity[0, :11]).all()


def test_a_scenario_of_months_follows_a_historical_of_days() -> None:
    historical = with_days(chunk(dry_months(1)), np.full((1, 30), 3.0))
    months = MonthlySeries(1991, chunk(dry_months(1, 60)).months.values)
    future = replace(historical, scenario="ssp245", window=Years(2011, 2040), months=months)
    annual = wildfire.annual(future)
    assert annual.basis.tolist() == ["fwi: daily, drawn"]
    assert annual.window[0, :10].tolist() == [3.0] * 10
    assert (annual.window[0, 10:] != 3.0).any()


def test_kernels_compiled_beforehand_are_those_that_a_chunk_runs() -> None:
    wildfire.compile_kernels()
    wildfire.annual(chunk(dry_months(3)))
    assert [len(kernel.signatures) for kernel in (weather._draw_year, fwi.run_years)] == [1, 1]


def test_land_cover_scales_the_score() -> None:
    inputs = replace(
        chunk(dry_months(6)),
        land_cover=np.array(["forest", "grassland", "cropland", "water", "urban", None], dtype=object),
    )
    assert wildfire.susceptibility(inputs).tolist() == [1.3, 1.2, 0.8, 0.0, 1.0, 1.0]
    assert assess_risk(inputs, RISK, builtin_tables()).hazard_score[3] == 0.0
