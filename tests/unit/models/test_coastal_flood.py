from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import genextreme

from streams.models.assess import assess_risk
from streams.models.coastal_flood import annual, estimate, sea_level_rise
from streams.models.frame import Assessment
from streams.models.hazard import expected_shortfall
from streams.models.inputs import Array, CellInputs, Years, YearTable
from streams.models.risks import RISKS
from streams.models.tables import builtin_tables

MakeInputs = Callable[..., CellInputs]
RISK = RISKS["coastal_flood"]
NAN = np.nan
FUTURE = Years(2021, 2050)

BUSAN_SSP585 = YearTable(
    years=np.arange(2020.0, 2101.0, 10.0),
    values=np.array([53.0, 107.0, 172.0, 253.0, 336.0, 438.0, 556.0, 695.0, 846.0]),
)
"""Median rise [mm], PSMSL site 955, total workflow: IPCC AR6 WG1 chapter 9."""

GEV = {"location_m": 0.9, "scale_m": 0.12, "shape": 0.05}


@pytest.fixture
def coast(make_inputs: MakeInputs) -> Callable[..., CellInputs]:
    """Cells 1 km from the coast at Busan's rise, with the station of the published check."""

    def build(  # noqa: PLR0913 - one argument per input of the sea
        elevation: list[float],
        *,
        coast_km: list[float] | None = None,
        station: Mapping[str, Array] | None = None,
        rise: YearTable | None = BUSAN_SSP585,
        scenario: str = "ssp585",
        window: Years = FUTURE,
    ) -> CellInputs:
        cells = len(elevation)
        distance = np.ones(cells) if coast_km is None else np.array(coast_km)
        base = make_inputs(
            {"rx1day": np.full((cells, len(window)), NAN)},
            baseline_indices={"rx1day": np.full((cells, 30), NAN)},
            site={"elevation_m": np.array(elevation), "coast_km": distance},
            window=window,
            scenario=scenario,
        )
        gev = {name: np.full(cells, value) for name, value in GEV.items()}
        return replace(base, sea_level=gev if station is None else station, sea_level_rise=rise)

    return build


def assess(inputs: CellInputs, *, uncertainty: bool = False) -> Assessment:
    return assess_risk(inputs, RISK, builtin_tables(), uncertainty=uncertainty)


def test_busan_until_2050_has_the_published_numbers(coast: Callable[..., CellInputs]) -> None:
    found = assess(coast([1.5]))
    assert found.reason[0] is None
    np.testing.assert_array_equal(
        found.probability[0].round(6), [0.982128, 0.011481, 0.005711, 0.000625, 0.000054, 0.000000]
    )
    assert found.aal[0].round(8) == 0.00130669
    assert expected_shortfall(found.probability)[0].round(6) == 0.024996
    assert found.hazard_score[0].round(6) == 0.024996


def test_exceedance_is_the_mean_of_the_years_distributions(coast: Callable[..., CellInputs]) -> None:
    inputs, edges = coast([0.7, 1.0, 2.0]), np.array([0.0, 0.1, 0.3, 0.5, 1.0])
    found = estimate(inputs, annual(inputs), edges)
    rise = np.interp(np.arange(2021, 2051), BUSAN_SSP585.years, BUSAN_SSP585.values) / 1000
    for cell, ground in enumerate([0.7, 1.0, 2.0]):
        level = ground + edges[:, None] - rise
        exceeded = genextreme.sf(level, 0.05, loc=0.9, scale=0.12).mean(axis=1)
        expected = -np.diff(exceeded, prepend=1.0, append=0.0)
        np.testing.assert_allclose(found.probability[cell], expected, atol=1e-14)


def test_yearly_intensity_is_the_median_depth_and_never_below_the_ground(
    coast: Callable[..., CellInputs],
) -> None:
    found = assess(coast([0.8, 1.5]))
    median = genextreme.median(0.05, loc=0.9, scale=0.12)
    np.testing.assert_allclose(found.intensity[0, [9, 29]], median - 0.8 + np.array([0.107, 0.253]))
    assert (found.intensity[1] == 0).all()
    assert list(found.years[[0, -1]]) == [2021, 2050]


