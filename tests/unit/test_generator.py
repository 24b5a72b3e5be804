"""Generated weather: the same numbers for the same seed, and numbers that could be weather."""

from __future__ import annotations

import csv
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from ops.demo.sources import demo_table
from ops.generator.blocks import (
    MONTHLY_COLUMNS,
    daily_blocks,
    drawn_daily_blocks,
    monthly_blocks,
    write_daily_csv,
    write_monthly_csv,
)
from ops.generator.cells import Cells, regular_grid
from ops.generator.months import annual_indices, draw_months
from ops.generator.noise import field, smooth
from ops.generator.normals import NORMALS, Normals, read_normals
from ops.generator.seasons import line
from ops.generator.sites import SITE_COLUMNS, site_rows
from schemas.errors import InvalidFile
from streams.models.daily import DailyIndices, daily_indices, thresholds
from streams.models.evapotranspiration import MIDDLE_DAYS, extraterrestrial_radiation
from streams.models.inputs import ANNUAL_INDICES, MONTHLY_VARIABLES, Array, Years

THIRTY = Years(1991, 2020)
SEED = 7
DAILY = ("tmax", "tmin", "precip", "tmean", "rh", "rh_min", "wind")


def months(cells: Cells, years: Years, block: int = 500, scenario: str = "historical") -> dict[str, Array]:
    blocks = list(monthly_blocks(cells, years, SEED, scenario, block))
    return {name: np.concatenate([each.months.values[name] for each in blocks]) for name in MONTHLY_VARIABLES}


def days(cells: Cells, years: Years, block: int) -> Array:
    blocks = [each.days for each in daily_blocks(cells, years, SEED, block=block)]
    return np.stack([np.concatenate([getattr(each, name) for each in blocks]) for name in DAILY])


@pytest.fixture(scope="module")
def drawn() -> DailyIndices:
    """Indices of 30 years of days drawn for every fifth station of the demo."""
    normals = read_normals()
    some = Normals(normals.cells[::5], {name: each[::5] for name, each in normals.values.items()})
    (block,) = drawn_daily_blocks(some, THIRTY, SEED)
    return daily_indices(block.days, block.cells.latitude, thresholds(block.days, THIRTY))


def test_months_are_the_same_in_blocks_of_any_size() -> None:
    cells = regular_grid(23)
    whole, single = months(cells, Years(2001, 2003)), months(cells, Years(2001, 2003), block=1)
    for name in MONTHLY_VARIABLES:
        np.testing.assert_array_equal(whole[name], single[name])


def test_days_are_the_same_in_blocks_of_any_size() -> None:
    cells = regular_grid(7)
    np.testing.assert_array_equal(days(cells, Years(2003, 2004), 7), days(cells, Years(2003, 2004), 2))


def test_a_years_weather_does_not_depend_on_the_window() -> None:
    cells = regular_grid(3)
    long, short = months(cells, THIRTY), months(cells, Years(2000, 2000))
    np.testing.assert_array_equal(long["ta"][:, 108:120], short["ta"])
    np.testing.assert_array_equal(long["rn"][:, 108:120], short["rn"])
    np.testing.assert_array_equal(
        days(cells, Years(1999, 2001), 3)[..., 365:731], days(cells, Years(2000, 2000), 3)
    )


def test_the_numbers_of_a_seed_stay_what_they_are() -> None:
    block = next(monthly_blocks(regular_grid(3), Years(1991, 1991), SEED))
    january = {name: float(values[0, 0]) for name, values in block.months.values.items()}
    assert january == pytest.approx(
        {
            "ta": -1.36,
            "tamax": 3.82,
            "tamin": -6.04,
            "rn": 60.6,
            "rhm": 55.62,
            "ws": 3.27,
            "si": 9.94,
            "wet_days": 7,
        },
        abs=0.011,
    )


