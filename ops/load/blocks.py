"""Blocks of arrays straight into the database: generated weather for tests, benchmarks and the demo.

Each call stores one block; blocks after blocks keep memory flat. A caller that wants all or nothing
opens a transaction around its calls; without one, each block is its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import asyncpg
import numpy as np
from numpy.typing import NDArray

from ops.load import binary, climate
from ops.load.staging import merge
from streams.models.inputs import (
    ANNUAL_INDICES,
    MONTHLY_VARIABLES,
    AnnualSeries,
    Array,
    Labels,
    MonthlySeries,
    Years,
)

# Rows may go straight into climate_data where no cell has any yet and its columns are those of
# migration 1; a database that was taken over may have others.
IS_FRESH = """
SELECT NOT EXISTS (
    SELECT FROM pg_attribute WHERE attrelid = 'climate_data'::regclass AND attnum > 0 AND NOT attisdropped
       AND atttypid <> CASE WHEN attname IN ('latitude', 'longitude') THEN 'numeric'::regtype
                            WHEN attname IN ('year', 'month') THEN 'int4'::regtype
                            WHEN attname = 'scenario' THEN 'text'::regtype
                            ELSE 'float8'::regtype END)
   AND NOT EXISTS (
    SELECT FROM unnest($1::float8[], $2::float8[]) AS cell (latitude, longitude)
    JOIN climate_data stored
        ON stored.latitude = round(cell.latitude::numeric, 6)
       AND stored.longitude = round(cell.longitude::numeric, 6) AND stored.scenario = $3)
"""

COPY_ROWS = 36_000
"""Months put into one COPY, some 6 MB."""

LOCK = "SELECT pg_advisory_xact_lock(hashtext('riskflow.repack'))"
"""That of riskflow.repack(): who packs with an older view must not overwrite what is packed here."""

# The notes that this transaction's own rows made; those of other writers stay, so that their months
# are packed when they have committed.
PACKED = """
DELETE FROM climate_stale noted
USING unnest($1::float8[], $2::float8[]) AS cell (latitude, longitude)
WHERE noted.xmin = pg_current_xact_id()::xid AND noted.scenario = $3
  AND noted.latitude = round(cell.latitude::numeric, 6)
  AND noted.longitude = round(cell.longitude::numeric, 6)
