"""Rows as GeoJSON: a feature per cell and risk, the cell's rectangle on a regular grid, else a point.

Source: RFC 7946.
"""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import AsyncIterator, Sequence
from typing import IO, Any

import orjson

from ops.export.rows import Outline, Row
from ops.export.spacing import Spacing

DIGITS = 6
"""Decimals of coordinates, as they are stored; RFC 7946, section 11.2."""

HALF_TURN, TURN, POLE = 180.0, 360.0, 90.0

Ring = list[list[float]]


async def write_geojson(
    found: Outline, batches: AsyncIterator[list[Row]], spacing: Spacing | None, file: IO[bytes]
) -> int:
    """Write a FeatureCollection, a line per feature, and return how many features."""
    names = list(found.columns)[2:]
    file.write(b'{"type":"FeatureCollection","features":[')
    written = 0
    async for rows in batches:
        file.write(b",\n" if written else b"\n")
        file.write(await to_thread(_features, rows, names, spacing))
        written += len(rows)
    file.write(b"\n]}\n")
    return written


def geometry(latitude: float, longitude: float, spacing: Spacing | None) -> dict[str, Any]:
    """Where a cell is; a rectangle that the antimeridian crosses is cut there (section 3.1.9)."""
    if spacing is None:
        return {"type": "Point", "coordinates": [_wrapped(longitude), latitude]}
    south = max(latitude - spacing.latitude / 2, -POLE)
    north = min(latitude + spacing.latitude / 2, POLE)
    centre, half = _wrapped(longitude), spacing.longitude / 2
    west, east = centre - half, centre + half
    if east > HALF_TURN:
        parts = [(west, HALF_TURN), (-HALF_TURN, east - TURN)]
    elif west < -HALF_TURN:
        parts = [(west + TURN, HALF_TURN), (-HALF_TURN, east)]
    else:
        return {"type": "Polygon", "coordinates": [_ring(south, west, north, east)]}
    return {
        "type": "MultiPolygon",
        "coordinates": [[_ring(south, part[0], north, part[1])] for part in parts],
    }


def _features(rows: Sequence[Row], names: Sequence[str], spacing: Spacing | None) -> bytes:
    return b",\n".join(
        orjson.dumps(
            {
                "type": "Feature",
                "geometry": geometry(latitude, longitude, spacing),
                "properties": dict(zip(names, values, strict=True)),
            }
        )
        for latitude, longitude, *values in rows
    )


def _wrapped(longitude: float) -> float:
    """The longitude within -180..180."""
    return round(longitude - TURN, DIGITS) if longitude > HALF_TURN else longitude


def _ring(south: float, west: float, north: float, east: float) -> Ring:
    """Counterclockwise and closed."""
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    return [[round(x, DIGITS), round(y, DIGITS)] for x, y in corners]