def test_another_seed_gives_other_weather() -> None:
    cells = regular_grid(20)
    first, second = (draw_months(cells, THIRTY, seed).values["ta"] for seed in (1, 2))
    anomalies = [values - values.mean(axis=1, keepdims=True) for values in (first, second)]
    assert np.abs(first - second).mean() > 0.5
    assert anomalies[0].std() == pytest.approx(anomalies[1].std(), rel=0.05)


def test_months_are_physically_possible() -> None:
    cells = regular_grid(200)
    values = months(cells, THIRTY)
    radiation = np.tile(extraterrestrial_radiation(cells.latitude[:, None], MIDDLE_DAYS), 30)
    assert (values["tamin"] < values["ta"]).all()
    assert (values["ta"] < values["tamax"]).all()
    assert (values["rn"] >= 0).all()
    assert (values["wet_days"] <= values["rn"]).all()
    assert ((values["wet_days"] >= 1) == (values["rn"] >= 1)).all()
    assert (values["wet_days"] == np.rint(values["wet_days"])).all()
    assert ((values["rhm"] >= 10) & (values["rhm"] <= 100)).all()
    assert (values["ws"] > 0).all()
    assert (values["si"] <= 0.75 * radiation + 0.01).all()
    assert (values["si"] >= 0.20 * radiation - 0.01).all()


def test_months_have_koreas_seasons_and_vary_from_year_to_year() -> None:
    values = {
        name: each.reshape(200, 30, 12) for name, each in months(regular_grid(200, south=37), THIRTY).items()
    }
    mean = {name: each.mean(axis=(0, 1)) for name, each in values.items()}
    assert 18 < mean["ta"].max() - mean["ta"].min() < 32
    assert mean["rn"][5:9].sum() / mean["rn"].sum() > 0.5
    assert 900 < mean["rn"].sum() < 1700
    variation = values["ta"].std(axis=1).mean()
    assert 0.9 < variation < 1.5
    assert 0.4 < (values["rn"].std(axis=1) / values["rn"].mean(axis=1)).mean() < 0.8


def test_rain_is_cloudy_humid_and_has_a_narrow_daily_range() -> None:
    values = {
        name: each.reshape(100, 30, 12)[..., 6] for name, each in months(regular_grid(100), THIRTY).items()
    }

    def correlation(one: Array, other: Array) -> float:
        centred = [each - each.mean(axis=1, keepdims=True) for each in (one, other)]
        return float((centred[0] * centred[1]).mean() / (centred[0].std() * centred[1].std()))

    assert correlation(values["rn"], values["si"]) < -0.6
    assert correlation(values["rn"], values["rhm"]) > 0.5
    assert correlation(values["rn"], values["tamax"] - values["tamin"]) < -0.5


def test_the_southern_hemisphere_has_its_summer_in_january() -> None:
    cells = Cells(np.array([-35.0, 35.0]), np.array([147.0, 147.0]))
    south, north = draw_months(cells, THIRTY, SEED).values["ta"].reshape(2, 30, 12).mean(axis=1)
    assert south.argmax() in {0, 1}
    assert north.argmax() in {6, 7}


def test_neighbours_share_their_weather_and_distant_cells_do_not() -> None:
    cells = Cells(np.array([37.0, 37.1, 43.0]), np.array([127.0, 127.1, 135.0]))
    heat = field("any", SEED, cells, Years(1, 4000), (1, 1))[0]
    near, far = np.corrcoef(heat)[0, 1:]
    assert near == pytest.approx(0.8, abs=0.05)
    assert far == pytest.approx(0.0, abs=0.05)
    assert heat.std(axis=1) == pytest.approx(1.0, abs=0.05)


def test_smoothed_noise_keeps_its_variance_and_gains_a_memory() -> None:
    noise = smooth(np.random.default_rng(1).standard_normal((20, 5012)), 0.7, 12)
    assert noise.shape == (20, 5000)
    assert noise.std() == pytest.approx(1.0, abs=0.02)
    assert np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1] == pytest.approx(0.7, abs=0.02)


