"""A drawn grid in the tables that a job reads."""

from __future__ import annotations

import asyncpg
import numpy as np

from ops.generator.blocks import monthly_blocks
from ops.generator.cells import Cells
from ops.generator.months import annual_indices
from ops.generator.sites import SITE_COLUMNS, site_rows
from ops.load.blocks import copy_indices, copy_months, copy_sites
from streams.models.inputs import HISTORICAL, SITE_NUMBERS, Years


async def store_cells(
    connection: asyncpg.Connection, cells: Cells, years: Years, seed: int, *, indices: bool = True
) -> None:
    """Store months and sites of the cells under `historical`, and annual indices where asked.

    Indices count against the baseline `years`. Without them a job draws days from the months.
    """
    for block in monthly_blocks(cells, years, seed):
        part = block.cells
        await copy_months(connection, part.latitude, part.longitude, HISTORICAL, block.months)
        if indices:
            drawn = annual_indices(part, years, seed, HISTORICAL)
            await copy_indices(connection, part.latitude, part.longitude, HISTORICAL, drawn, baseline=years)
    sites = dict(zip(SITE_COLUMNS, zip(*site_rows(cells, seed), strict=True), strict=True))
    await copy_sites(
        connection,
        cells.latitude,
        cells.longitude,
        {name: np.array(sites[name], dtype=float) for name in SITE_NUMBERS},
        {name: [label or None for label in sites[name]] for name in ("land_cover", "station", "basin")},
    )
