from pathlib import Path

import numpy as np
import pytest
from records import NORMALS, korea, korea_indices
from scipy.stats.mstats import mquantiles

from streams.models.daily import DailyBlock, Thresholds, daily_indices, thresholds
from streams.models.dates import day_of_days, is_29_february, month_lengths, year_lengths
from streams.models.estimators import l_moments
from streams.models.evapotranspiration import saturation_pressure
from streams.models.inputs import Years

LATITUDE = np.array([37.0])


def block(years: Years, seed: int = 1) -> DailyBlock:
    random = np.random.default_rng(seed)
    days = int(year_lengths(years).sum())
    season = -np.cos(2 * np.pi * np.arange(days) / 365.25)
    tmax = (15 + 12 * season + random.normal(0, 4, days))[None]
    return DailyBlock(
        years.start,
        tmax=tmax,
        tmin=tmax - random.uniform(2, 12, days),
        precip=np.where(random.random(days) < 0.3, random.gamma(0.8, 9, days), 0.0)[None],
    )


def limits(upper: float, lower: float) -> Thresholds:
    return Thresholds(tx90=np.full((1, 365), upper), tn10=np.full((1, 365), lower))


def warm_year(year: int, *spells: tuple[int, int]) -> DailyBlock:
    days = int(year_lengths(Years(year, year)).sum())
    tmax = np.full((1, days), 20.0)
    for first, length in spells:
        tmax[0, first : first + length] = 31.0
    return DailyBlock(year, tmax=tmax, tmin=np.full((1, days), 10.0), precip=np.zeros((1, days)))


def wsdi(days: DailyBlock) -> list[float]:
    found: list[float] = daily_indices(days, LATITUDE, limits(30.0, 0.0)).annual["wsdi"][0].tolist()
    return found


def test_only_spells_of_six_days_count_and_with_all_their_days() -> None:
    assert wsdi(warm_year(2001, (10, 5), (30, 6), (50, 9))) == [15.0]


def test_a_day_at_the_threshold_is_not_above_it() -> None:
    days = warm_year(2001, (30, 6))
    days.tmax[0, 32] = 30.0
    assert wsdi(days) == [0.0]


def test_a_missing_day_ends_a_spell() -> None:
    days = warm_year(2001, (30, 11))
    days.tmax[0, 35] = np.nan
    assert wsdi(days) == [0.0]


def test_a_spell_does_not_cross_the_end_of_a_year() -> None:
    days = warm_year(2001, (360, 5))
    after = warm_year(2002, (0, 5))
    both = DailyBlock(2001, *(np.hstack([a, b]) for a, b in zip(three(days), three(after), strict=True)))
    assert wsdi(both) == [0.0, 0.0]
    long = DailyBlock(
        2001,
        *(
            np.hstack([a, b])
            for a, b in zip(three(warm_year(2001, (358, 7))), three(warm_year(2002, (0, 6))), strict=True)
        ),
    )
    assert wsdi(long) == [7.0, 6.0]


def three(days: DailyBlock) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return days.tmax, days.tmin, days.precip


def test_a_leap_year_has_its_366_days() -> None:
    assert wsdi(warm_year(2004, (360, 6))) == [6.0]


def test_29_february_takes_the_threshold_of_28_february() -> None:
    warm = warm_year(2004, (57, 6))  # 27 February to 3 March
    cool_end_of_february = limits(30.0, 0.0)
    cool_end_of_february.tx90[0, 58] = 40.0  # 28 February, so 29 February too
    found = daily_indices(warm, LATITUDE, cool_end_of_february).annual["wsdi"][0]
    assert found.tolist() == [0.0]
    assert day_of_days(Years(2004, 2004))[[58, 59, 60]].tolist() == [58, 58, 59]


