"""NetCDF variables: what they are and in which unit."""

from __future__ import annotations

import pytest

from ops.load.cf import QUANTITIES, conversion, is_rate, recognise
from schemas.errors import InvalidFile

BY_DAILY = {quantity.daily: quantity for quantity in QUANTITIES}


@pytest.mark.parametrize(
    ("name", "attributes", "column"),
    [
        ("tasmax", {}, "tmax"),
        ("t", {"standard_name": "air_temperature", "cell_methods": "area: mean time: maximum"}, "tmax"),
        ("t", {"standard_name": "air_temperature", "cell_methods": "time: minimum within days"}, "tmin"),
        ("t", {"standard_name": "air_temperature", "cell_methods": "time: mean"}, "tmean"),
        ("t2m", {"standard_name": "air_temperature"}, "tmean"),
        ("rain", {"standard_name": "precipitation_flux"}, "precip"),
        ("h", {"standard_name": "relative_humidity", "cell_methods": "time: minimum"}, "rh_min"),
        ("u10", {"standard_name": "wind_speed"}, "wind"),
    ],
)
def test_variables_are_known_by_name_or_standard_name(
    name: str, attributes: dict[str, str], column: str
) -> None:
    quantity = recognise(name, attributes)
    assert quantity is not None
    assert quantity.daily == column


def test_other_variables_are_left_alone() -> None:
    assert recognise("orog", {"standard_name": "surface_altitude"}) is None


@pytest.mark.parametrize(
    ("column", "unit", "value", "expected"),
    [
        ("tmax", "K", 300.0, 26.85),
        ("tmax", "degC", 26.85, 26.85),
        ("precip", "kg m-2 s-1", 1 / 86400, 1.0),
        ("precip", "mm/day", 3.0, 3.0),
        ("precip", "m", 0.003, 3.0),
        ("rh", "1", 0.6, 60.0),
        ("rh", "%", 60.0, 60.0),
        ("wind", "km h-1", 36.0, 10.0),
        ("wind", "m s**-1", 10.0, 10.0),
        (None, "W m-2", 100.0, 8.64),
    ],
)
def test_units_become_those_of_the_tables(
    column: str | None, unit: str, value: float, expected: float
) -> None:
    factor, offset = conversion(BY_DAILY[column], unit, "x.nc")
    assert value * factor + offset == pytest.approx(expected, rel=1e-12)


def test_an_unknown_unit_is_refused_with_the_allowed_ones() -> None:
    with pytest.raises(InvalidFile, match=r"x\.nc: unit 'degF' is unknown; allowed: k, degc"):
        conversion(BY_DAILY["tmax"], "degF", "x.nc")


def test_a_flux_is_a_rate_and_an_amount_is_not() -> None:
    assert is_rate(BY_DAILY["precip"], "kg m-2 s-1")
    assert not is_rate(BY_DAILY["precip"], "mm")
