"""Real weather of 35 stations and 330 European cells, real storms and sea levels, through the whole."""

import csv

import pytest
from whole import YEARS, running

from ops.demo.sources import DataPackageMissing, storm_tracks
from ops.load.loader import load
from ops.load.options import LoadOptions
from streams.models.inputs import Years

CRU_YEARS = Years(1981, 2010)
SEOUL = (37.5714, 126.9658)
RISKS = 9


async def numbers(connection, risk: str, cell: tuple[float, float]) -> dict:
    row = await connection.fetchrow(
        """
        SELECT p.aal, p.reason, p.basis, h.hazard_score,
               h.hazard_score_100, h.hazard_level
        FROM probability_results p
        JOIN hazard_results h USING (latitude, longitude, risk_type, scenario, window_start, window_end)
        WHERE (p.latitude, p.longitude, p.risk_type)
            = ($1::float8::numeric(10,6), $2::float8::numeric(10,6), $3)
        """,
        *cell,
        risk,
    )
    return dict(row)


async def check_every_row(connection, cells: int) -> None:
    """What must hold of any result, real or drawn."""
    assert await connection.fetchval("SELECT count(*) FROM probability_results") == RISKS * cells
    assert await connection.fetchval("SELECT count(*) FROM hazard_results") == RISKS * cells
    wrong = await connection.fetch(
        """
        SELECT p.risk_type, p.latitude, p.longitude
        FROM probability_results p
        CROSS JOIN LATERAL (
            SELECT sum((bin ->> 'probability')::float8) AS total,
                   sum((bin ->> 'probability')::float8 * (bin ->> 'base_damage_rate')::float8) AS aal
            FROM jsonb_array_elements(p.bin_data) AS bin) AS of_bins
        CROSS JOIN LATERAL (
            SELECT sum(share::text::float8) AS total
            FROM jsonb_array_elements(p.probability) AS share) AS of_list
        WHERE (p.reason IS NULL) <> (p.aal IS NOT NULL)
           OR p.reason IS NULL AND (abs(of_bins.total - 1) > 1e-9 OR abs(of_list.total - 1) > 1e-9
                                    OR abs(of_bins.aal - p.aal) > 1e-12)
        """
    )
    assert wrong == []
    wrong = await connection.fetch(
        """
        SELECT risk_type, latitude, longitude, hazard_score, hazard_level FROM hazard_results
        WHERE (reason IS NULL) <> (hazard_score IS NOT NULL)
           OR reason IS NULL AND (
                  hazard_score NOT BETWEEN 0 AND 1 OR abs(hazard_score_100 - 100 * hazard_score) > 1e-9
               OR hazard_level <> (ARRAY['Very Low', 'Low', 'Medium', 'High', 'Very High'])
                                  [least(width_bucket(hazard_score_100, 0, 100, 5), 5)])
        """
    )
    assert wrong == []


async def reasons(connection) -> dict[str, set[str | None]]:
    rows = await connection.fetch("SELECT DISTINCT risk_type, reason FROM probability_results")
    found: dict[str, set[str | None]] = {}
    for row in rows:
        found.setdefault(row["risk_type"], set()).add(row["reason"])
    return found


@pytest.fixture
def storms():
    try:
        return storm_tracks()
    except DataPackageMissing as error:
        pytest.skip(f"no best tracks: {error}")


async def test_thirty_five_korean_stations(whole, shared_data, storms, tmp_path):
    connection = whole.connection
    options = LoadOptions(baseline=YEARS, bad_values="missing", bad_values_file=tmp_path / "bad.csv")
    loaded = await load("daily", [shared_data / "korea_asos_daily_1991_2020.csv.gz"], connection, options)
    assert (loaded.cells, loaded.years) == (35, YEARS)
    await load("sites", [elevations(shared_data, tmp_path)], connection, options)
    await load("storms", [storms], connection, LoadOptions(baseline=YEARS, ibtracs="wmo"))
    await whole.services.start()
    await whole.trigger("climate", "korea")
    job = await whole.ended("korea")
    assert (job.status, job.total_grids, job.failed_grids) == ("completed", 35, 0)
    await check_every_row(connection, 35)

    drought = await numbers(connection, "drought", SEOUL)
    assert drought["reason"] is None
    heat = await numbers(connection, "high_temperature", SEOUL)
    assert heat["aal"] == pytest.approx(0.00309181, abs=5e-9)
    assert heat["hazard_score"] == pytest.approx(0.500147, abs=5e-7)
    fire = await numbers(connection, "wildfire", SEOUL)
    assert (fire["aal"], fire["basis"]) == (pytest.approx(0.00045420, abs=5e-9), "fwi: daily")
    flood = await numbers(connection, "inland_flood", SEOUL)
    assert flood["aal"] == pytest.approx(0.0009, abs=1e-12)
    assert flood["hazard_score"] == pytest.approx(13 / 30, abs=1e-9)
    # What the data lack is said, and nothing stands in its place.
    said = await reasons(connection)
    assert said["typhoon"] == {None}
    # A station more than 20 m high needs no distance to the coast.
    assert said["coastal_flood"] == {"no_data: coast_km", None}
    assert said["urban_flood"] == {"no_data: imperviousness"}
    assert said["water_scarcity"] == {"no_data: basin"}
    # Daegu has no 2014-15, Suwon no 2018-19: 28 years are enough.
    assert said["high_temperature"] == {None}


def elevations(shared_data, folder):
    """Sites as far as they are published: the stations' elevation."""
    path = folder / "sites.csv"
    with (
        (shared_data / "korea_stations.csv").open(encoding="utf-8", newline="") as source,
        path.open("w") as sites,
    ):
        sites.write("latitude,longitude,elevation_m\n")
        for row in csv.DictReader(source):
            if row["in_daily_file"] == "yes":
                sites.write(f"{row['latitude']},{row['longitude']},{row['elevation_m']}\n")
    return path


@pytest.fixture
async def european(database_url, tmp_path):
    changes = {
        "window_start": CRU_YEARS.start,
        "window_end": CRU_YEARS.end,
        "baseline_start": CRU_YEARS.start,
        "baseline_end": CRU_YEARS.end,
    }
    async with running(database_url, tmp_path, **changes) as flow:
        yield flow


async def test_three_hundred_and_thirty_european_cells(european, shared_data):
    connection = european.connection
    file = shared_data / "iberia_monthly_1981_2010.csv.gz"
    loaded = await load("monthly", [file], connection, LoadOptions(baseline=CRU_YEARS))
    assert (loaded.cells, loaded.read) == (330, 330 * 360)
    await european.services.start()
    await european.trigger("climate", "iberia")
    job = await european.ended("iberia")
    assert (job.status, job.total_grids, job.failed_grids) == ("completed", 330, 0)
    await check_every_row(connection, 330)

    cadiz = await numbers(connection, "drought", (36.25, -6.25))
    assert cadiz["aal"] == pytest.approx(0.00072246, abs=5e-9)
    assert cadiz["basis"] == "et0: hargreaves"
    said = await reasons(connection)
    assert said.pop("drought") == {None}
    assert said["high_temperature"] == {"no_data: wsdi"}
    assert said["inland_flood"] == {"no_data: rx1day"}
    assert said["typhoon"] == {"no_data: storms"}
    assert all(reason.startswith("no_data: ") for reasons_ in said.values() for reason in reasons_), said
