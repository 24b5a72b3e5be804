"""Reference values: FAO-56 examples 17 and 18, METHODS section 2."""

from dataclasses import replace

import numpy as np
import pytest
from records import chunk, plausible_months

from streams.models.evapotranspiration import (
    SurfaceWeather,
    clear_sky_radiation,
    daylight,
    et0_basis,
    extraterrestrial_radiation,
    hargreaves,
    monthly_et0,
    penman_monteith,
    saturation_pressure,
    thornthwaite,
)
from streams.models.inputs import MonthlySeries, Years


def sunshine_radiation(latitude: float, day: float, hours: float) -> tuple[float, float]:
    """Solar radiation by FAO-56 eq. 35 from hours of sunshine, and Ra [MJ/m2/day]."""
    top = extraterrestrial_radiation(latitude, day)
    return (0.25 + 0.5 * hours / daylight(latitude, day)) * top, top


def test_fao_example_17_from_bangkok_in_april() -> None:
    radiation, top = sunshine_radiation(13 + 44 / 60, 105.0, 8.5)
    weather = SurfaceWeather(*(np.float64(value) for value in (34.8, 25.6, 2.85, 2.0, radiation)))
    et0 = penman_monteith(weather, clear_sky_radiation(top, 2.0), np.float64(2.0), np.float64(0.14))
    assert et0 == pytest.approx(5.716, abs=5e-4)


def test_fao_example_18_from_brussels_in_july() -> None:
    radiation, top = sunshine_radiation(50.8, 187.0, 9.25)
    vapour = (saturation_pressure(12.3) * 0.84 + saturation_pressure(21.5) * 0.63) / 2
    weather = SurfaceWeather(*(np.float64(value) for value in (21.5, 12.3, vapour, 2.078, radiation)))
    et0 = penman_monteith(weather, clear_sky_radiation(top, 100.0), np.float64(100.0), np.float64(0.0))
    assert et0 == pytest.approx(3.880, abs=5e-4)


def test_hargreaves_gives_the_printed_radiation_and_evaporation() -> None:
    top = extraterrestrial_radiation(45.72, 196.0)
    assert top == pytest.approx(40.554556, abs=5e-7)
    assert hargreaves(np.float64(26.6), np.float64(14.8), top) == pytest.approx(5.033028, abs=5e-7)


def test_hargreaves_of_a_month_whose_extremes_are_swapped_is_zero() -> None:
    assert hargreaves(np.float64(10.0), np.float64(12.0), np.float64(30.0)) == 0.0


def test_the_polar_night_has_no_radiation_and_the_polar_day_24_hours() -> None:
    assert extraterrestrial_radiation(80.0, 349.0) == pytest.approx(0.0, abs=1e-12)
    assert daylight(80.0, 166.0) == pytest.approx(24.0)


def test_thornthwaite_evaporates_nothing_below_freezing_and_its_formula_above() -> None:
    normals = np.array([[-5.0, -2, 3, 9, 15, 19, 22, 22, 17, 11, 4, -2]])
    et0 = thornthwaite(normals, normals, np.full((1, 12), 12.0), np.full(12, 30.0))[0]
    heat = sum((t / 5) ** 1.514 for t in normals[0] if t > 0)
    exponent = 6.75e-7 * heat**3 - 7.71e-5 * heat**2 + 1.792e-2 * heat + 0.49239
    assert et0[[0, 1, 11]].tolist() == [0.0, 0.0, 0.0]
    assert et0[6] == pytest.approx(16 * (220 / heat) ** exponent)
    assert et0[6] == pytest.approx(108.6, abs=0.5)


def test_a_thaw_where_every_normal_is_frozen_has_no_thornthwaite_number() -> None:
    thaw = np.full((1, 12), -4.0)
    thaw[0, 6] = 1.0
    et0 = thornthwaite(thaw, np.full((1, 12), -4.0), np.full((1, 12), 12.0), np.full(12, 30.0))[0]
    assert np.isnan(et0[6])
    assert np.isfinite(np.delete(et0, 6)).all()


