from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from streams.models.assess import assess_risk
from streams.models.estimators import hurdle
from streams.models.frame import Assessment
from streams.models.holland import annual_maximum_wind
from streams.models.inputs import CellInputs, HourlyTracks, StormFixes, Years, YearTable
from streams.models.risks import RISKS
from streams.models.storms import hourly_tracks
from streams.models.tables import builtin_tables
from streams.models.typhoon import wind_factor

MakeInputs = Callable[..., CellInputs]
RISK = RISKS["typhoon"]
EDGES = np.array(RISK.edges)
NAN = np.nan
BASELINE, FUTURE = Years(1991, 2020), Years(2021, 2050)
PLACES = np.array([30.0, 30.3, -5.0]), np.array([130.0, 130.0, 130.0])
"""Two cells 44 and 78 km north of where the storms below stand, and one in another basin."""

WARMING = YearTable(np.array([2030.0, 2040.0]), np.array([1.0, 2.0]))


def one_storm_a_year(start: int, end: int) -> HourlyTracks:
    """One fix each 1 July, its maximum wind made up, between 12 and 60 m/s."""
    years = np.arange(start, end + 1)
    days = np.array([f"{year}-07-01" for year in years], dtype="datetime64[h]")
    wind = 12.0 + 4.0 * (7 * years % 13)
    same = np.ones(years.size)
    return hourly_tracks(
        StormFixes(
            storm=np.arange(years.size),
            hours=days.astype(np.float64),
            latitude=29.6 * same,
            longitude=130.0 * same,
            wind=wind,
            pressure=1000.0 - wind,
            rmw=NAN * same,
        )
    )


@pytest.fixture
def sea(make_inputs: MakeInputs) -> Callable[..., CellInputs]:
    """The three PLACES with the storms and the warming given."""

    def build(
        storms: HourlyTracks | None,
        *,
        window: Years = BASELINE,
        scenario: str = "historical",
        warming: YearTable | None = None,
    ) -> CellInputs:
        inputs = make_inputs(
            {"rx1day": np.full((3, len(window)), NAN)},
            baseline_indices={"rx1day": np.full((3, 30), NAN)},
            window=window,
            scenario=scenario,
        )
        return replace(inputs, latitude=PLACES[0], longitude=PLACES[1], storms=storms, warming=warming)

    return build


def assess(inputs: CellInputs, *, uncertainty: bool = False) -> Assessment:
    return assess_risk(inputs, RISK, builtin_tables(), uncertainty=uncertainty)


def test_a_window_within_the_record_takes_its_own_storms(sea: Callable[..., CellInputs]) -> None:
    storms = one_storm_a_year(1985, 2020)
    found = assess(sea(storms))
    wind = annual_maximum_wind(storms, *PLACES, BASELINE)
    np.testing.assert_array_equal(found.intensity[:2], wind[:2])
    assert (wind[0] == 0).any()
    assert (wind[0] > 40).any()
    np.testing.assert_array_equal(found.probability[:2], hurdle(wind, EDGES, 17.0)[:2])
    np.testing.assert_allclose(found.parameters["share_of_zeros"][:2], (wind[:2] == 0).mean(axis=1))
    np.testing.assert_allclose(found.probability[:2, 0], found.parameters["share_of_zeros"][:2])
    assert found.basis[0] == "storms: observed"
    np.testing.assert_allclose(found.aal[:2], found.probability[:2] @ np.array(RISK.damage))


def test_a_window_after_the_record_takes_the_baselines_storms_with_stronger_winds(
    sea: Callable[..., CellInputs],
) -> None:
    storms = one_storm_a_year(1985, 2024)
    found = assess(sea(storms, window=FUTURE, scenario="ssp585", warming=WARMING))
    # 1.55 degC at 2035.5, the window's middle.
    factor = 1 + 0.05 * 1.55 / 2
    raised = annual_maximum_wind(storms, *PLACES, BASELINE, factor)
    np.testing.assert_array_equal(found.probability[:2], hurdle(raised, EDGES, 17.0)[:2])
    np.testing.assert_array_equal(found.parameters["baseline_wind"][:2], raised[:2])
    np.testing.assert_allclose(found.parameters["wind_factor"], factor)
    assert found.basis[0] == "storms: baseline, wind x 1.039"
    assert found.intensity.shape == (3, 30)
    assert np.isnan(found.intensity).all()
    assert (found.aal[:2] > assess(sea(storms)).aal[:2]).all()


