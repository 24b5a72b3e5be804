from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from records import NORMALS, korea, korea_indices, plausible_months
from scipy.stats import spearmanr

from streams.models.dates import month_lengths, year_lengths
from streams.models.fwi import NoonWeather, fire_seasons
from streams.models.inputs import Array, Years
from streams.models.weather import drawn_years, year_seeds


def places(cells: int) -> tuple[Array, Array]:
    return np.linspace(35.0, 37.0, cells), np.linspace(126.0, 129.0, cells)


def months(cells: int, years: Years) -> dict[str, Array]:
    found = plausible_months(cells, len(years))
    found["wet_days"] = np.full((cells, 12 * len(years)), np.nan)
    return found


def draw(climate: dict[str, Array], years: Years) -> NoonWeather:
    """All days of the years, (cells, days)."""
    days = list(drawn_years(*places(len(climate["rn"])), climate, years))
    return NoonWeather(
        *(np.hstack([getattr(year, name) for year in days]) for name in NoonWeather.__dataclass_fields__)
    )


def monthly(values: Array, years: Years) -> Array:
    lengths = month_lengths(years)
    return np.add.reduceat(values, np.cumsum(lengths) - lengths, axis=1)


def autocorrelation(noise: Array) -> float:
    return float(np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1])


def test_the_seed_is_the_blake2_digest_of_place_and_year() -> None:
    seeds = year_seeds(np.array([37.5714]), np.array([126.9658]), Years(1991, 1992))
    digest = blake2b(b"37.571400,126.965800,1992", digest_size=8).digest()
    assert int(seeds[0, 1]) == int.from_bytes(digest, "little")


def test_a_rerun_draws_the_same_days() -> None:
    years = Years(1991, 1993)
    first, second = draw(months(3, years), years), draw(months(3, years), years)
    np.testing.assert_array_equal(first.temperature, second.temperature)
    np.testing.assert_array_equal(first.rain, second.rain)
    assert first.temperature.shape == (3, 1096)


def test_a_year_has_the_same_days_in_whatever_window_and_chunk_it_stands() -> None:
    years = Years(1991, 1996)
    climate = months(3, years)
    whole = draw(climate, years)
    late = {name: values[:, 36:] for name, values in climate.items()}
    before = int(year_lengths(Years(1991, 1993)).sum())
    found = draw(late, Years(1994, 1996))
    for name in NoonWeather.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name)[:, before:])
    latitude, longitude = places(3)
    alone = next(
        drawn_years(
            latitude[1:2], longitude[1:2], {n: v[1:2, :12] for n, v in climate.items()}, Years(1991, 1991)
        )
    )
    np.testing.assert_array_equal(alone.rain, whole.rain[1:2, :365])


def test_cells_and_years_differ() -> None:
    years = Years(1991, 1992)
    climate = {name: np.tile(values[:1, :12], (2, 2)) for name, values in months(1, years).items()}
    found = draw(climate, years)
    assert not np.isclose(found.temperature[0], found.temperature[1]).any()
    assert not np.isclose(found.wind[0, :365], found.wind[0, 365:730]).any()


def test_rain_adds_up_to_the_months_total() -> None:
    years = Years(1991, 2000)
    climate = months(5, years)
    climate["rn"][:, 7] = 0.0
    climate["rn"][:, 8] = 0.2
    found = monthly(draw(climate, years).rain, years)
    np.testing.assert_allclose(found, climate["rn"], rtol=1e-10)


def test_a_month_with_rain_has_a_wet_day_and_one_without_has_none() -> None:
    years = Years(1991, 2020)
    climate = months(4, years)
    climate["rn"][:] = 0.4
    climate["rn"][:, ::12] = 0.0
    wet = monthly((draw(climate, years).rain > 0).astype(np.float64), years)
    assert wet[:, ::12].max() == 0.0
    assert wet[:, 1::12].min() == 1.0


def test_wet_days_are_as_many_as_given_or_a_sixth_of_the_rain() -> None:
    years = Years(1991, 2020)
    climate = months(20, years)
    climate["rn"][:] = 60.0
    rare = monthly((draw(climate, years).rain > 0).astype(np.float64), years).mean()
    climate["wet_days"][:] = 20.0
    often = monthly((draw(climate, years).rain > 0).astype(np.float64), years).mean()
    assert rare == pytest.approx(10.0, abs=0.15)
    assert often == pytest.approx(20.0, abs=0.15)


def test_wet_days_follow_each_other_as_gengs_chain_does() -> None:
    years = Years(1991, 2020)
    climate = months(20, years)
    climate["rn"][:] = 100.0
    climate["wet_days"][:] = 12.0
    wet = draw(climate, years).rain > 0
    fraction = 12 / 30.4
    after_dry = wet[:, 1:][~wet[:, :-1]].mean()
    after_wet = wet[:, 1:][wet[:, :-1]].mean()
    assert after_dry == pytest.approx(0.75 * fraction, abs=0.01)
    assert after_wet == pytest.approx(0.25 + 0.75 * fraction, abs=0.01)


def test_amounts_have_the_spread_of_gengs_gamma() -> None:
    years = Years(1991, 2020)
    climate = months(20, years)
    climate["rn"][:] = 100.0
    climate["wet_days"][:] = 10.0
    rain = draw(climate, years).rain
    amounts = rain[rain > 0]
    scale = 1.83 * 10 - 2.16
    # Rescaling to the month's total takes part of the variance of its ten amounts.
    assert amounts.mean() == pytest.approx(10.0, abs=0.2)
    assert amounts.var() == pytest.approx(10.0 * scale, rel=0.15)


