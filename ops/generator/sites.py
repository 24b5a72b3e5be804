"""Site attributes of generated cells."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr

from ops.demo.sources import demo_table
from ops.generator.cells import Cells
from ops.generator.noise import field
from streams.models.inputs import Array, Labels, Years

SITE_COLUMNS = (
    "latitude", "longitude", "elevation_m", "coast_km", "river_km", "imperviousness", "slope",
    "land_cover", "station", "basin",
)  # fmt: skip
"""Columns of the table `sites`."""

COASTAL_KM = 10.0
"""Distance from the sea up to which a cell has a coastal station [km]; METHODS, coastal flood."""

URBAN = 0.4
"""Imperviousness from which the land cover is urban; expert assumption."""

_NO_YEAR = Years(0, 0)


@dataclass(frozen=True, slots=True)
class Sites:
    """Site attributes of generated cells; every array has shape (cells,), in the units of `sites`."""

    elevation_m: Array
    coast_km: Array
    river_km: Array
    imperviousness: Array
    slope: Array
    land_cover: Labels


def draw_sites(cells: Cells, seed: int) -> Sites:
    """Site attributes of cells; the figures in it are expert assumptions, plausible in size.

    A third of the cells lies within 10 km of the sea and some of these a few metres above it;
    ground rises inland, and steep ground is neither dense nor flat.
    """
    noise = field("sites", seed, cells, _NO_YEAR, (6, 1))[..., 0]
    inland, relief, dense, steep, river, cover = noise
    coast_km = np.round(0.05 + 90 * ndtr(inland) ** 2, 2)
    elevation = np.round(2 * np.exp(0.6 * relief) + 2.5 * coast_km * np.exp(0.5 * relief), 1)
    imperviousness = np.round(0.85 * ndtr(dense) ** 2, 2)
    slope = np.round(0.003 + 0.08 * ndtr(steep) * np.minimum(elevation / 150, 1), 3)
    return Sites(
        elevation_m=elevation,
        coast_km=coast_km,
        river_km=np.round(0.1 - 3 * log_ndtr(river), 1),
        imperviousness=imperviousness,
        slope=slope,
        land_cover=_land_cover(imperviousness, ndtr(cover)),
    )


def site_rows(cells: Cells, seed: int, block: int = 500) -> Iterator[tuple[float | str, ...]]:
    """Rows of SITE_COLUMNS; station and basin are the nearest of the demo's tables.

    A cell further than COASTAL_KM from the sea has an empty station.
    """
    ports, basins = _places("sea_level_stations", "station"), _places("sites", "basin")
    for part in cells.blocks(block):
        sites = draw_sites(part, seed)
        station = np.where(sites.coast_km < COASTAL_KM, _nearest(part, *ports), "")
        numbers = (
            part.latitude, part.longitude, sites.elevation_m, sites.coast_km, sites.river_km,
            sites.imperviousness, sites.slope,
        )  # fmt: skip
        labels = (sites.land_cover, station, _nearest(part, *basins))
        yield from zip(*(each.tolist() for each in numbers + labels), strict=True)


def _land_cover(imperviousness: Array, share: Array) -> Labels:
    names = np.array(["forest", "cropland", "grassland", "water", "other"], dtype=object)
    cover: Labels = names[np.searchsorted([0.50, 0.80, 0.95, 0.98], share)]
    cover[imperviousness >= URBAN] = "urban"
    return cover


def _places(table: str, label: str) -> tuple[Array, Labels]:
    with demo_table(table).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    where = np.array([(float(row["latitude"]), float(row["longitude"])) for row in rows])
    return where, np.array([row[label] for row in rows], dtype=object)


def _nearest(cells: Cells, where: Array, labels: Labels) -> NDArray[np.object_]:
    north = cells.latitude[:, None] - where[:, 0]
    east = (cells.longitude[:, None] - where[:, 1]) * np.cos(np.radians(cells.latitude))[:, None]
    chosen: Labels = labels[np.argmin(north**2 + east**2, axis=1)]
    return chosen
