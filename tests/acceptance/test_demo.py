"""`riskflow demo` as a newcomer runs it, and what its database then holds."""

import asyncio
import os
import sys
from pathlib import Path

import asyncpg
import pytest
from test_real_input import check_every_row

from ops.demo.sources import DataPackageMissing, korean_weather_file, storm_tracks
from ops.stack.servers import EmbeddedPostgres

CELLS = 61
RISKS = (
    "high_temperature", "cold_wave", "drought", "wildfire", "inland_flood", "urban_flood", "coastal_flood",
    "typhoon", "water_scarcity",
)  # fmt: skip
NUMBERS = """
    SELECT p.latitude, p.longitude, p.risk_type, p.probability::text, p.bin_data::text, p.aal, p.reason,
           p.basis, h.hazard_score, h.hazard_level
    FROM probability_results p
    JOIN hazard_results h USING (latitude, longitude, risk_type, scenario, window_start, window_end)
    ORDER BY 1, 2, 3
"""


async def demo(folder: Path, *options: str) -> str:
    """What the demo prints; it must end well."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops.cli", "demo", "--data-dir", str(folder), *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"COLUMNS": "100"},
    )
    out, err = await asyncio.wait_for(process.communicate(), 300)
    assert process.returncode == 0, out.decode() + err.decode()
    assert err.decode() == ""
    return out.decode()


async def stored(folder: Path) -> list[tuple]:
    """Every result in the database that the demo has kept; what must hold of each row is checked."""
    server = EmbeddedPostgres(folder / "postgresql")
    await server.start()
    try:
        await server.wait_ready()
        connection = await asyncpg.connect(server.url)
        await check_every_row(connection, CELLS)
        rows = [tuple(row) for row in await connection.fetch(NUMBERS)]
        jobs = await connection.fetch(
            "SELECT DISTINCT status, processed_grids, failed_grids FROM batch_job_logs"
        )
        assert [tuple(row) for row in jobs] == [("completed", CELLS, 0)]
        await connection.close()
    finally:
        await server.stop()
    return rows


@pytest.fixture
def records():
    try:
        korean_weather_file()
        storm_tracks()
    except DataPackageMissing as error:
        pytest.skip(f"no real records: {error}")


@pytest.mark.usefixtures("records")
async def test_the_demo_on_real_records_twice_gives_the_same_numbers(server_home):
    folder = server_home / "demo"
    said = await demo(folder)
    assert "DRAWN" not in said
    for risk in RISKS:
        assert f" {risk}" in said
    assert " typhoon " in said, "a risk that rests on no assumption carries no star"
    assert "water_scarcity*" in said
    first = await stored(folder)
    assert [row[6] for row in first] == [None] * len(first), "every risk has a number at every station"
    await demo(folder)
    assert await stored(folder) == first


async def test_the_demo_without_records_says_first_that_its_weather_is_drawn(server_home):
    folder = server_home / "drawn"
    said = await demo(folder, "--drawn")
    assert said.splitlines()[0].startswith("THE WEATHER IS DRAWN")
    rows = await stored(folder)
    numbers = {row[2] for row in rows if row[5] is not None}
    assert numbers >= set(RISKS) - {"typhoon"}
