"""The columns of every table of climate that can be loaded: unit, range and whether a field may be empty.

Source: METHODS, section 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Literal

LAND_COVERS = ("forest", "grassland", "cropland", "urban", "water", "other")
FIRST_YEAR, LAST_YEAR = 1800, 2300
LONGEST_TEXT = 2000
"""Characters of a text field; a source is a sentence (expert assumption)."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a file.

    Attributes:
        name: As in the header.
        kind: How its text is read.
        unit: For sentences.
        low, high: Values outside are impossible; the bound itself too where `above_low`, `below_high`.
        optional: The header may lack it.
        empty: A row may lack it; impossible values can be taken as missing, unless `strict`.
        choices: The texts that are allowed; none: all.
        longest: Characters of a text.
        pattern, allowed: What an id must match whole, and that in words.
    """

    name: str
    kind: Literal["number", "integer", "degrees", "date", "time", "moment", "text", "id"]
    unit: str = ""
    low: float = -inf
    high: float = inf
    above_low: bool = False
    below_high: bool = False
    optional: bool = False
    empty: bool = False
    strict: bool = False
    choices: tuple[str, ...] = ()
    longest: int = LONGEST_TEXT
    pattern: str = ""
    allowed: str = ""

    @property
    def range(self) -> str:
        """The allowed values, for sentences."""
        unit = f" {self.unit}" if self.unit else ""
        if self.below_high:
            return f"{self.low:g} or more, less than {self.high:g}{unit}"
        if self.above_low:
            return f"more than {self.low:g}" + (f", at most {self.high:g}{unit}" if self.high < inf else unit)
        if self.high == inf:
            return f"{self.low:g} or more{unit and f' ({self.unit})'}"
        return f"{self.low:g} to {self.high:g}{unit}"

    @property
    def fault(self) -> str:
        """What is wrong with a value outside, after the value itself."""
        plain = self.high < inf and not self.above_low and not self.below_high
        return f"is outside {self.range}" if plain else f"is not allowed; allowed: {self.range}"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A kind of file: its columns and those that name a row."""

    columns: tuple[Column, ...]
    key: tuple[str, ...]

    def has(self, kind: str) -> bool:
        """Whether a column is of this kind."""
        return any(column.kind == kind for column in self.columns)

    def column(self, name: str) -> Column:
        """The column with this name."""
        return next(column for column in self.columns if column.name == name)


LATITUDE = Column("latitude", "degrees", "degrees", -90, 90)
LONGITUDE = Column("longitude", "degrees", "degrees", -180, 360)
YEAR = Column("year", "integer", "", FIRST_YEAR, LAST_YEAR)
SCENARIO = Column("scenario", "text")
SOURCE = Column("source", "text", optional=True, empty=True)

# World records, rounded outwards: -89.2 degC (Vostok 1983), 56.7 degC (Death Valley 1913); METHODS says 60.
COLDEST, HOTTEST = -95.0, 60.0
# Wettest day 1825 mm (Foc-Foc 1966), month 9300 mm (Cherrapunji July 1861); WMO archive of extremes.
WETTEST_DAY, WETTEST_MONTH = 2000.0, 10_000.0
# A day's mean over the strongest 10-minute winds known, and the sun without an atmosphere: expert assumption.
STRONGEST_WIND, BRIGHTEST_DAY = 100.0, 50.0


def _weather(name: str, unit: str, low: float, high: float, *, optional: bool = True) -> Column:
    return Column(name, "number", unit, low, high, optional=optional, empty=True)


def _temperature(name: str, *, optional: bool = True) -> Column:
    return _weather(name, "degC", COLDEST, HOTTEST, optional=optional)


CLIMATE_SCENARIO = Column("scenario", "text", optional=True)

