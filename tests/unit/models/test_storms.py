import numpy as np
import pytest

from streams.models.inputs import HourlyTracks, StormFixes
from streams.models.storm_basins import BASINS, storm_basin
from streams.models.storms import hourly_tracks

HOURS_TO_1990 = 24 * 7305.0
NAN = np.nan


def fixes(*rows: tuple[float, ...]) -> StormFixes:
    """Rows of storm, hour after 1990-01-01, latitude, longitude, wind, pressure and, perhaps, radius."""
    storm, hours, latitude, longitude, wind, pressure, rmw = (
        np.array(column, dtype=float) for column in zip(*((*row, NAN)[:7] for row in rows), strict=True)
    )
    return StormFixes(storm.astype(np.int64), HOURS_TO_1990 + hours, latitude, longitude, wind, pressure, rmw)


def in_time(tracks: HourlyTracks, name: str) -> list[float]:
    return list(getattr(tracks, name)[np.argsort(tracks.hours)])


def hours(tracks: HourlyTracks) -> list[float]:
    return list(np.sort(tracks.hours) - HOURS_TO_1990)


def test_positions_wind_and_pressure_are_linear_between_fixes() -> None:
    tracks = hourly_tracks(fixes((0, 0, 20, 130, 30, 990), (0, 6, 23, 127, 36, 984)))
    assert hours(tracks) == [0, 1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(in_time(tracks, "latitude"), [20, 20.5, 21, 21.5, 22, 22.5, 23])
    np.testing.assert_allclose(in_time(tracks, "longitude"), [130, 129.5, 129, 128.5, 128, 127.5, 127])
    np.testing.assert_allclose(in_time(tracks, "wind"), [30, 31, 32, 33, 34, 35, 36])
    np.testing.assert_allclose(in_time(tracks, "pressure_drop"), 100 * np.arange(20, 27))


def test_only_whole_hours_between_fixes_are_taken() -> None:
    tracks = hourly_tracks(fixes((0, 0.5, 20, 130, 30, 980), (0, 2.5, 22, 130, 30, 980)))
    assert hours(tracks) == [1, 2]
    np.testing.assert_allclose(in_time(tracks, "latitude"), [20.5, 21.5])


def test_a_track_crosses_the_date_line_the_short_way() -> None:
    tracks = hourly_tracks(fixes((0, 0, 20, 179, 30, 980), (0, 4, 20, -179, 30, 980)))
    np.testing.assert_allclose(in_time(tracks, "longitude"), [179, 179.5, -180, -179.5, -179])


def test_hours_are_sorted_by_latitude_and_carry_their_utc_year() -> None:
    new_year = 24 * 365
    tracks = hourly_tracks(fixes((0, new_year - 1, 20, 130, 30, 980), (0, new_year + 1, 18, 130, 30, 980)))
    np.testing.assert_allclose(tracks.latitude, [18, 19, 20])
    assert list(tracks.year) == [1991, 1991, 1990]


def test_missing_wind_is_filled_at_the_fix_from_the_pressure() -> None:
    tracks = hourly_tracks(fixes((0, 0, 20, 130, NAN, 950), (0, 2, 20, 130, NAN, 1000)))
    # 6.7 dp^0.644 kt of 1-minute wind x 0.91 at dp 60 and 10 hPa, and their mean in between.
    np.testing.assert_allclose(in_time(tracks, "wind"), [43.811092, 28.814697, 13.818302], atol=1e-6)


def test_missing_pressure_is_filled_from_the_wind() -> None:
    tracks = hourly_tracks(fixes((0, 0, 20, 130, 80, NAN)))
    one_minute_knots = 6.7 * (tracks.pressure_drop / 100) ** 0.644
    np.testing.assert_allclose(0.91 * one_minute_knots * 1852 / 3600, 80)
    assert 1 < tracks.shape[0] < 2.5


def test_a_fix_with_neither_breaks_the_track() -> None:
    tracks = hourly_tracks(
        fixes(
            (0, 0, 20, 130, 30, 980),
            (0, 2, 20, 130, 30, 980),
            (0, 4, 20, 130, NAN, NAN),
            (0, 6, 20, 130, 30, 980),
            (0, 8, 20, 130, 30, 980),
        )
    )
    assert hours(tracks) == [0, 1, 2, 6, 7, 8]


def test_the_end_of_one_storm_is_not_joined_to_the_next() -> None:
    tracks = hourly_tracks(fixes((0, 0, 20, 130, 30, 980), (1, 6, 20, 150, 30, 980)))
    assert hours(tracks) == [0, 6]
    assert sorted(tracks.longitude) == [130, 150]


def test_hours_without_a_pressure_drop_are_left_out() -> None:
    tracks = hourly_tracks(fixes((0, 0, 20, 130, 20, 1012), (0, 4, 20, 130, 20, 1008)))
    assert hours(tracks) == [3, 4]
    assert hours(hourly_tracks(fixes((0, 0, 20, 130, 20, 1010)))) == []


def test_radius_comes_from_the_fixes_or_else_from_willoughby() -> None:
    given = hourly_tracks(fixes((0, 0, 30, 130, 40, 950, 20), (0, 2, 30, 130, 40, 950, 30)))
    np.testing.assert_allclose(in_time(given, "rmw"), [20, 25, 30])
    half = hourly_tracks(fixes((0, 0, 30, 130, 40, 950, 20), (0, 2, 30, 130, 40, 950)))
    np.testing.assert_allclose(in_time(half, "rmw"), [20, 41.442191, 41.442191], atol=1e-6)


@pytest.mark.parametrize(
    ("wind", "pressure", "shape", "drop"),
    [
        (40, 950, 1.0, 5001.638564),  # 0.833606 before clipping
        (40, 970, 1.250410, 4000.0),
        (40, 995, 2.5, 2000.655426),
    ],
)
def test_a_clipped_shape_keeps_the_tracks_wind_as_its_peak(
    wind: float, pressure: float, shape: float, drop: float
) -> None:
    tracks = hourly_tracks(fixes((0, 0, 30, 130, wind, pressure)))
    np.testing.assert_allclose(tracks.shape, shape, atol=1e-6)
    np.testing.assert_allclose(tracks.pressure_drop, drop, atol=1e-6)
    peak = np.sqrt(tracks.shape / 1.15 * tracks.pressure_drop / np.e)
    np.testing.assert_allclose(peak, wind)


def test_coriolis_has_one_sign_on_both_hemispheres() -> None:
    tracks = hourly_tracks(fixes((0, 0, -30, 170, 40, 950), (1, 0, 30, 170, 40, 950)))
    np.testing.assert_allclose(tracks.coriolis, 7.292e-5)
    np.testing.assert_allclose(tracks.rmw, 41.442191, atol=1e-6)


def test_years_with_a_fix_are_known_by_basin_even_without_wind() -> None:
    tracks = hourly_tracks(
        fixes((0, 0, 20, 130, 30, 980), (1, 24 * 730, 20, 130, NAN, NAN), (2, 24 * 365, -20, 170, 30, 980))
    )
    assert (tracks.first_year, tracks.last_year) == (1990, 1992)
    pacific, south = BASINS.index("western North Pacific"), BASINS.index("South Pacific")
    assert list(tracks.observed[pacific]) == [True, False, True]
    assert list(tracks.observed[south]) == [False, True, False]
    assert tracks.observed.sum() == 3


def test_no_fixes_give_no_hours_and_no_years() -> None:
    none = np.zeros(0)
    tracks = hourly_tracks(StormFixes(none.astype(np.int64), none, none, none, none, none, none))
    assert tracks.hours.size == 0
    assert tracks.last_year < tracks.first_year


@pytest.mark.parametrize(
    ("latitude", "longitude", "name"),
    [
        (33.51, 126.53, "western North Pacific"),
        (15.0, -179.5, "eastern North Pacific"),
        (16.8, -99.9, "eastern North Pacific"),  # Acapulco
        (11.2, -86.9, "eastern North Pacific"),  # Nicaragua's western coast
        (19.2, -96.1, "North Atlantic"),  # Veracruz
        (12.0, -83.7, "North Atlantic"),  # Bluefields
        (36.25, -6.25, "North Atlantic"),
        (19.0, 72.8, "north Indian"),
        (-20.2, 57.5, "south Indian"),
        (-17.7, 178.0, "South Pacific"),
        (-28.0, -48.0, "South Atlantic"),
    ],
)
def test_places_lie_in_their_storm_basin(latitude: float, longitude: float, name: str) -> None:
    for turn in (0.0, 360.0):
        found = storm_basin(np.array([latitude]), np.array([longitude + turn]))
        assert BASINS[found[0]] == name