def test_cold_spells_are_days_strictly_under_the_threshold() -> None:
    days = warm_year(2001)
    days.tmin[0, 40:47] = -1.0
    days.tmin[0, 100:105] = -1.0
    days.tmin[0, 200:210] = 0.0
    assert daily_indices(days, LATITUDE, limits(30.0, 0.0)).annual["csdi"][0].tolist() == [7.0]


@pytest.mark.parametrize(("missing", "known"), [(15, True), (16, False)])
def test_a_year_may_miss_fifteen_days_of_each_variable(missing: int, *, known: bool) -> None:
    days = warm_year(2001, (30, 6))
    days.tmax[0, 200 : 200 + missing] = np.nan
    days.precip[0, 5] = 12.5
    annual = daily_indices(days, LATITUDE, limits(30.0, 0.0)).annual
    assert np.isfinite(annual["wsdi"][0, 0]) == known
    assert annual["csdi"][0, 0] == 0.0
    assert annual["rx1day"][0, 0] == 12.5


@pytest.mark.parametrize(("missing", "known"), [(3, True), (4, False)])
def test_a_month_may_miss_three_days_of_each_variable(missing: int, *, known: bool) -> None:
    days = warm_year(2001)
    days.precip[:] = 2.0
    days.precip[0, :missing] = np.nan
    monthly = daily_indices(days, LATITUDE, limits(30.0, 0.0)).monthly
    expected = 2.0 * (31 - missing) if known else np.nan
    np.testing.assert_array_equal(monthly["rn"][0, 0], expected)
    np.testing.assert_array_equal(monthly["wet_days"][0, 0], 31 - missing if known else np.nan)
    assert monthly["tamax"][0, 0] == 20.0
    assert monthly["rn"][0, 1] == 56.0


def test_a_months_mean_is_that_of_its_valid_days() -> None:
    days = warm_year(2001)
    days.tmax[0, 31:59] = np.arange(28.0)
    days.tmax[0, 31] = np.nan
    monthly = daily_indices(days, LATITUDE, limits(30.0, 0.0)).monthly
    assert monthly["tamax"][0, 1] == pytest.approx(np.arange(1.0, 28.0).mean())
    assert monthly["tamin"][0, 1] == 10.0


def test_a_day_is_wet_from_one_millimetre_on() -> None:
    days = warm_year(2001)
    days.precip[0, :4] = [0.9, 1.0, 30.0, 0.0]
    monthly = daily_indices(days, LATITUDE, limits(30.0, 0.0)).monthly
    assert monthly["wet_days"][0, :2].tolist() == [2.0, 0.0]
    assert monthly["rn"][0, 0] == pytest.approx(31.9)


def test_the_days_mean_temperature_is_given_or_halfway_between_the_extremes() -> None:
    days = warm_year(2001)
    tmean = np.full((1, 365), 14.0)
    tmean[0, 31:] = np.nan
    given = DailyBlock(2001, days.tmax, days.tmin, days.precip, tmean=tmean)
    assert daily_indices(given, LATITUDE, limits(30.0, 0.0)).monthly["ta"][0, :2].tolist() == [14.0, 15.0]
    assert daily_indices(days, LATITUDE, limits(30.0, 0.0)).monthly["ta"][0, 0] == 15.0


def test_valid_days_have_both_extremes_and_rain() -> None:
    days = warm_year(2004)
    days.tmax[0, 3] = days.tmin[0, 3] = days.tmin[0, 9] = days.precip[0, 300] = np.nan
    assert daily_indices(days, LATITUDE, limits(30.0, 0.0)).valid_days.tolist() == [[363]]


def test_without_humidity_or_wind_there_is_no_fire_weather() -> None:
    found = daily_indices(block(Years(2001, 2003)), LATITUDE, limits(30.0, 0.0))
    assert np.isnan(found.annual["fwi_days"]).all()
    assert np.isnan(found.annual["fwi_max"]).all()
    assert np.isnan(found.monthly["rhm"]).all()