MONTHLY = Sheet(
    (
        LATITUDE,
        LONGITUDE,
        YEAR,
        Column("month", "integer", "", 1, 12),
        _temperature("ta", optional=False),
        _temperature("tamax"),
        _temperature("tamin"),
        _weather("rn", "mm/month", 0, WETTEST_MONTH),
        _weather("rhm", "%", 0, 100),
        _weather("ws", "m/s", 0, STRONGEST_WIND),
        _weather("si", "MJ/m2/day", 0, BRIGHTEST_DAY),
        _weather("wet_days", "days", 0, 31),
        CLIMATE_SCENARIO,
    ),
    ("latitude", "longitude", "scenario", "year", "month"),
)

DAILY = Sheet(
    (
        LATITUDE,
        LONGITUDE,
        Column("date", "date"),
        _temperature("tmax", optional=False),
        _temperature("tmin", optional=False),
        _weather("precip", "mm", 0, WETTEST_DAY, optional=False),
        _temperature("tmean"),
        _weather("rh", "%", 0, 100),
        _weather("rh_min", "%", 0, 100),
        _weather("wind", "m/s", 0, STRONGEST_WIND),
        CLIMATE_SCENARIO,
    ),
    ("latitude", "longitude", "scenario", "date"),
)


def _site(name: str, unit: str, low: float, high: float) -> Column:
    return Column(name, "number", unit, low, high, optional=True, empty=True)


def _label(name: str, *choices: str) -> Column:
    return Column(name, "text", optional=True, empty=True, choices=choices)


SITES = Sheet(
    (
        LATITUDE,
        LONGITUDE,
        _site("elevation_m", "m", -500, 9000),
        _site("coast_km", "km", 0, 20_000),
        _site("river_km", "km", 0, 20_000),
        _site("imperviousness", "", 0, 1),
        _site("slope", "m/m", 0, 10),
        _label("land_cover", *LAND_COVERS),
        _label("station"),
        _label("basin"),
        SOURCE,
    ),
    ("latitude", "longitude"),
)

SEA_LEVEL_STATIONS = Sheet(
    (
        Column("station", "text"),
        LATITUDE,
        LONGITUDE,
        Column("location_m", "number", "m", -30, 30),
        Column("scale_m", "number", "m", 0, 10, above_low=True),
        Column("shape", "number", "", -1, 1),
        SOURCE,
    ),
    ("station",),
)

SEA_LEVEL_RISE = Sheet(
    (Column("station", "text"), SCENARIO, YEAR, Column("rise_mm", "number", "mm", -10_000, 20_000), SOURCE),
    ("station", "scenario", "year"),
)

BASINS = Sheet(
    (
        Column("basin", "text"),
        Column("renewable_mcm", "number", "million m3", 0, above_low=True),
        Column("withdrawal_mcm", "number", "million m3", 0),
        SOURCE,
    ),
    ("basin",),
)

DEMAND = Sheet((SCENARIO, YEAR, Column("ratio", "number", "", 0, 1000), SOURCE), ("scenario", "year"))

WARMING = Sheet((SCENARIO, YEAR, Column("dt_c", "number", "degC", -20, 20), SOURCE), ("scenario", "year"))

STORMS = Sheet(
    (
        Column("storm_id", "text"),
        Column("time", "time"),
        LATITUDE,
        LONGITUDE,
        Column("wind_ms", "number", "m/s", 0, 130, empty=True),
        Column("pressure_hpa", "number", "hPa", 800, 1100, empty=True),
        Column("rmw_km", "number", "km", 0, 2000, above_low=True, optional=True, empty=True),
        SOURCE,
    ),
    ("storm_id", "time"),
)

SMALL: Mapping[str, tuple[str, Sheet]] = {
    "sites": ("grid_cells", SITES),
    "sea-level-stations": ("sea_level_stations", SEA_LEVEL_STATIONS),
    "sea-level-rise": ("sea_level_rise", SEA_LEVEL_RISE),
    "basins": ("water_basins", BASINS),
    "demand": ("water_demand", DEMAND),
    "warming": ("climate_warming", WARMING),
    "storms": ("storm_fixes", STORMS),
}
"""Tables whose rows are stored as they stand: the database's table and the file's columns."""
