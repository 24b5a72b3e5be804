"""Exports of real results: every format gives back what the tables hold, and says why a number is missing."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import numpy as np
import orjson
import pandas as pd
import pyarrow.parquet as pq
import pytest
import xarray as xr
from climate_stage import fill
from computed import run_job
from test_migrations import OLD_TABLES

from ops.export.frames import results_dataset, results_frame
from ops.export.missing import NoResults
from ops.export.request import ExportRequest, Format
from ops.export.write import write_export
from ops.scenarios import derive, scenarios
from ops.setup import prepare_database
from schemas.messages import Bbox, Window
from schemas.settings import Settings

WINDOW = Window(start=1991, end=2020)
GRID = [
    (round(35 + 0.1 * i, 6), round(127 + 0.2 * j, 6)) for i in range(3) for j in range(3) if (i, j) != (1, 2)
]
STATIONS = [(35.1, 129.03), (37.571, 126.966), (33.514, 126.53)]


@pytest.fixture
async def stations(database_url: str, flow_settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """Results of all risks at three stations."""
    connection = await asyncpg.connect(database_url)
    await fill(connection, STATIONS)
    await connection.execute("UPDATE grid_cells SET basin = NULL WHERE latitude = 33.514")
    await run_job(connection, flow_settings, "all")
    yield connection
    await connection.close()


@pytest.fixture
async def grid(database_url: str, flow_settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """Results of three risks on a grid of three lines that lacks one cell."""
    connection = await asyncpg.connect(database_url)
    await fill(connection, GRID)
    await run_job(connection, flow_settings, "some", ["cold_wave", "drought", "inland_flood"])
    yield connection
    await connection.close()


def request(kind: Format, **fields: object) -> ExportRequest:
    return ExportRequest(**({"format": kind, "scenario": "historical", "window": WINDOW} | fields))


async def exported(connection: asyncpg.Connection, kind: Format, **fields: object) -> io.BytesIO:
    stream = io.BytesIO()
    await write_export(connection, request(kind, **fields), stream)
    stream.seek(0)
    return stream


async def test_csv_holds_both_tables_digit_for_digit(stations: asyncpg.Connection):
    text = (await exported(stations, Format.csv)).read().decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 9 * len(STATIONS)
    for row in rows:
        key = (float(row["latitude"]), float(row["longitude"]), row["risk_type"])
        stored = await stations.fetchrow(
            """
            SELECT p.aal, p.reason, p.bin_data, h.hazard_score, h.hazard_level FROM probability_results p
            JOIN hazard_results h USING (latitude, longitude, risk_type, scenario, window_start, window_end)
            WHERE (latitude, longitude, risk_type) = ($1::float8::numeric, $2::float8::numeric, $3)
            """,
            *key,
        )
        assert (row["aal"], row["reason"]) == (
            "" if stored["aal"] is None else repr(stored["aal"]),
            stored["reason"] or "",
        )
        assert row["hazard_level"] == (stored["hazard_level"] or "")
        for each in orjson.loads(stored["bin_data"] or "[]"):
            names = {
                "probability": "probability",
                "base_damage_rate": "damage_rate",
                "lower": "lower",
                "upper": "upper",
            }
            for name, column in names.items():
                expected = each[name]
                assert row[f"bin{each['bin']}_{column}"] == (
                    "" if expected is None else repr(expected)
                ) or float(row[f"bin{each['bin']}_{column}"]) == float(expected)
    [without] = [row for row in rows if row["reason"] == "no_data: basin"]
    assert (without["aal"], without["hazard_score"], without["bin1_probability"]) == ("", "", "")
    assert without["hazard_reason"] == "no_data: basin"


async def test_pandas_reads_csv_and_parquet_as_the_frame_is(
    stations: asyncpg.Connection, database_url: str, tmp_path: Path
):
    frame = results_frame(database_url, scenario="historical", window=(1991, 2020))
    path = tmp_path / "results.parquet"
    assert await write_export(stations, request(Format.parquet), path) == len(frame) == 27
    pd.testing.assert_frame_equal(pd.read_parquet(path), frame)
    read = pd.read_csv(await exported(stations, Format.csv), parse_dates=["calculated_at"])
    numbers = frame.select_dtypes("number").columns
    pd.testing.assert_frame_equal(read[numbers], frame[numbers], check_dtype=False)
    assert read["reason"].fillna("").tolist() == frame["reason"].fillna("").tolist()
    assert pq.read_schema(path).metadata[b"riskflow.window"] == b"1991-2020"
    assert frame["aal"].isna().equals(frame["reason"].notna())


async def test_netcdf_of_stations_is_points_that_xarray_decodes_silently(
    stations: asyncpg.Connection, database_url: str, tmp_path: Path
):
    path = tmp_path / "results.nc"
    await write_export(stations, request(Format.netcdf), path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with xr.open_dataset(path, engine="h5netcdf") as opened:
            read = opened.load().set_index(risk="risk_type")
    assert (read.attrs["featureType"], read.attrs["Conventions"]) == ("point", "CF-1.11")
    assert dict(read.sizes) == {"risk": 9, "cell": 3, "bin": 6, "bounds": 2} | {
        name: size for name, size in read.sizes.items() if name.endswith("_code")
    }
    frame = results_frame(database_url, scenario="historical", window=(1991, 2020))
    for _, row in frame.iterrows():
        [cell] = np.flatnonzero((read.latitude == row["latitude"]) & (read.longitude == row["longitude"]))
        one = read.sel(risk=row["risk_type"]).isel(cell=cell)
        np.testing.assert_equal(float(one.aal), row["aal"])
        np.testing.assert_equal(
            one.bin_probability.values, row[[f"bin{n}_probability" for n in range(1, 7)]].to_numpy(float)
        )
        reason = read.reason_text.to_numpy()[int(one.reason)]
        assert reason == (row["reason"] if isinstance(row["reason"], str) else "")
    same = results_dataset(database_url, scenario="historical", window=(1991, 2020))
    xr.testing.assert_equal(same, read)


async def test_netcdf_of_a_grid_has_its_lines_and_leaves_the_absent_cell_empty(
    grid: asyncpg.Connection, tmp_path: Path
):
    path = tmp_path / "grid.nc"
    await write_export(grid, request(Format.netcdf), path)
    with xr.open_dataset(path) as read:
        assert read.aal.dims == ("risk", "latitude", "longitude")
        assert read.latitude.to_numpy().tolist() == [35.0, 35.1, 35.2]
        np.testing.assert_allclose(read.longitude_bnds.to_numpy()[0], [126.9, 127.1])
        assert int(read.aal.count()) == read.aal.size - 3
        assert (read.reason.sel(latitude=35.1, longitude=127.4) == -1).all()
        assert (read.hazard_level.sel(latitude=35.1, longitude=127.4) == 0).all()
        np.testing.assert_equal(
            read.drought_bin_edges.to_numpy(),
            [[-np.inf, 1], [1, 1.5], [1.5, 2], [2, np.inf], [np.nan, np.nan]],
        )
        assert read.inland_flood_bin_edges.dims == ("bin", "bounds", "latitude", "longitude")
        assert read.inland_flood_bin_edges.attrs["units"] == "mm"


async def test_geojson_has_rectangles_on_a_grid_and_points_at_stations(grid: asyncpg.Connection):
    found = orjson.loads((await exported(grid, Format.geojson, risks=("drought",))).read())
    assert (found["type"], len(found["features"])) == ("FeatureCollection", len(GRID))
    first = found["features"][0]
    assert first["geometry"] == {
        "type": "Polygon",
        "coordinates": [[[126.9, 34.95], [127.1, 34.95], [127.1, 35.05], [126.9, 35.05], [126.9, 34.95]]],
    }
    assert first["properties"]["risk_type"] == "drought"
    assert first["properties"]["aal"] > 0
    assert first["properties"]["aal_p05"] is None


async def test_a_box_and_risks_cut_out_a_part(grid: asyncpg.Connection):
    box = Bbox(min_latitude=35.1, min_longitude=127, max_latitude=35.1, max_longitude=127.2)
    text = (await exported(grid, Format.csv, risks=("drought", "cold_wave"), bbox=box)).read().decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["latitude"], row["longitude"], row["risk_type"]) for row in rows] == [
        ("35.1", "127.0", "cold_wave"),
        ("35.1", "127.0", "drought"),
        ("35.1", "127.2", "cold_wave"),
        ("35.1", "127.2", "drought"),
    ]


async def test_a_kind_that_no_job_has_computed_says_so(grid: asyncpg.Connection):
    await grid.execute("DELETE FROM hazard_results WHERE risk_type = 'drought'")
    text = (await exported(grid, Format.csv, risks=("drought",))).read().decode()
    for row in csv.DictReader(io.StringIO(text)):
        assert (row["hazard_score"], row["hazard_reason"]) == ("", "not_computed: no hazard job")
        assert float(row["aal"]) > 0


async def test_what_is_not_there_is_answered_with_what_is(grid: asyncpg.Connection, tmp_path: Path):
    path = tmp_path / "none.csv"
    with pytest.raises(NoResults, match=r"historical 1991-2020 \(cold_wave, drought, inland_flood\)"):
        await write_export(grid, request(Format.csv, scenario="ssp999"), path)
    with pytest.raises(NoResults, match="no results of typhoon under scenario historical"):
        await write_export(grid, request(Format.csv, risks=("drought", "typhoon")), path)
    assert not path.exists()


async def test_rows_of_another_system_are_exported_too(database_url: str):
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        """
        INSERT INTO probability_results (latitude, longitude, risk_type, probability, bin_data, scenario,
                                         window_start, window_end, job_seq)
        VALUES (35, 127, 'drought', '[0.5, 0.5]', '{"edges": [1]}', 'historical', 1991, 2020, 0)
        """
    )
    text = (await exported(connection, Format.csv)).read().decode()
    [row] = csv.DictReader(io.StringIO(text))
    assert (row["aal"], row["reason"]) == ("", "not_stored: aal")
    await exported(connection, Format.netcdf)
    await connection.close()


async def test_text_that_a_spreadsheet_would_run_is_quoted(grid: asyncpg.Connection):
    await grid.execute("UPDATE probability_results SET basis = '=1+1'")
    text = (await exported(grid, Format.csv)).read().decode()
    assert {row["basis"] for row in csv.DictReader(io.StringIO(text))} == {"'=1+1"}


async def test_a_database_of_before_riskflow_is_exported_listed_and_derived_from(empty_database_url: str):
    connection = await asyncpg.connect(empty_database_url)
    await connection.execute(OLD_TABLES)
    await prepare_database(empty_database_url)
    [historical] = await scenarios(connection)
    assert [(each.start, each.end, each.cells, each.risks) for each in historical.windows] == [
        (1991, 2020, 1, ("drought", "typhoon"))
    ]
    frame = results_frame(empty_database_url, scenario="historical", window=(1991, 2020))
    assert frame[["risk_type", "hazard_level", "reason"]].fillna("").to_numpy().tolist() == [
        ["drought", "High", "not_stored: aal"],
        ["typhoon", "", "not_stored: aal"],
    ]
    for kind in Format:
        assert (await exported(connection, kind)).read()
    derived = await derive(connection, source="historical", name="warm2", ta=2, rn=1.5, by="somebody")
    assert derived.rows == 24
    row = await connection.fetchrow(
        "SELECT ta, rn FROM climate_data WHERE (scenario, year, month) = ('warm2', 2000, 3)"
    )
    assert tuple(row) == (101, 1.5)
    await connection.close()