def test_a_line_through_the_year_has_the_months_means() -> None:
    normals = read_normals().values["ta"][:3]
    course = line(normals, Years(2000, 2000))
    lengths = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    starts = np.cumsum([0, *lengths[:-1]])
    np.testing.assert_allclose(np.add.reduceat(course, starts, axis=1) / lengths, normals, atol=1e-9)


def test_a_scenario_warms_as_its_table_says_and_historical_does_not() -> None:
    cells, late = regular_grid(5), Years(2090, 2090)
    warm, plain = months(cells, late, scenario="ssp585"), months(cells, late)
    # 3.53 degC of global warming, times 1.4 over land.
    np.testing.assert_allclose(warm["ta"] - plain["ta"], 1.4 * 3.53, atol=0.011)
    assert warm["rn"].sum() / plain["rn"].sum() == pytest.approx(1 + 0.03 * 1.4 * 3.53, abs=0.01)


def test_an_unknown_scenario_is_refused_with_the_names_that_there_are() -> None:
    with pytest.raises(ValueError, match="'rcp85'; there are historical, ssp126, ssp245, ssp370, ssp585"):
        next(monthly_blocks(regular_grid(1), THIRTY, SEED, "rcp85"))


def test_days_are_physically_possible_on_the_real_calendar() -> None:
    blocks = list(daily_blocks(regular_grid(30), Years(1999, 2001), SEED, block=11))
    assert [len(block.cells) for block in blocks] == [11, 11, 8]
    for each in (block.days for block in blocks):
        assert each.tmax.shape[1] == 365 + 366 + 365
        assert each.tmean is not None
        assert each.rh is not None
        assert each.rh_min is not None
        assert each.wind is not None
        assert (each.tmin <= each.tmean).all()
        assert (each.tmean <= each.tmax).all()
        assert ((each.precip == 0) | (each.precip >= 1)).all()
        assert (each.rh_min >= 5).all()
        assert (each.rh_min <= each.rh).all()
        assert (each.rh <= 100).all()
        assert (each.wind >= 0).all()


def test_drawn_days_keep_the_normals_of_the_stations(drawn: DailyIndices) -> None:
    normals = read_normals().values
    for name, tolerance in {
        "ta": 0.2,
        "tamax": 0.2,
        "tamin": 0.2,
        "rn": 6,
        "rhm": 1.5,
        "ws": 0.05,
        "wet_days": 0.6,
    }.items():
        drawn_mean = drawn.monthly[name].reshape(-1, 30, 12).mean(axis=(0, 1))
        np.testing.assert_allclose(drawn_mean.mean(), normals[name][::5].mean(), atol=tolerance, err_msg=name)


def test_drawn_days_have_extremes_of_the_size_of_the_record(drawn: DailyIndices) -> None:
    # The record of the 61 stations: WSDI 2.7, CSDI 2.1 days, RX1DAY 137 mm, 2.3 days with FWI >= 38.
    assert 1.0 < drawn.annual["wsdi"].mean() < 4.5
    assert 1.0 < drawn.annual["csdi"].mean() < 4.5
    assert 110 < drawn.annual["rx1day"].mean() < 170
    assert 0.5 < drawn.annual["fwi_days"].mean() < 4.0
    assert (drawn.valid_days >= 365).all()


def test_annual_indices_agree_with_each_other() -> None:
    values = annual_indices(regular_grid(500), THIRTY, SEED).values
    assert set(values) == set(ANNUAL_INDICES)
    for name in ("wsdi", "csdi"):
        assert ((values[name] == 0) | (values[name] >= 6)).all()
        assert 0.4 < (values[name] == 0).mean() < 0.8
    assert ((values["fwi_days"] > 0) == (values["fwi_max"] >= 38)).all()
    assert (values["rx1day"] > 0).all()
    assert 90 < values["rx1day"].mean() < 200


