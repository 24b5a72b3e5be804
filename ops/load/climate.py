"""Months, annual indices and thresholds: staged in temporary tables, then merged into the database's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import asyncpg
import numpy as np
from numpy.typing import NDArray

from ops.load import binary
from ops.load.staging import Merged, merge
from streams.models.inputs import ANNUAL_INDICES, MONTHLY_VARIABLES, Array, Years

KEY = ("latitude", "longitude", "scenario", "year")

STAGES = f"""
CREATE TEMPORARY TABLE IF NOT EXISTS stage_months (
    latitude numeric(10, 6), longitude numeric(10, 6), scenario text, year integer, month integer,
    file integer, line integer, {", ".join(f"{name} double precision" for name in MONTHLY_VARIABLES)}
) ON COMMIT DROP;
CREATE TEMPORARY TABLE IF NOT EXISTS stage_indices (
    latitude numeric(10, 6), longitude numeric(10, 6), scenario text, year integer,
    {", ".join(f"{name} double precision" for name in ANNUAL_INDICES)},
    valid_days integer, baseline_start integer, baseline_end integer
) ON COMMIT DROP;
TRUNCATE pg_temp.stage_months, pg_temp.stage_indices;
"""

STORE_THRESHOLDS = """
INSERT INTO climate_thresholds AS stored (latitude, longitude, baseline_start, baseline_end, tx90, tn10)
VALUES (round($1::float8::numeric, 6), round($2::float8::numeric, 6), $3, $4, $5, $6)
ON CONFLICT (latitude, longitude) DO UPDATE
SET baseline_start = excluded.baseline_start, baseline_end = excluded.baseline_end,
    tx90 = excluded.tx90, tn10 = excluded.tn10
WHERE (stored.baseline_start, stored.baseline_end, stored.tx90, stored.tn10)
    IS DISTINCT FROM (excluded.baseline_start, excluded.baseline_end, excluded.tx90, excluded.tn10)
"""

FIND_THRESHOLDS = """
SELECT asked.place::integer - 1 AS place, stored.tx90, stored.tn10
FROM unnest($1::float8[], $2::float8[]) WITH ORDINALITY AS asked (latitude, longitude, place)
JOIN climate_thresholds stored
    ON stored.latitude = round(asked.latitude::numeric, 6)
   AND stored.longitude = round(asked.longitude::numeric, 6)
WHERE stored.baseline_start = $3 AND stored.baseline_end = $4
"""


async def prepare(connection: asyncpg.Connection) -> None:
    """Empty stages for this transaction."""
    await connection.execute(STAGES)


async def stage_months(  # noqa: PLR0913 - the columns of the stage
    connection: asyncpg.Connection,
    latitude: Array,
    longitude: Array,
    scenario: str,
    months: NDArray[np.int64],
    *,
    values: Mapping[str, Array],
    place: tuple[int, NDArray[np.int64]] | None = None,
) -> None:
    """Put rows of months aside.

    Args:
        latitude, longitude: [degrees], (rows,).
        scenario: Of all rows.
        months: Number of each row's month since January of year 0, (rows,).
        values: Carried variables of MONTHLY_VARIABLES, (rows,); NaN where missing.
        place: Number of the file and line of each row.
    """
    rows = len(months)
    fields = {
        "latitude": binary.numeric6(latitude),
        "longitude": binary.numeric6(longitude),
        "scenario": binary.text(scenario, rows),
        "year": binary.int4(months // 12),
        "month": binary.int4(months % 12 + 1),
        **{name: binary.float8(array) for name, array in values.items()},
    }
    if place is not None:
        fields |= {"file": binary.int4(np.full(rows, place[0])), "line": binary.int4(place[1])}
    await binary.copy(connection, "stage_months", fields)


async def stage_indices(
    connection: asyncpg.Connection,
    place: tuple[Array, Array, str],
    year: NDArray[np.int64],
    values: Mapping[str, Array],
    whole: Mapping[str, binary.Field],
) -> None:
    """Put rows of annual indices aside.

    Args:
        place: Latitude and longitude [degrees] of each row, (rows,), and the scenario of all.
        year: (rows,).
        values: Carried variables of ANNUAL_INDICES, (rows,); NaN where missing.
        whole: The integer columns that go with them.
    """
    latitude, longitude, scenario = place
    fields = {
        "latitude": binary.numeric6(latitude),
        "longitude": binary.numeric6(longitude),
        "scenario": binary.text(scenario, len(year)),
        "year": binary.int4(year),
        **{name: binary.float8(array) for name, array in values.items()},
        **whole,
    }
    await binary.copy(connection, "stage_indices", fields)


async def merge_months(connection: asyncpg.Connection, carried: Sequence[str], repeated: int = 0) -> Merged:
    """Store the staged months: carried variables replace what is stored, the others stay."""
    return await merge(
        connection, "stage_months", "climate_data", (*KEY, "month"), carried, repeated=repeated
    )


async def merge_indices(connection: asyncpg.Connection, carried: Sequence[str]) -> Merged:
    """Store the staged indices as `merge_months` does, and register their cells."""
    merged = await merge(connection, "stage_indices", "climate_extremes", KEY, carried)
    await connection.execute(
        """
        INSERT INTO grid_cells (latitude, longitude)
        SELECT DISTINCT latitude, longitude FROM pg_temp.stage_indices ORDER BY 1, 2
        ON CONFLICT DO NOTHING
        """
    )
    return merged


async def stored_thresholds(
    connection: asyncpg.Connection, latitude: Array, longitude: Array, baseline: Years
) -> tuple[Array, Array]:
    """TX90 and TN10 [degC] of cells, (cells, 365); NaN where none are stored for this baseline."""
    tx90, tn10 = (np.full((len(latitude), 365), np.nan) for _ in range(2))
    rows = await connection.fetch(
        FIND_THRESHOLDS, latitude.tolist(), longitude.tolist(), baseline.start, baseline.end
    )
    for row in rows:
        tx90[row["place"]] = np.frombuffer(row["tx90"], dtype=">f8")
        tn10[row["place"]] = np.frombuffer(row["tn10"], dtype=">f8")
    return tx90, tn10


async def store_thresholds(  # noqa: PLR0913 - the columns of the table
    connection: asyncpg.Connection,
    latitude: Array,
    longitude: Array,
    baseline: Years,
    *,
    tx90: Array,
    tn10: Array,
) -> int:
    """Store the thresholds of the cells that have any, and say how many these are."""
    rows = [
        (lat, lon, baseline.start, baseline.end, warm.astype(">f8").tobytes(), cold.astype(">f8").tobytes())
        for lat, lon, warm, cold in zip(latitude.tolist(), longitude.tolist(), tx90, tn10, strict=True)
        if not (np.isnan(warm).all() and np.isnan(cold).all())
    ]
    await connection.executemany(STORE_THRESHOLDS, rows)
    return len(rows)
