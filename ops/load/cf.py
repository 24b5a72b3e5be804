"""What a NetCDF variable means and in which unit, by the CF conventions.

Source: CF conventions 1.11 (standard names, cell methods); variable names of CMIP6 and E-OBS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.errors import InvalidFile
from streams.models.inputs import Array

SECONDS_PER_DAY = 86_400.0
KNOT = 1852.0 / 3600.0
"""One knot [m/s], by definition."""

ICE_POINT = 273.15
"""0 degC [K], by definition."""

_TEMPERATURE = {
    ("k", "kelvin"): (1.0, -ICE_POINT),
    ("degc", "celsius", "degrees_celsius", "degree_celsius", "deg_c", "c", "°c"): (1.0, 0.0),
}
_HUMIDITY = {("%", "percent"): (1.0, 0.0), ("1", "", "fraction"): (100.0, 0.0)}
_WIND = {
    ("m s-1", "m/s"): (1.0, 0.0),
    ("km h-1", "km/h"): (1 / 3.6, 0.0),
    ("knot", "knots", "kt"): (KNOT, 0.0),
}
_RADIATION = {
    ("w m-2", "w/m2"): (SECONDS_PER_DAY / 1e6, 0.0),
    ("mj m-2 day-1", "mj m-2 d-1", "mj/m2/day", "mj m-2"): (1.0, 0.0),
    ("j m-2", "j m-2 day-1", "j m-2 d-1"): (1e-6, 0.0),
}
_RATES = {
    ("kg m-2 s-1", "kg/m2/s", "mm s-1", "mm/s"): (SECONDS_PER_DAY, 0.0),
    ("mm day-1", "mm d-1", "mm/day", "mm/d", "kg m-2 day-1", "kg m-2 d-1"): (1.0, 0.0),
    ("m s-1",): (SECONDS_PER_DAY * 1000.0, 0.0),
    ("m day-1", "m d-1", "m/day"): (1000.0, 0.0),
}
_AMOUNTS = {
    ("mm", "kg m-2", "mm month-1", "mm/month"): (1.0, 0.0),
    ("m",): (1000.0, 0.0),
    ("cm",): (10.0, 0.0),
}

Units = Mapping[tuple[str, ...], tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Quantity:
    """One variable that riskflow reads.

    Attributes:
        daily, monthly: Column of the daily and of the monthly CSV, None where it has none.
        names: Usual names of the variable.
        standard: CF standard names.
        method: Word that the cell methods must hold ("maximum"), None for a mean or sum.
        units: Factor and offset to the column's unit.
    """

    daily: str | None
    monthly: str | None
    names: tuple[str, ...]
    standard: tuple[str, ...]
    method: str | None
    units: Units


QUANTITIES = (
    Quantity("tmax", "tamax", ("tasmax", "tx"), ("air_temperature",), "maximum", _TEMPERATURE),
    Quantity("tmin", "tamin", ("tasmin", "tn"), ("air_temperature",), "minimum", _TEMPERATURE),
    Quantity("tmean", "ta", ("tas", "tg"), ("air_temperature",), None, _TEMPERATURE),
    Quantity(
        "precip",
        "rn",
        ("pr", "rr"),
        (
            "precipitation_flux",
            "precipitation_amount",
            "lwe_precipitation_rate",
            "lwe_thickness_of_precipitation_amount",
            "thickness_of_rainfall_amount",
        ),
        None,
        {**_RATES, **_AMOUNTS},
    ),
    Quantity("rh_min", None, ("hursmin",), ("relative_humidity",), "minimum", _HUMIDITY),
    Quantity("rh", "rhm", ("hurs", "hu"), ("relative_humidity",), None, _HUMIDITY),
    Quantity("wind", "ws", ("sfcWind", "fg"), ("wind_speed",), None, _WIND),
    Quantity(None, "si", ("rsds",), ("surface_downwelling_shortwave_flux_in_air",), None, _RADIATION),
)


def recognise(name: str, attributes: Mapping[str, object]) -> Quantity | None:
    """The quantity of a variable, by its name or else by standard name and cell methods."""
    for quantity in QUANTITIES:
        if name in quantity.names:
            return quantity
    methods = str(attributes.get("cell_methods", ""))
    extreme = next((word for word in ("maximum", "minimum") if f"time: {word}" in methods), None)
    for quantity in QUANTITIES:
        if attributes.get("standard_name") in quantity.standard and quantity.method == extreme:
            return quantity
    return None


def conversion(quantity: Quantity, unit: str, place: str) -> tuple[float, float]:
    """Factor and offset from a variable's unit to ours.

    Raises:
        InvalidFile: The unit is none that this quantity has.
    """
    plain = _plain(unit)
    for spellings, numbers in quantity.units.items():
        if plain in spellings:
            return numbers
    allowed = ", ".join(spellings[0] for spellings in quantity.units if spellings[0])
    raise InvalidFile(f"{place}: unit {unit!r} is unknown; allowed: {allowed}")


def is_rate(quantity: Quantity, unit: str) -> bool:
    """Whether precipitation comes per second or day, so that a month's mean is not yet its sum."""
    return quantity.daily == "precip" and any(_plain(unit) in spellings for spellings in _RATES)


def converted(values: Array, numbers: tuple[float, float]) -> Array:
    """Values in our unit."""
    factor, offset = numbers
    return values * factor + offset


def _plain(unit: str) -> str:
    return " ".join(unit.lower().replace("**", "").replace("^", "").replace("·", " ").split())
