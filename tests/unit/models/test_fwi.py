"""Reference rows: Van Wagner and Pickett (1985), METHODS section 2."""

from pathlib import Path

import numpy as np
import pytest
from records import korea, korea_indices

from streams.models.fwi import (
    NoonWeather,
    fire_codes,
    fire_seasons,
    spring_start,
)
from streams.models.inputs import Years

ROWS = """
17,42,25,0 -> 87.6930 8.5451 19.0140 10.8537 8.4904 10.0964
20,21,25,2.4 -> 86.2476 10.4019 23.5680 8.8376 10.3553 9.2802
8.5,40,17,0 -> 86.9671 11.7983 26.0520 6.5391 11.7392 7.5802
6.5,25,6,0 -> 88.8286 13.1801 28.1760 4.9034 13.1052 6.1582
13,34,24,0 -> 89.1015 15.4362 31.4700 12.6306 15.3374 14.8421
6,40,22,0.4 -> 88.6567 16.4690 33.5040 10.7134 16.3685 13.4677
5.5,52,6,0 -> 87.3542 17.2370 35.4480 3.9696 17.1413 5.8626
8.5,46,16,0 -> 87.4026 18.4938 37.9320 6.6160 18.3960 9.6528
9.5,54,20,0 -> 86.8110 19.6759 40.5960 7.4394 19.5803 10.9907
7,93,14,9 -> 29.8589 10.1447 29.5247 0.0067 10.9141 0.0042
"""
APRIL, JULY = 3, 6


def reference() -> tuple[NoonWeather, np.ndarray]:
    weather, codes = zip(*(row.split(" -> ") for row in ROWS.split("\n") if row), strict=True)
    columns = np.array([[float(value) for value in row.split(",")] for row in weather]).T
    return NoonWeather(*columns[:, None, :]), np.array([row.split() for row in codes], dtype=np.float64)


def steady(days: int, cells: int = 1, *, dry: float = 30.0) -> NoonWeather:
    shape = (cells, days)
    return NoonWeather(np.full(shape, 25.0), np.full(shape, dry), np.full(shape, 15.0), np.zeros(shape))


def test_the_reference_rows_give_the_printed_codes() -> None:
    weather, expected = reference()
    codes = fire_codes(weather, np.full(10, APRIL), np.array([45.0]))
    found = np.stack([codes.ffmc, codes.dmc, codes.dc, codes.isi, codes.bui, codes.fwi])[:, 0].T
    np.testing.assert_allclose(found, expected, atol=5.1e-5)


def test_day_lengths_follow_the_latitude_bands() -> None:
    latitude = np.array([30.01, 30.0, 10.01, 10.0, -9.99, -10.0, -29.99, -30.0])
    first = fire_codes(steady(1, 8), np.array([JULY]), latitude)
    drying = 1.894 * (25.0 + 1.1) * 70.0 * 1e-4
    hours = [12.4, 10.1, 10.1, 9.0, 9.0, 7.9, 7.9, 6.5]
    np.testing.assert_allclose(first.dmc[:, 0], [6.0 + drying * le for le in hours], rtol=1e-12)


def test_the_drought_code_has_its_own_bands() -> None:
    latitude = np.array([20.01, 20.0, -19.99, -20.0])
    first = fire_codes(steady(1, 4), np.array([JULY]), latitude)
    factors = [6.4, 1.4, 1.4, -1.6]
    np.testing.assert_allclose(first.dc[:, 0], [15.0 + (0.36 * 27.8 + lf) / 2 for lf in factors], rtol=1e-12)


def test_a_frosty_day_dries_nothing() -> None:
    cold = NoonWeather(*(np.array([[value]]) for value in (-20.0, 60.0, 10.0, 0.0)))
    codes = fire_codes(cold, np.array([0]), np.array([45.0]))
    assert codes.dmc[0, 0] == 6.0
    assert codes.dc[0, 0] == 15.0


def test_humidity_above_100_is_100() -> None:
    weather = steady(3)
    codes = [
        fire_codes(
            NoonWeather(weather.temperature, np.full((1, 3), h), weather.wind, weather.rain),
            np.full(3, JULY),
            np.array([45.0]),
        )
        for h in (100.0, 104.0)
    ]
    np.testing.assert_array_equal(codes[0].fwi, codes[1].fwi)
    assert np.isfinite(codes[1].fwi).all()