def test_cells_far_from_the_sea_or_high_above_it_are_never_flooded(coast: Callable[..., CellInputs]) -> None:
    nowhere = {name: np.full(4, NAN) for name in GEV}
    found = assess(coast([2.0, 20.5, NAN, 2.0], coast_km=[10.0, 0.1, 40.0, 9.99], station=nowhere, rise=None))
    np.testing.assert_array_equal(found.probability[:3], [[1, 0, 0, 0, 0, 0]] * 3)
    np.testing.assert_array_equal(found.aal[:3], 0)
    np.testing.assert_array_equal(found.intensity[:3], 0)
    assert list(found.reason) == [None, None, None, "no_data: station"]


def test_a_cell_20_m_high_is_within_reach(coast: Callable[..., CellInputs]) -> None:
    found = assess(coast([20.0]))
    assert found.reason[0] is None
    assert found.parameters["reached"][0] == 1


def test_what_a_cell_near_the_coast_lacks_is_its_reason(coast: Callable[..., CellInputs]) -> None:
    station = {name: np.array([value, value, value, value, NAN]) for name, value in GEV.items()}
    rise = YearTable(BUSAN_SSP585.years, np.tile(BUSAN_SSP585.values, (5, 1)))
    rise.values[3] = NAN
    found = assess(
        coast([1.0, NAN, 1.0, 1.0, 1.0], coast_km=[1.0, 1.0, NAN, 1.0, 1.0], station=station, rise=rise)
    )
    assert list(found.reason) == [
        None,
        "no_data: elevation_m",
        "no_data: coast_km",
        "no_data: sea_level_rise",
        "no_data: station",
    ]
    assert np.isnan(found.probability[1:]).all()
    assert np.isnan(found.intensity[1:]).all()
    assert np.isnan(found.aal[1:]).all()


def test_cells_without_any_station_table_have_that_reason(coast: Callable[..., CellInputs]) -> None:
    assert assess(coast([1.0], station={})).reason[0] == "no_data: station"


def test_rise_is_nothing_up_to_2005_and_linear_from_there(coast: Callable[..., CellInputs]) -> None:
    rise = sea_level_rise(coast([1.0, 2.0], window=Years(2001, 2030)))
    assert rise.shape == (2, 30)
    np.testing.assert_array_equal(rise[:, :5], 0)
    np.testing.assert_allclose(rise[1, [5, 19, 24, 29]], [0.053 / 15, 0.053, 0.080, 0.107])


def test_a_gap_in_a_stations_rise_is_bridged_and_its_end_is_not(coast: Callable[..., CellInputs]) -> None:
    values = np.array([[50.0, 100.0, 180.0], [50.0, NAN, 180.0], [50.0, 100.0, NAN], [NAN, NAN, NAN]])
    inputs = coast([1.0] * 4, rise=YearTable(np.array([2020.0, 2030.0, 2050.0]), values))
    rise = sea_level_rise(inputs)
    np.testing.assert_allclose(rise[:2, 9], [0.100, 0.050 + 0.130 / 3])
    np.testing.assert_allclose(rise[2, :10], np.arange(0.055, 0.1001, 0.005))
    assert np.isnan(rise[2, 10:]).all()
    assert np.isnan(rise[3]).all()


def test_a_window_beyond_the_table_has_no_number(coast: Callable[..., CellInputs]) -> None:
    assert assess(coast([1.0], window=Years(2071, 2100))).reason[0] is None
    assert assess(coast([1.0], window=Years(2072, 2101))).reason[0] == "no_data: sea_level_rise"


def test_the_sea_of_historical_years_does_not_rise(coast: Callable[..., CellInputs]) -> None:
    inputs = coast([0.9], scenario="historical", window=Years(1991, 2020))
    assert (sea_level_rise(inputs) == 0).all()
    assert assess(inputs).probability[0, 0] == pytest.approx(np.exp(-1))


def test_a_short_window_says_so(coast: Callable[..., CellInputs]) -> None:
    found = assess(coast([1.0, 30.0], window=Years(2041, 2050)))
    assert list(found.reason) == ["too_short: 10 of 10 years", None]


def test_the_bootstrap_draws_the_years_rise(coast: Callable[..., CellInputs]) -> None:
    found = assess(coast([1.0, 30.0, NAN]), uncertainty=True)
    assert found.aal_p05 is not None
    assert found.aal_p95 is not None
    assert found.aal_p05[0] < found.aal[0] < found.aal_p95[0]
    assert found.aal_p05[1] == found.aal_p95[1] == 0
    assert np.isnan(found.aal_p95[2])
