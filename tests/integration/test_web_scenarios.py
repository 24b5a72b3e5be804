"""Scenarios over HTTP: derived, listed, and refused with the sentence of the command line."""

from __future__ import annotations

import asyncpg
import orjson
import pytest
from web_client import Client, served, web_settings

from schemas.settings import Settings

SCENARIOS, META = "/api/v1/scenarios", "/api/v1/meta"
WARM = {"from": "historical", "name": "warm2", "ta": 2, "rn": 1.08}
JSON = {"Content-Type": "application/json"}


async def test_a_derived_scenario_is_listed_with_what_it_was_derived_from(
    flow_settings: Settings, connection: asyncpg.Connection
) -> None:
    async with served(web_settings(flow_settings)) as page:
        made = await page.post(SCENARIOS, WARM, 201)
        assert (made["scenario"], made["rows"]) == ("warm2", 5)
        assert "derived from historical" in made["sentence"]
        listed = {each["scenario"]: each for each in (await page.get(META))["scenarios"]}
        assert listed["historical"]["derived_from"] is None
        assert [listed["warm2"][name] for name in ("derived_from", "ta", "rn", "has_climate")] == [
            "historical",
            2.0,
            1.08,
            True,
        ]
        await refused(page)
    author = await connection.fetchval("SELECT created_by FROM climate_scenarios")
    months = await connection.fetchval("SELECT avg(ta) FROM climate_data WHERE scenario = 'warm2'")
    assert (author, months) == ("operator", 27.0)


async def refused(page: Client) -> None:
    for change, said in (
        ({"name": "historical"}, "cannot be called"),
        ({"from": "ssp999", "name": "other"}, "has no months"),
        ({"ta": 99, "name": "other"}, "allowed are -20 to 20"),
        ({"rn": 0, "name": "other"}, "allowed is more than 0"),
        ({"ta": 3}, "choose another name"),
    ):
        told = await page.problem("POST", SCENARIOS, 422, data=orjson.dumps(WARM | change), headers=JSON)
        assert said in told, change


@pytest.mark.usefixtures("connection")
async def test_a_misspelt_field_is_refused(flow_settings: Settings) -> None:
    async with served(web_settings(flow_settings)) as page:
        body = orjson.dumps(WARM | {"rain": 2})
        assert "rain: Extra inputs" in await page.problem("POST", SCENARIOS, 422, data=body, headers=JSON)
