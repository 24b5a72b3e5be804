"""Monthly climatological normals: read from the demo's table, or drawn for any place on earth."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import ndtri

from ops.demo.sources import demo_table
from ops.generator.cells import Cells
from ops.generator.noise import field
from ops.generator.sites import draw_sites
from schemas.errors import InvalidFile
from streams.models.inputs import Array, Years

NORMALS = ("ta", "tamax", "tamin", "rn", "rhm", "ws", "wet_days")
"""degC, degC, degC, mm/month, %, m/s, days of 1 mm and more."""

MONTH_DAYS = np.array([31.0, 28.25, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
"""Mean length of the calendar months [days]."""

LAPSE = 0.0065
"""Fall of temperature with height [degC/m]; ICAO standard atmosphere."""

WARMEST_DAY = 205.0
"""Day of the year at which a northern summer peaks, late July; expert assumption."""

MID_MONTH = np.cumsum(MONTH_DAYS) - MONTH_DAYS / 2

_NO_YEAR = Years(0, 0)
_MONTHS = 12


@dataclass(frozen=True, slots=True)
class Normals:
    """Normals of cells; `values` maps each of NORMALS to shape (cells, 12)."""

    cells: Cells
    values: Mapping[str, Array]

    def blocks(self, size: int) -> Iterator[Normals]:
        """The normals in order, at most `size` cells at a time."""
        for start in range(0, len(self.cells), size):
            part = slice(start, start + size)
            yield Normals(self.cells[part], {name: each[part] for name, each in self.values.items()})


def read_normals(path: Path | None = None) -> Normals:
    """The normals of the demo's stations, in the table's order.

    Args:
        path: A table with latitude, longitude, month and NORMALS; the demo's by default.

    Raises:
        InvalidFile: A station has not each month once, or a value is no number.
    """
    path = path or demo_table("monthly_normals")
    rows: dict[tuple[float, float], dict[int, list[float]]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            try:
                place = float(row["latitude"]), float(row["longitude"])
                rows.setdefault(place, {})[int(row["month"])] = [float(row[name]) for name in NORMALS]
            except (KeyError, TypeError, ValueError) as error:
                raise InvalidFile(
                    f"{path.name}, line {line}: {error}; all of {NORMALS} are needed"
                ) from error
    for place, months in rows.items():
        if sorted(months) != list(range(1, _MONTHS + 1)):
            raise InvalidFile(f"{path.name}: {place} has the months {sorted(months)}, needed are 1 to 12")
    where = np.array(list(rows))
    table = np.array([[months[month] for month in range(1, _MONTHS + 1)] for months in rows.values()])
    return Normals(Cells(where[:, 0], where[:, 1]), {name: table[..., i] for i, name in enumerate(NORMALS)})


def draw_normals(cells: Cells, seed: int) -> Normals:
    """Plausible normals of cells anywhere, by latitude and height.

    The coefficients are expert assumptions, set so that 37 degrees north has Korea's seasons (a
    mean of 12 degC, 14 degC up and down, 1300 mm with a summer monsoon) and the tropics theirs.
    """
    local = field("normals", seed, cells, _NO_YEAR, (4, 1))
    warm, wide, wet, windy = local
    season = _season(cells.latitude)
    height = draw_sites(cells, seed).elevation_m[:, None]
    polar = np.abs(np.sin(np.radians(cells.latitude)))[:, None]
    ta = 28 - 43 * polar**2 - LAPSE * height + 0.5 * warm + (1 + 21 * polar) * season
    monsoon = np.exp(-(((np.abs(cells.latitude)[:, None] - 32) / 16) ** 2))
    reach = 4.8 + 0.4 * np.tanh(wide) - 0.8 * monsoon * season
    rn = _rain((400 + 1500 * (1 - polar**2)) * np.exp(0.15 * wet), 1.25 * monsoon * season)
    return Normals(
        cells,
        {
            "ta": ta,
            "tamax": ta + 1.05 * reach,
            "tamin": ta - 0.95 * reach,
            "rn": rn,
            "rhm": 64 + 10 * monsoon * season,
            "ws": (2.6 - 0.3 * season) * np.exp(0.15 * windy),
            "wet_days": rn / rain_of_wet_day(rn),
        },
    )


def rain_of_wet_day(rn: Array) -> Array:
    """Mean rain of a day of 1 mm and more [mm] in a month with `rn` mm.

    Fitted by eye to the 61 stations' normals: 6 mm in a month of 17 mm, 30 mm in one of 414 mm.
    """
    mean: Array = 5 + 0.06 * rn
    return mean


def wet_threshold(normals: Normals) -> Array:
    """Standard normal value below which a day is wet, (cells, 12)."""
    threshold: Array = ndtri(np.clip(normals.values["wet_days"] / MONTH_DAYS, 1e-6, 1 - 1e-6))
    return threshold


def _season(latitude: Array) -> Array:
    turn = np.cos(2 * np.pi * (MID_MONTH - WARMEST_DAY) / MONTH_DAYS.sum())
    season: Array = np.where(latitude >= 0, 1.0, -1.0)[:, None] * turn
    return season


def _rain(annual: Array, swing: Array) -> Array:
    # A running sum in a fixed order: the same cell gives the same bits in every block.
    weight = np.exp(swing) * MONTH_DAYS
    rain: Array = annual * weight / np.add.accumulate(weight, axis=1)[:, -1:]
    return rain