def test_noon_humidity_follows_from_the_mean_where_the_lowest_is_missing() -> None:
    days = warm_year(2001)
    rh, wind = np.full((1, 365), 60.0), np.full((1, 365), 4.0)
    noon = 0.76 * 60.0 * saturation_pressure(np.float64(15.0)) / saturation_pressure(np.float64(20.0))
    lowest = np.full((1, 365), noon)
    lowest[0, 180:] = np.nan
    both = [
        daily_indices(
            DailyBlock(2001, days.tmax, days.tmin, days.precip, rh=rh, rh_min=rh_min, wind=wind),
            LATITUDE,
            limits(30.0, 0.0),
        ).annual["fwi_max"][0, 0]
        for rh_min in (None, lowest)
    ]
    assert both[0] == pytest.approx(both[1], rel=1e-12)
    driest = DailyBlock(2001, days.tmax, days.tmin, days.precip, rh=rh, rh_min=rh / 2, wind=wind)
    assert daily_indices(driest, LATITUDE, limits(30.0, 0.0)).annual["fwi_max"][0, 0] > both[0] + 2


def test_fire_weather_goes_on_from_the_codes_of_the_years_before() -> None:
    years = Years(2001, 2004)
    whole = block(years)
    whole.precip[:] = 0.0
    humid = np.full_like(whole.tmax, 45.0)
    wind = np.full_like(whole.tmax, 5.0)
    cut = int(year_lengths(Years(2001, 2002)).sum())

    def part(span: slice, first_year: int) -> DailyBlock:
        arrays = (whole.tmax, whole.tmin, whole.precip, None, humid, humid, wind)
        return DailyBlock(first_year, *(a if a is None else a[:, span] for a in arrays))

    flat = limits(30.0, 0.0)
    expected = daily_indices(part(slice(None), 2001), LATITUDE, flat).annual["fwi_max"][0, 2:]
    early = daily_indices(part(slice(0, cut), 2001), LATITUDE, flat)
    late = daily_indices(part(slice(cut, None), 2003), LATITUDE, flat, early.moisture)
    np.testing.assert_array_equal(late.annual["fwi_max"][0], expected)
    anew = daily_indices(part(slice(cut, None), 2003), LATITUDE, flat)
    assert late.moisture.dc[0] - anew.moisture.dc[0] == pytest.approx(early.moisture.dc[0] - 15.0)


def test_thresholds_are_type_8_quantiles_of_a_five_day_window() -> None:
    days = block(NORMALS)
    days.tmax[0, 4000:4010] = np.nan
    found = thresholds(days, NORMALS)
    common = days.tmax[0, ~is_29_february(NORMALS)].reshape(30, 365)
    for day in (0, 1, 57, 58, 59, 180, 363, 364):
        sample = common[:, np.arange(day - 2, day + 3) % 365].ravel()
        expected = mquantiles(sample[~np.isnan(sample)], 0.9, alphap=1 / 3, betap=1 / 3)
        assert found.tx90[0, day] == pytest.approx(expected.item(), rel=1e-12)
    lows = days.tmin[0, ~is_29_february(NORMALS)].reshape(30, 365)[:, 98:103]
    assert found.tn10[0, 100] == pytest.approx(
        mquantiles(lows.ravel(), 0.1, alphap=1 / 3, betap=1 / 3).item(), rel=1e-12
    )


def test_thresholds_rest_on_the_baseline_years_alone() -> None:
    days = block(Years(1981, 2020))
    cut = int(year_lengths(Years(1981, 1990)).sum())
    alone = DailyBlock(1991, *(values[:, cut:] for values in three(days)))
    np.testing.assert_array_equal(thresholds(days, NORMALS).tx90, thresholds(alone, NORMALS).tx90)