"""

REGISTER = """
INSERT INTO grid_cells (latitude, longitude)
SELECT round(cell.latitude::numeric, 6), round(cell.longitude::numeric, 6)
FROM unnest($1::float8[], $2::float8[]) AS cell (latitude, longitude)
ORDER BY 1, 2 ON CONFLICT DO NOTHING
"""


async def copy_months(
    connection: asyncpg.Connection, latitude: Array, longitude: Array, scenario: str, series: MonthlySeries
) -> int:
    """Store the months of a block of cells, packed as well, and register the cells.

    Every variable of the series replaces what is stored of these months; a variable that it lacks
    stays as it is.

    Args:
        latitude, longitude: [degrees], (cells,), every cell once.
        scenario: Name.
        series: The months; NaN where missing.

    Returns:
        Months stored, cells times months.
    """
    values = {name: series.values[name] for name in MONTHLY_VARIABLES if name in series.values}
    names = list(values)
    cells, months = (int(length) for length in values[names[0]].shape)
    step = max(COPY_ROWS // months, 1)
    async with _transaction(connection):
        fresh = await connection.fetchval(IS_FRESH, latitude.tolist(), longitude.tolist(), scenario)
        store = _copy_fresh if fresh else _stage_stored
        await climate.prepare(connection)
        for start in range(0, cells, step):
            part = slice(start, start + step)
            place = latitude[part], longitude[part], scenario
            await store(
                connection, place, series.first_year, {name: array[part] for name, array in values.items()}
            )
        if fresh:
            await connection.execute(PACKED, latitude.tolist(), longitude.tolist(), scenario)
        else:
            await climate.merge_months(connection, names)
            await connection.fetchval("SELECT riskflow.repack()")
    return cells * months


async def copy_indices(  # noqa: PLR0913 - the columns of the table
    connection: asyncpg.Connection,
    latitude: Array,
    longitude: Array,
    scenario: str,
    series: AnnualSeries,
    *,
    baseline: Years,
    valid_days: NDArray[np.int64] | None = None,
) -> int:
    """Store the annual indices of a block of cells and register the cells.

    Args:
        latitude, longitude: [degrees], (cells,), every cell once.
        scenario: Name.
        series: The indices; NaN where missing.
        baseline: Years of the thresholds that wsdi and csdi were counted with.
        valid_days: (cells, years); null where left out.

    Returns:
        Rows stored, cells times years.
    """
    names = [name for name in ANNUAL_INDICES if name in series.values]
    cells, years = (int(length) for length in series.values[names[0]].shape)
    row, year = (index.ravel() for index in np.indices((cells, years)))
    whole = {
        "baseline_start": binary.int4(np.full(len(row), baseline.start)),
        "baseline_end": binary.int4(np.full(len(row), baseline.end)),
    }
    if valid_days is not None:
        whole["valid_days"] = binary.int4(valid_days.ravel())
    async with _transaction(connection):
        await climate.prepare(connection)
        await climate.stage_indices(
            connection,
            (latitude[row], longitude[row], scenario),
            year + series.first_year,
            {name: series.values[name].ravel() for name in names},
            whole,
        )
        await climate.merge_indices(connection, [*names, *whole])
    return cells * years


async def copy_sites(
    connection: asyncpg.Connection,
    latitude: Array,
    longitude: Array,
    numbers: Mapping[str, Array],
    labels: Mapping[str, Labels | Sequence[str | None]] | None = None,
) -> int:
    """Store site attributes of cells in grid_cells; attributes that are not given stay as they are.

    Args:
        latitude, longitude: [degrees], (cells,), every cell once.
        numbers: elevation_m, coast_km, river_km, imperviousness, slope, (cells,); NaN where unknown.
        labels: land_cover, station, basin, source, (cells,); None where unknown.

    Returns:
        Cells stored.
    """
    labels = labels or {}
    columns = ["latitude", "longitude", *numbers, *labels]
    values = [latitude.tolist(), longitude.tolist()]
    values += [[None if value != value else value for value in array.tolist()] for array in numbers.values()]  # noqa: PLR0124 - NaN
    values += [list(array) for array in labels.values()]
    async with _transaction(connection):
        await connection.execute(
            "CREATE TEMPORARY TABLE IF NOT EXISTS stage_sites (LIKE grid_cells) ON COMMIT DROP;"
            "ALTER TABLE pg_temp.stage_sites ALTER latitude TYPE float8, ALTER longitude TYPE float8;"
            "TRUNCATE pg_temp.stage_sites"
        )
        await connection.copy_records_to_table(
            "stage_sites", records=list(zip(*values, strict=True)), columns=columns
        )
        await connection.execute(
            "ALTER TABLE pg_temp.stage_sites"
            " ALTER latitude TYPE numeric(10, 6), ALTER longitude TYPE numeric(10, 6)"
        )
        await merge(connection, "stage_sites", "grid_cells", columns[:2], columns[2:])
    return len(latitude)


@asynccontextmanager
async def _transaction(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """The caller's transaction where there is one: a savepoint would give the stale notes another id."""
    if connection.is_in_transaction():
        yield
        return
    async with connection.transaction():
        yield


async def _copy_fresh(
    connection: asyncpg.Connection,
    place: tuple[Array, Array, str],
    first_year: int,
    values: Mapping[str, Array],
) -> None:
    """Rows and packed months of cells that have none yet."""
    latitude, longitude, scenario = place
    cells, months = next(iter(values.values())).shape
    row, month = (index.ravel() for index in np.indices((cells, months)))
    fields = {
        "latitude": binary.numeric6(latitude[row]),
        "longitude": binary.numeric6(longitude[row]),
        "scenario": binary.text(scenario, len(row)),
        "year": binary.int4(month // 12 + first_year),
        "month": binary.int4(month % 12 + 1),
        **{name: binary.float8(array.ravel()) for name, array in values.items()},
    }
    await binary.copy(connection, "climate_data", fields)
    await connection.execute(LOCK)
    packed = np.full((cells, months, len(MONTHLY_VARIABLES)), np.nan, dtype=">f8")
    for column, name in enumerate(MONTHLY_VARIABLES):
        if name in values:
            packed[:, :, column] = values[name]
    fields = {
        "latitude": binary.numeric6(latitude),
        "longitude": binary.numeric6(longitude),
        "scenario": binary.text(scenario, cells),
        "first_year": binary.int4(np.full(cells, first_year)),
        "months": binary.blob(packed.reshape(cells, -1)),
    }
    await binary.copy(connection, "climate_packed", fields)
    await connection.execute(REGISTER, latitude.tolist(), longitude.tolist())


async def _stage_stored(
    connection: asyncpg.Connection,
    place: tuple[Array, Array, str],
    first_year: int,
    values: Mapping[str, Array],
) -> None:
    latitude, longitude, scenario = place
    cells, months = next(iter(values.values())).shape
    row, month = (index.ravel() for index in np.indices((cells, months)))
    await climate.stage_months(
        connection,
        latitude[row],
        longitude[row],
        scenario,
        month + first_year * 12,
        values={name: array.ravel() for name, array in values.items()},
    )