def test_temperature_and_humidity_have_the_months_means_and_the_noise_of_the_method() -> None:
    years = Years(1991, 2020)
    climate = months(20, years)
    climate["tamax"][:], climate["ta"][:], climate["rhm"][:] = 20.0, 15.0, 60.0
    climate["rn"][:] = 0.0
    found = draw(climate, years)
    assert found.temperature.mean() == pytest.approx(20.0, abs=0.05)
    assert found.temperature.std() == pytest.approx(3.5, abs=0.05)
    assert autocorrelation(found.temperature - 20.0) == pytest.approx(0.7, abs=0.01)
    afternoon = 0.92 * 60 * np.exp(17.27 * 15 / 252.3 - 17.27 * 20 / 257.3)
    assert found.humidity.mean() == pytest.approx(afternoon, abs=0.1)
    assert found.humidity.std() == pytest.approx(11.0, abs=0.15)
    assert autocorrelation(found.humidity - afternoon) == pytest.approx(0.5, abs=0.01)
    assert abs(np.corrcoef(found.temperature.ravel(), found.humidity.ravel())[0, 1]) < 0.01


def test_noise_runs_on_through_the_turn_of_the_year() -> None:
    years = Years(1901, 2020)
    climate = months(20, years)
    climate["tamax"][:] = 20.0
    climate["rn"][:] = 0.0
    found = draw(climate, years).temperature - 20.0
    ends = np.cumsum(year_lengths(years))[:-1]
    pairs = np.corrcoef(found[:, ends - 1].ravel(), found[:, ends].ravel())[0, 1]
    assert pairs == pytest.approx(0.7, abs=0.04)


def test_wet_days_are_cooler_and_more_humid_by_the_contrast_and_the_mean_is_kept() -> None:
    years = Years(1991, 2020)
    climate = months(20, years)
    climate["tamax"][:], climate["ta"][:], climate["rhm"][:] = 20.0, 15.0, 60.0
    climate["wet_days"][:] = 12.0
    found = draw(climate, years)
    wet = (found.rain > 0).astype(np.float64)

    def contrast(values: Array) -> float:
        of_wet, of_dry = (monthly(values * days, years) / monthly(days, years) for days in (wet, 1 - wet))
        return float(np.mean(of_wet - of_dry))

    assert contrast(found.temperature) == pytest.approx(-2.0, abs=0.1)
    assert contrast(found.humidity) == pytest.approx(20.0, abs=0.3)
    assert found.temperature.mean() == pytest.approx(20.0, abs=0.05)


def test_humidity_lies_within_5_and_100() -> None:
    years = Years(1991, 2000)
    climate = months(4, years)
    climate["rhm"][:2], climate["rhm"][2:] = 3.0, 100.0
    climate["ta"][2:] = climate["tamax"][2:]
    found = draw(climate, years).humidity
    assert found.min() == 5.0
    assert found.max() == 100.0


def test_wind_is_weibull_of_shape_two_with_the_months_mean() -> None:
    years = Years(1991, 2020)
    climate = months(20, years)
    climate["ws"][:] = 2.5
    wind = draw(climate, years).wind
    assert wind.mean() == pytest.approx(9.0, abs=0.05)
    assert wind.std() / wind.mean() == pytest.approx(np.sqrt(4 / np.pi - 1), abs=0.01)


@pytest.mark.parametrize("name", ["ta", "tamax", "rn", "rhm", "ws"])
def test_a_month_without_a_needed_variable_has_no_days(name: str) -> None:
    years = Years(1991, 1991)
    climate = months(2, years)
    climate[name][0, 3] = np.nan
    found = draw(climate, years).temperature
    assert np.flatnonzero(np.isnan(found[0])).tolist() == list(range(90, 120))
    assert np.isfinite(found[1]).all()


def drawn_fire_days(climate: dict[str, Array], latitude: Array, longitude: Array) -> Array:
    """Mean days a year with FWI >= 38 of drawn weather, (cells,)."""
    codes, days = None, []
    for position, weather in enumerate(drawn_years(latitude, longitude, climate, NORMALS)):
        year = Years(NORMALS.start + position, NORMALS.start + position)
        seasons, codes = fire_seasons(weather, year, latitude, codes)
        days.append(seasons.days[:, 0])
    return np.asarray(np.nanmean(days, axis=0))


@pytest.mark.parametrize(("wet_from", "low", "high"), [(0.1, 2.0, 2.3), (1.0, 2.3, 2.6)])
def test_drawn_fire_danger_of_35_stations_is_near_the_observed(
    shared_data: Path, wet_from: float, low: float, high: float
) -> None:
    stations, indices = korea(shared_data), korea_indices(shared_data)
    observed = np.nanmean(indices.annual["fwi_days"], axis=1)
    climate = dict(indices.monthly)
    if wet_from < 1.0:
        wet = np.nan_to_num(stations.days.precip, nan=0.0) >= wet_from
        climate["wet_days"] = monthly(wet.astype(np.float64), NORMALS)
    drawn = drawn_fire_days(climate, stations.latitude, stations.longitude)
    assert observed.mean() == pytest.approx(2.3, abs=0.05)
    assert low < drawn.mean() < high
    assert spearmanr(observed, drawn)[0] > 0.75