@pytest.mark.parametrize(("years", "known"), [(19, False), (20, True)])
def test_a_baseline_needs_twenty_years_with_at_most_fifteen_days_missing(years: int, *, known: bool) -> None:
    days = block(NORMALS)
    lengths = year_lengths(NORMALS)
    for position in range(years, 30):
        first = int(lengths[:position].sum())
        days.tmax[0, first : first + 16] = np.nan
    found = thresholds(days, NORMALS)
    assert np.isfinite(found.tx90).all() == known
    assert np.isfinite(found.tn10).all()
    annual = daily_indices(days, LATITUDE, found).annual
    assert np.isfinite(annual["wsdi"][0, 0]) == known
    assert np.isfinite(annual["csdi"]).all()


def test_days_outside_the_baseline_have_no_thresholds() -> None:
    found = thresholds(block(Years(2021, 2050)), NORMALS)
    assert np.isnan(found.tx90).all()
    assert found.tn10.shape == (1, 365)


def test_days_that_are_not_whole_years_are_refused() -> None:
    with pytest.raises(ValueError, match="364 days from 1 January 2001 are not whole calendar years"):
        DailyBlock(2001, *(np.zeros((1, 364)) for _ in range(3)))
    with pytest.raises(ValueError, match=r"wind has shape \(1, 300\), tmax \(1, 365\)"):
        DailyBlock(2001, *(np.zeros((1, 365)) for _ in range(3)), wind=np.zeros((1, 300)))


def test_months_have_the_days_of_the_real_calendar() -> None:
    assert month_lengths(Years(1999, 2000))[[1, 13]].tolist() == [28, 29]
    assert year_lengths(Years(1899, 1901)).tolist() == [365, 365, 365]
    assert DailyBlock(1991, *(np.zeros((1, 10958)) for _ in range(3))).years == NORMALS


def test_seoul_has_the_printed_warm_spells(shared_data: Path) -> None:
    seoul = korea(shared_data).index("Seoul")
    found = dict(zip(range(1991, 2021), korea_indices(shared_data).annual["wsdi"][seoul], strict=True))
    assert [found[year] for year in (1994, 1998, 1999, 2000, 2002, 2003, 2018, 2020)] == [
        15,
        6,
        6,
        7,
        12,
        0,
        15,
        11,
    ]
    assert sum(found.values()) == 117


def test_the_stations_mean_warm_spells_run_from_jeju_to_4_6_days(shared_data: Path) -> None:
    means = np.nanmean(korea_indices(shared_data).annual["wsdi"], axis=1)
    assert korea(shared_data).names[int(np.argmin(means))] == "Jeju"
    assert (round(means.min(), 1), round(means.max(), 1)) == (0.4, 4.6)


def test_seouls_wettest_days_have_the_printed_l_moments(shared_data: Path) -> None:
    seoul = korea(shared_data).index("Seoul")
    rx1day = korea_indices(shared_data).annual["rx1day"][seoul : seoul + 1]
    l1, l2, t3 = (moment[0] for moment in l_moments(rx1day))
    assert (round(l1, 6), round(l2, 6), round(t3, 6)) == (154.406667, 40.435862, 0.228395)


def test_fire_danger_is_highest_at_daegu_and_gangneung_and_lowest_at_the_coasts(shared_data: Path) -> None:
    days = np.nanmean(korea_indices(shared_data).annual["fwi_days"], axis=1)
    names = np.array(korea(shared_data).names)[np.argsort(days)]
    assert set(names[:3]) == {"Boryeong", "Geoje", "Seongsan"}
    assert names[-1] == "Daegu"
    assert names[-2] == "Gangneung"


def test_years_that_a_station_lacks_are_missing_and_the_rest_is_there(shared_data: Path) -> None:
    stations, annual = korea(shared_data), korea_indices(shared_data).annual
    daegu, suwon = stations.index("Daegu"), stations.index("Suwon")
    years = np.arange(1991, 2021)
    assert years[np.isnan(annual["wsdi"][daegu])].tolist() == [2014, 2015]
    assert years[np.isnan(annual["rx1day"][suwon])].tolist() == [2018, 2019]
