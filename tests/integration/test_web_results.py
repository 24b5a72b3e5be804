"""Results over HTTP: maps, rows, files, and what is behind a number, from rows that the sink has written."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from typing import Any, get_args

import asyncpg
import pytest
from climate_stage import fill
from flow_samples import GRID, RISKS, as_read, chunk_rows, open_sink, plan_job, result_of, sink
from web_client import Client, served, web_settings

from ops.setup import prepare_database
from ops.show import explanation
from ops.web.documents import MapColumns
from schemas.messages import HazardLevel
from schemas.settings import Settings
from streams.models import hazard

MAP, ROWS = "/api/v1/map", "/api/v1/results"


@pytest.fixture
async def page(
    flow_settings: Settings,
    connection: asyncpg.Connection,  # noqa: ARG001 - the grid
) -> AsyncIterator[Client]:
    async with served(web_settings(flow_settings)) as client:
        yield client


async def store(connection: asyncpg.Connection, settings: Settings, job_id: str, *kinds: Any) -> None:
    await plan_job(connection, settings, job_id)
    session = await open_sink(settings)
    rows = await chunk_rows(connection, job_id)
    await sink(session, settings, *(as_read(result_of(row, kind)) for row in rows for kind in kinds))
    await session.close()


@pytest.fixture
async def stored(connection: asyncpg.Connection, flow_settings: Settings) -> None:
    """Both kinds of two risks on five cells; one cell of drought without a number."""
    await store(connection, flow_settings, "both", "probability", "hazard")
    await connection.execute(
        "UPDATE probability_results"
        " SET probability = NULL, bin_data = NULL, aal = NULL, reason = 'no_data: rn'"
        " WHERE risk_type = 'drought' AND latitude = 36"
    )


@pytest.mark.usefixtures("stored")
async def test_a_map_has_a_value_per_cell_and_a_reason_where_there_is_none(page: Client) -> None:
    body = await page.get(MAP, risk="drought")
    found = MapColumns.model_validate(body, strict=False)
    assert set(body) == set(MapColumns.model_fields), "the description names every field"
    assert list(zip(found.latitude, found.longitude, strict=True)) == GRID
    assert found.aal == [0.0025, None, 0.0025, 0.0025, 0.0025]
    assert found.worst_bin == [0.0, None, 0.0, 0.0, 0.0], "0 is a number, and not the same as none"
    assert found.reason == [None, "no_data: rn", None, None, None]
    assert found.hazard_level == ["Medium"] * 5
    assert found.worst_bin_label is not None
    assert found.worst_bin_label.model_dump() == {"lower": 8.5, "upper": None, "unit": "days"}


@pytest.mark.usefixtures("stored")
async def test_a_bound_that_differs_from_cell_to_cell_is_not_said_of_all(
    page: Client, connection: asyncpg.Connection
) -> None:
    await connection.execute(
        "UPDATE probability_results SET bin_data = jsonb_set(bin_data, '{-1,lower}', '9') WHERE latitude = 37"
    )
    told = await page.get(MAP, risk="drought")
    assert told["worst_bin_label"] == {"lower": None, "upper": None, "unit": "days"}


async def test_a_map_of_one_kind_is_a_map_too(
    page: Client, connection: asyncpg.Connection, flow_settings: Settings
) -> None:
    await store(connection, flow_settings, "half", "hazard")
    found = MapColumns.model_validate(await page.get(MAP, risk="typhoon"))
    assert (found.aal, found.hazard_score) == ([None] * 5, [0.5] * 5)
    assert found.worst_bin_label is None


@pytest.mark.usefixtures("stored")
async def test_what_is_not_there_is_said_and_what_there_is_is_listed(page: Client) -> None:
    said = await page.problem("GET", f"{MAP}?risk=drought&scenario=ssp585", 404)
    assert "no results of drought for scenario ssp585, 1991-2020" in said
    (scenario,) = (await page.get("/api/v1/meta"))["scenarios"]
    (window,) = scenario["windows"]
    assert (scenario["scenario"], scenario["derived_from"], window["start"]) == ("historical", None, 1991)
    assert (window["cells"], sorted(window["risks"])) == (5, sorted(RISKS))


@pytest.mark.usefixtures("stored")
async def test_rows_come_in_pages_in_the_order_of_the_grid(page: Client) -> None:
    found, cursor = [], ""
    while True:
        answer = await page.get(ROWS, risk="drought", limit=2, **({"cursor": cursor} if cursor else {}))
        found += answer["items"]
        cursor = answer["next"]
        if cursor is None:
            break
    assert [(row["latitude"], row["longitude"]) for row in found] == GRID
    assert [row["reason"] for row in found] == [None, "no_data: rn", None, None, None]
    first = found[0]
    assert [each["probability"] for each in first["bins"]] == [0.75, 0.25, 0.0]
    assert (first["hazard_score_100"], first["probability_job_id"]) == (50.0, "both")
    boxed = await page.get(ROWS, risk="drought", bbox="35.5,127,37.5,128")
    assert [row["latitude"] for row in boxed["items"]] == [36.0, 37.0]
    assert "write four numbers" in await page.problem("GET", f"{ROWS}?risk=drought&bbox=1,2", 422)


@pytest.mark.usefixtures("stored")
async def test_a_file_is_what_the_command_exports(page: Client) -> None:
    url = f"{page.base}/api/v1/export?risk=drought&format=csv"
    async with page.session.get(url, headers=page.headers) as answer:
        assert answer.content_type == "text/csv"
        name = answer.headers["Content-Disposition"]
        rows = list(csv.DictReader(io.StringIO(await answer.text())))
    assert "riskflow_drought_historical_1991-2020.csv" in name
    assert [float(row["latitude"]) for row in rows] == [latitude for latitude, _ in GRID]
    assert "ssp585" in await page.problem("GET", "/api/v1/export?scenario=ssp585", 404)


async def test_what_is_behind_a_number_is_what_the_command_prints(
    page: Client, connection: asyncpg.Connection, flow_settings: Settings
) -> None:
    await prepare_database(flow_settings.dsn)
    cell = (34.5, 127.5)
    await fill(connection, [cell])
    query = {"latitude": cell[0], "longitude": cell[1], "risk": "drought"}
    told = await page.get("/api/v1/explain", **query)
    expected = await explanation(flow_settings, None, query | {"scenario": None, "uncertainty": False})
    assert told["intensity"] == expected["intensity"]
    assert (told["aal"], told["probability"]) == (expected["aal"], expected["probability"])
    assert told["aal_p05"] is None, "nothing stored has a band"
    banded = await page.get("/api/v1/explain", **query, uncertainty="true")
    assert banded["aal_p05"] < banded["aal"] < banded["aal_p95"]
    said = await page.problem("GET", "/api/v1/explain?latitude=1&longitude=2&risk=drought", 404)
    assert "is not a cell of the grid; the nearest are" in said
    assert "is not known" in await page.problem("GET", "/api/v1/explain?latitude=1&longitude=2&risk=x", 404)


def test_levels_are_those_of_the_models() -> None:
    assert tuple(hazard.LEVELS) == get_args(HazardLevel)