def test_codes_stay_in_range_under_extreme_weather() -> None:
    random = np.random.default_rng(8)
    shape = (20, 400)
    weather = NoonWeather(
        random.uniform(-40, 50, shape),
        random.uniform(0, 100, shape),
        random.uniform(0, 120, shape),
        random.choice([0.0, 0.3, 5.0, 400.0], shape, p=[0.7, 0.1, 0.15, 0.05]),
    )
    codes = fire_codes(weather, np.arange(400) // 31 % 12, np.linspace(-60, 70, 20))
    assert ((codes.ffmc >= 0) & (codes.ffmc <= 101)).all()
    for values in (codes.dmc, codes.dc, codes.isi, codes.bui, codes.fwi):
        assert (np.isfinite(values) & (values >= 0)).all()


def test_a_cell_has_the_same_codes_wherever_it_stands() -> None:
    random = np.random.default_rng(9)
    shape = (67, 40)
    weather = NoonWeather(
        random.normal(20, 8, shape),
        random.uniform(0, 104, shape),
        random.gamma(2, 6, shape),
        random.choice([0.0, 1.0, 2.0, 30.0], shape),
    )
    weather.wind[random.random(shape) < 0.1] = np.nan
    latitude, month = np.linspace(-60, 70, 67), np.arange(40) // 20
    together = fire_codes(weather, month, latitude)
    for cell in range(67):
        alone = fire_codes(
            NoonWeather(*(values[cell : cell + 1] for values in fields(weather))),
            month,
            latitude[cell : cell + 1],
        )
        np.testing.assert_array_equal(alone.fwi[0], together.fwi[cell])
        np.testing.assert_array_equal(alone.bui[0], together.bui[cell])


def test_a_missing_day_leaves_the_codes_as_they_are() -> None:
    weather = steady(10)
    weather.rain[0, 4] = np.nan
    codes = fire_codes(weather, np.full(10, JULY), np.array([45.0]))
    without = fire_codes(steady(9), np.full(9, JULY), np.array([45.0]))
    assert codes.dc[0, 4] == codes.dc[0, 3]
    assert np.isnan(codes.fwi[0, 4])
    np.testing.assert_array_equal(codes.fwi[0, 5:], without.fwi[0, 4:])


@pytest.mark.parametrize(("missing", "anew"), [(15, False), (16, True)])
def test_more_than_fifteen_missing_days_start_the_codes_anew(missing: int, *, anew: bool) -> None:
    weather = steady(60)
    weather.humidity[0, 20 : 20 + missing] = np.nan
    codes = fire_codes(weather, np.full(60, JULY), np.array([45.0]))
    fresh = fire_codes(steady(1), np.array([JULY]), np.array([45.0]))
    after = codes.dc[0, 20 + missing]
    assert after == (fresh.dc[0, 0] if anew else codes.dc[0, 19] + codes.dc[0, 1] - codes.dc[0, 0])


def test_a_gap_counts_on_across_the_years() -> None:
    first, second = steady(365), steady(365)
    first.rain[0, 355:] = np.nan
    second.rain[0, :6] = np.nan
    latitude = np.array([45.0])
    _, codes = fire_seasons(first, Years(2001, 2001), latitude)
    assert codes.gap[0] == 10
    together = NoonWeather(*(np.hstack(pair) for pair in zip(fields(first), fields(second), strict=True)))
    apart, end = fire_seasons(second, Years(2002, 2002), latitude, codes)
    whole, whole_end = fire_seasons(together, Years(2001, 2002), latitude)
    assert apart.maximum[0, 0] == whole.maximum[0, 1]
    assert end.dc[0] == whole_end.dc[0]


def fields(weather: NoonWeather) -> tuple[np.ndarray, ...]:
    return weather.temperature, weather.humidity, weather.wind, weather.rain


def test_yearly_days_and_maximum_are_those_of_the_daily_index() -> None:
    random = np.random.default_rng(6)
    shape = (6, 365)
    weather = NoonWeather(
        random.normal(30, 6, shape), random.uniform(5, 70, shape), random.gamma(4, 6, shape), np.zeros(shape)
    )
    latitude = np.linspace(-40, 50, 6)
    seasons, end = fire_seasons(weather, Years(2001, 2001), latitude)
    month = np.repeat(np.arange(12), [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    codes = fire_codes(weather, month, latitude)
    assert seasons.days[:, 0].tolist() == (codes.fwi >= 38.0).sum(axis=1).tolist()
    assert seasons.days.min() > 100
    np.testing.assert_allclose(seasons.maximum[:, 0], codes.fwi.max(axis=1), rtol=1e-12)
    np.testing.assert_array_equal(end.dmc, codes.dmc[:, -1])


def test_a_year_with_sixteen_days_missing_is_missing() -> None:
    weather = steady(365, 2)
    weather.wind[0, 100:115] = np.nan
    weather.wind[1, 100:116] = np.nan
    seasons, _ = fire_seasons(weather, Years(2001, 2001), np.full(2, 45.0))
    assert np.isnan(seasons.days[:, 0]).tolist() == [False, True]
    assert np.isnan(seasons.maximum[:, 0]).tolist() == [False, True]


def test_a_series_starts_from_85_6_15() -> None:
    start = spring_start(2)
    assert [start.ffmc[1], start.dmc[1], start.dc[1], start.gap[1]] == [85.0, 6.0, 15.0, 0.0]


def test_seoul_has_the_printed_days_of_very_high_danger(shared_data: Path) -> None:
    stations = korea(shared_data)
    days = stations.days
    assert days.rh_min is not None
    assert days.wind is not None
    seoul = stations.index("Seoul")
    weather = NoonWeather(
        *(values[seoul : seoul + 1] for values in (days.tmax, days.rh_min, 3.6 * days.wind, days.precip))
    )
    seasons, _ = fire_seasons(weather, days.years, stations.latitude[seoul : seoul + 1])
    found = dict(zip(range(1991, 2021), seasons.days[0], strict=True))
    assert (found[2012], found[2015], found[2017]) == (24, 19, 15)
    assert seasons.days.sum() == 83


def test_seouls_days_from_the_daily_records_are_those_of_the_kernel(shared_data: Path) -> None:
    stations = korea(shared_data)
    assert korea_indices(shared_data).annual["fwi_days"][stations.index("Seoul")].sum() == 83