def test_a_window_that_ends_with_the_record_is_still_observed(sea: Callable[..., CellInputs]) -> None:
    storms = one_storm_a_year(1985, 2020)
    assert assess(sea(storms, window=Years(2001, 2020), scenario="ssp585")).basis[0] == "storms: observed"
    later = sea(storms, window=Years(2001, 2021), scenario="ssp585")
    assert list(assess(later).reason) == ["no_data: warming"] * 3


def test_a_later_window_may_be_shorter_than_the_baseline(sea: Callable[..., CellInputs]) -> None:
    found = assess(
        sea(one_storm_a_year(1991, 2020), window=Years(2026, 2045), scenario="ssp585", warming=WARMING)
    )
    assert found.reason[0] is None
    assert found.intensity.shape == (3, 20)
    assert found.parameters["baseline_wind"].shape == (3, 30)


def test_warming_is_read_at_the_windows_middle_and_not_beyond_its_table() -> None:
    assert wind_factor(WARMING, Years(2020, 2040)) == pytest.approx(1.025)
    assert wind_factor(WARMING, Years(2025, 2050)) == pytest.approx(1 + 0.025 * 1.75)
    assert np.isnan(wind_factor(WARMING, Years(2041, 2070)))
    assert np.isnan(wind_factor(WARMING, Years(2010, 2030)))
    assert np.isnan(wind_factor(YearTable(np.zeros(0), np.zeros(0)), FUTURE))
    assert np.isnan(wind_factor(None, FUTURE))


def test_without_storms_there_is_no_number(sea: Callable[..., CellInputs]) -> None:
    none = np.zeros(0)
    empty = hourly_tracks(StormFixes(none.astype(np.int64), none, none, none, none, none, none))
    for storms in (None, empty):
        found = assess(sea(storms))
        assert list(found.reason) == ["no_data: storms"] * 3
        assert np.isnan(found.aal).all()
        assert found.intensity.shape == (3, 30)


def test_years_without_a_fix_in_the_cells_basin_are_missing(sea: Callable[..., CellInputs]) -> None:
    late = assess(sea(one_storm_a_year(2002, 2020)))
    assert list(late.reason) == ["too_short: 19 of 30 years"] * 2 + ["no_data: storms"]
    enough = assess(sea(one_storm_a_year(2001, 2020)))
    assert list(enough.reason) == [None, None, "no_data: storms"]


def test_a_short_baseline_says_so_where_it_stands_in(sea: Callable[..., CellInputs]) -> None:
    inputs = sea(one_storm_a_year(2002, 2024), window=FUTURE, scenario="ssp585", warming=WARMING)
    assert list(assess(inputs).reason) == ["too_short: baseline 19 of 30"] * 2 + ["no_data: storms"]


def test_a_basin_with_storms_far_away_has_calm_years(sea: Callable[..., CellInputs]) -> None:
    inputs = replace(sea(one_storm_a_year(1991, 2020)), latitude=np.array([45.0, 30.0, 20.0]))
    found = assess(inputs)
    np.testing.assert_array_equal(found.probability[[0, 2]], [[1, 0, 0, 0, 0, 0]] * 2)
    assert found.hazard_score[0] == 0


def test_the_bootstrap_gives_an_interval_about_the_loss(sea: Callable[..., CellInputs]) -> None:
    found = assess(
        sea(one_storm_a_year(1985, 2024), window=FUTURE, scenario="ssp585", warming=WARMING),
        uncertainty=True,
    )
    assert found.aal_p05 is not None
    assert found.aal_p95 is not None
    assert 0 < found.aal_p05[0] < found.aal[0] < found.aal_p95[0]
    assert np.isnan(found.aal_p05[2])