def test_each_cell_takes_the_best_method_that_it_has() -> None:
    months = plausible_months(5, 30)
    months["si"] = np.full((5, 360), 14.0)
    months["ws"][1] = np.nan
    months["tamax"][2] = np.nan
    for name in months:
        months[name][3] = np.nan
    inputs = chunk(months)
    inputs.site["elevation_m"][4] = np.nan
    basis = et0_basis(monthly_et0(inputs)).tolist()
    assert basis == [
        "et0: penman-monteith",
        "et0: hargreaves",
        "et0: thornthwaite",
        None,
        "et0: hargreaves",
    ]


def test_a_month_without_radiation_stays_missing_and_the_cell_keeps_its_method() -> None:
    months = plausible_months(1, 30)
    months["si"] = np.full((1, 360), 14.0)
    months["si"][0, 100] = np.nan
    et0 = monthly_et0(chunk(months))
    assert et0.method[0] == "penman-monteith"
    assert np.flatnonzero(np.isnan(et0.window[0])).tolist() == [100]


def test_eleven_years_without_radiation_leave_too_few_for_penman_monteith() -> None:
    months = plausible_months(1, 30)
    months["si"] = np.full((1, 360), 14.0)
    months["si"][0, : 11 * 12] = np.nan
    assert monthly_et0(chunk(months)).method[0] == "hargreaves"


def test_a_scenario_without_wind_takes_the_baseline_to_its_method_too() -> None:
    months = plausible_months(1, 30)
    months["si"] = np.full((1, 360), 14.0)
    historical = chunk(months)
    future = {name: np.hstack([values, values]) for name, values in historical.months.values.items()}
    future["ws"][:, 360:] = np.nan
    inputs = replace(
        historical, scenario="ssp245", window=Years(2021, 2050), months=MonthlySeries(1991, future)
    )
    et0 = monthly_et0(inputs)
    assert et0.method[0] == "hargreaves"
    # 2021 and 1991 are both common years with the same temperatures.
    np.testing.assert_allclose(et0.window[0, :12], et0.baseline[0, :12], rtol=1e-12)


def test_soil_heat_crosses_the_years_and_stops_at_the_ends() -> None:
    months = plausible_months(1, 30)
    months["si"] = np.full((1, 360), 14.0)
    whole = monthly_et0(chunk(months)).window
    late = monthly_et0(replace(chunk(months), window=Years(1996, 2020))).window
    np.testing.assert_allclose(late, whole[:, 60:], rtol=1e-12)
    assert np.isfinite(whole).all()


def test_february_of_a_leap_year_evaporates_29_days() -> None:
    months = {name: np.tile(values[:, :12], 30) for name, values in plausible_months(1, 30).items()}
    february = monthly_et0(chunk(months)).window[0, 1::12]
    assert february[1] / february[0] == pytest.approx(29 / 28)
    assert february[2] == pytest.approx(february[0])


def test_look_back_reaches_before_the_window_and_is_missing_before_the_series() -> None:
    months = plausible_months(1, 30)
    inputs = replace(chunk(months), window=Years(1993, 2020))
    et0 = monthly_et0(inputs, look_back=4)
    assert et0.window.shape == (1, 12 * 32)
    assert np.isnan(et0.window[0, :24]).all()
    assert np.isfinite(et0.window[0, 24:]).all()


def test_a_cell_has_the_same_et0_alone_and_in_a_chunk() -> None:
    months = plausible_months(4, 30)
    months["si"] = np.full((4, 360), 14.0)
    months["rhm"][2, 30] = np.nan
    together = monthly_et0(chunk(months)).window
    alone = monthly_et0(chunk({name: values[2:3] for name, values in months.items()})).window
    np.testing.assert_array_equal(together[2:3], alone)
