"""Text files: what is read, and the sentence about what is not."""

from __future__ import annotations

import gzip
import math
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ops.load.columns import DAILY, SITES
from ops.load.csvfile import CsvFile, TextBlock
from ops.load.fields import plain_numbers, read_date, read_degrees
from ops.load.findings import Findings
from ops.load.moments import NOT_A_TIME, read_moment
from ops.load.options import LoadOptions, silent
from schemas.errors import InvalidFile
from streams.models.inputs import Years

HEADER = b"latitude,longitude,date,tmax,tmin,precip\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stations.csv"


def blocks_of(path: Path, content: bytes) -> tuple[list[TextBlock], Findings]:
    path.write_bytes(content)
    findings = Findings(LoadOptions(baseline=Years(1991, 2020)), [path])
    with CsvFile(path, DAILY) as file:
        return list(file.blocks(findings, silent)), findings


def refusal(path: Path, content: bytes) -> str:
    with pytest.raises(InvalidFile) as error:
        blocks_of(path, content)[1].settle()
    return str(error.value)


def test_lines_are_those_of_the_text_file_with_comments_blanks_and_byte_order_mark(path: Path) -> None:
    content = (
        b"\xef\xbb\xbf# a comment\r\n\r\n"
        + HEADER
        + b"37.5,127,1991-01-01,1,0,0\r\n\r\n38,127,1991-01-01,2,1,0\n"
    )
    (block,), _ = blocks_of(path, content)
    assert block.lines.tolist() == [4, 6]
    assert list(block.columns["tmax"]) == ["1", "2"]
    assert list(block.columns["precip"]) == ["0", "0"]


def test_quoted_fields_and_plain_ones_read_alike(path: Path) -> None:
    plain, _ = blocks_of(path, HEADER + b"37.5,127,1991-01-01,1,0,0\n38,127,1991-01-01,2,1,0")
    quoted, _ = blocks_of(path, HEADER + b'37.5,"127",1991-01-01,1,0,"0"\n38,127,1991-01-01,2,1,0\n')
    for name in plain[0].columns:
        assert list(plain[0].columns[name]) == list(quoted[0].columns[name])


def test_gzip_is_known_by_its_content_not_its_name(path: Path) -> None:
    (block,), _ = blocks_of(path, gzip.compress(HEADER + b"37.5,127,1991-01-01,1,0,0\n"))
    assert list(block.columns["latitude"]) == ["37.5"]


def test_a_gzip_file_that_ends_early_is_refused(path: Path) -> None:
    packed = gzip.compress(HEADER + b"37.5,127,1991-01-01,1,0,0\n" * 50)
    assert "the gzip data are damaged" in refusal(path, packed[:-12])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "stations.csv is empty: expected a header with latitude, longitude, date, tmax, tmin, precip"),
        (HEADER, "stations.csv: there are no rows under the header"),
        (b"\xff\xfel\x00a\x00", "stations.csv is text in UTF-16; save it as UTF-8"),
        (b"PK\x03\x04abcd", "stations.csv is a ZIP archive or a spreadsheet; unpack it or save it as CSV"),
        (b"\x89HDF\r\n\x1a\n", "stations.csv is a NetCDF or HDF5 file; use: riskflow load netcdf"),
        (b"latitude;longitude\n", "stations.csv line 1: fields are separated by ';'; expected commas"),
        (
            HEADER + b"37.5,127,1991-01-01,1,0,0\n37.5,127,1991-01-02,1,0,\xb0\n",
            "stations.csv line 3: byte 0xb0 is not UTF-8; save the file as UTF-8",
        ),
        (
            HEADER + b"37.5,127,1991-01-01,1,0,0\n37.5,127,1991-01-02,1,0\n",
            "stations.csv line 3: 5 fields, but the header has 6",
        ),
        (
            HEADER + b'37.5,127,1991-01-01,1,0,"0\n"\n',
            "stations.csv line 2: a quoted field runs over the end of the line; write each row on one line",
        ),
    ],
)
def test_a_file_that_is_no_such_csv_is_refused(path: Path, content: bytes, sentence: str) -> None:
    assert refusal(path, content).startswith(sentence)


def test_unknown_missing_and_repeated_columns_are_named_with_what_is_allowed(path: Path) -> None:
    assert refusal(path, b"latitude,longitude,date,tmax,tmax,tmin,rain\n") == (
        "stations.csv line 1: column 'rain' is unknown; column precip is missing; column tmax stands twice; "
        "expected latitude, longitude, date, tmax, tmin, precip "
        "(and, if you like, tmean, rh, rh_min, wind, scenario)"
    )


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match=r"absent\.csv: No such file or directory"):
        CsvFile(tmp_path / "absent.csv", SITES)


def test_numbers_are_decimal_and_finite_and_an_empty_text_is_missing() -> None:
    values = plain_numbers(["1.5", "", " -2e1 ", "abc", "nan", "inf", "1_0", "\u0661", "1e999"])
    np.testing.assert_array_equal(values, [1.5, np.nan, -20, *[np.inf] * 6])


def test_a_column_of_whole_numbers_keeps_missing_ones() -> None:
    np.testing.assert_array_equal(plain_numbers(["1", "", "3"]), [1, np.nan, 3])


@pytest.mark.parametrize(
    ("text", "days"),
    [("1970-01-01", 0), ("2000-02-29", 11016), ("1969-12-31", -1)],
)
def test_dates_count_from_1970(text: str, days: int) -> None:
    assert read_date(text) == days


@pytest.mark.parametrize(
    "text", ["1991-02-30", "1999-02-29", "1991-1-1", "19910101", "1991-W01-1", "01/02/1991"]
)
def test_days_that_do_not_exist_are_misread(text: str) -> None:
    assert math.isinf(read_date(text))


def test_coordinates_have_six_decimals_and_no_negative_zero() -> None:
    assert read_degrees("37.12345678") == 37.123457
    assert math.copysign(1, read_degrees("-0.0000001")) == 1


@pytest.mark.parametrize("text", ["2003-09-12T06:00:00Z", "2003-09-12 06:00", "2003-09-12T15:00:00+09:00"])
def test_times_are_utc(text: str) -> None:
    assert read_moment(text, UTC) == 1_063_346_400_000_000


def test_a_text_that_is_no_time_and_a_year_out_of_range_are_told() -> None:
    assert read_moment("yesterday", UTC) == NOT_A_TIME
    assert read_moment("0001-01-01T00:00:00+09:00", None) == "is outside 1800 to 2300"


def test_a_local_time_that_comes_twice_or_never_is_told() -> None:
    zone = ZoneInfo("America/New_York")
    assert "comes twice in America/New_York" in str(read_moment("2026-11-01T01:30:00", zone))
    assert "does not exist in America/New_York" in str(read_moment("2026-03-08T02:30:00", zone))
    # 06:00 in New York is 11:00 UTC in winter.
    assert read_moment("2026-11-02T06:00:00", zone) == read_moment("2026-11-02T11:00:00Z", None)