def test_annual_indices_follow_the_warming() -> None:
    cells, years = regular_grid(200), Years(2071, 2100)
    warm, plain = (
        annual_indices(cells, years, SEED, scenario).values for scenario in ("ssp585", "historical")
    )
    assert warm["wsdi"].mean() > 3 * plain["wsdi"].mean()
    assert warm["csdi"].mean() < 0.2 * plain["csdi"].mean()
    assert (warm["rx1day"] > plain["rx1day"]).all()


def test_fire_weather_is_missing_where_only_months_are_wanted() -> None:
    values = annual_indices(regular_grid(4), THIRTY, SEED, fire=False).values
    assert np.isnan(values["fwi_days"]).all()
    assert np.isnan(values["fwi_max"]).all()
    assert np.isfinite(values["wsdi"]).all()


def test_sites_have_all_columns_and_only_coastal_ones_a_station() -> None:
    rows = [dict(zip(SITE_COLUMNS, row, strict=True)) for row in site_rows(regular_grid(800), SEED)]
    with demo_table("basins").open(encoding="utf-8", newline="") as file:
        basins = {row["basin"] for row in csv.DictReader(file)}
    assert len(rows) == 800
    for row in rows:
        assert (row["station"] != "") == (row["coast_km"] < 10)
        assert row["basin"] in basins
        assert 0 <= row["imperviousness"] <= 1
        assert row["elevation_m"] > 0
    assert sum(row["coast_km"] < 10 and row["elevation_m"] < 5 for row in rows) > 20
    assert {row["land_cover"] for row in rows} >= {"forest", "cropland", "urban", "grassland"}
    assert rows == [
        dict(zip(SITE_COLUMNS, row, strict=True)) for row in site_rows(regular_grid(800), SEED, block=33)
    ]


def test_a_written_csv_reads_back_as_the_arrays(tmp_path: Path) -> None:
    cells, years = regular_grid(3), Years(2019, 2020)
    path = tmp_path / "months.csv"
    assert write_monthly_csv(path, monthly_blocks(cells, years, SEED, block=2)) == 3 * 24
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    values = months(cells, years)
    assert tuple(rows[0]) == MONTHLY_COLUMNS
    assert [(row["year"], row["month"]) for row in rows[10:14]] == [
        ("2019", "11"),
        ("2019", "12"),
        ("2020", "1"),
        ("2020", "2"),
    ]
    for name in MONTHLY_VARIABLES:
        assert [float(row[name]) for row in rows] == values[name].ravel().tolist()
    assert {row["scenario"] for row in rows} == {"historical"}


def test_written_days_read_back_as_the_arrays(tmp_path: Path) -> None:
    cells, years = regular_grid(2), Years(2020, 2020)
    path = tmp_path / "days.csv"
    assert write_daily_csv(path, daily_blocks(cells, years, SEED)) == 2 * 366
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [rows[index]["date"] for index in (0, 59, 365, 366)] == [
        "2020-01-01",
        "2020-02-29",
        "2020-12-31",
        "2020-01-01",
    ]
    for name, values in zip(DAILY, days(cells, years, 2), strict=True):
        assert [float(row[name]) for row in rows] == values.ravel().tolist()


def test_memory_does_not_grow_with_the_cells() -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        for block in monthly_blocks(regular_grid(count), Years(1991, 1995), SEED, block=100):
            assert block.months.values["ta"].shape == (100, 60)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(100)
    assert peak(1000) < 1.3 * peak(200)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("latitude,longitude,month,ta\n35,127,1,3\n", "line 2: 'tamax'"),
        (
            "latitude,longitude,month," + ",".join(NORMALS) + "\n35,127,1" + ",1" * 7 + "\n",
            r"has the months \[1\]",
        ),
        (
            "latitude,longitude,month," + ",".join(NORMALS) + "\n35,127,1" + ",x" * 7 + "\n",
            "could not convert",
        ),
    ],
)
def test_faulty_normals_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "normals.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidFile, match=message):
        read_normals(path)
