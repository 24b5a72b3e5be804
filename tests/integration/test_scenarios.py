"""Deriving a scenario: the months it should have, nothing else changed, and what a job makes of it."""

from __future__ import annotations

import csv
import math
from collections.abc import AsyncIterator, Mapping
from datetime import date, timedelta
from pathlib import Path

import asyncpg
import pytest
from climate_stage import FUTURE, SCENARIO, fill
from computed import run_job

from ops.export.frames import results_frame
from ops.load.change import DeltaChange
from ops.load.loader import load
from ops.load.options import LoadOptions
from ops.scenario_days import derive_with_days
from ops.scenarios import RefusedScenario, derive, scenarios
from schemas.errors import InvalidFile, InvalidMessage
from schemas.settings import Settings
from streams.models.inputs import Years

CELLS = [(35.1, 129.03), (37.571, 126.966)]
WARM = {"source": "historical", "name": "warm2", "ta": 2.0, "rn": 1.08, "by": "somebody"}
OPTIONS = LoadOptions(baseline=Years(1991, 2020))
TABLES = (
    "climate_data",
    "climate_extremes",
    "climate_packed",
    "climate_warming",
    "water_demand",
    "sea_level_rise",
)


@pytest.fixture
async def filled(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    await fill(connection, CELLS)
    yield connection
    await connection.close()


async def counts(connection: asyncpg.Connection, scenario: str) -> dict[str, int]:
    return {
        table: await connection.fetchval(f"SELECT count(*) FROM {table} WHERE scenario = $1", scenario)  # noqa: S608 - own names
        for table in TABLES
    }


async def test_every_month_is_shifted_and_scaled_and_nothing_else(filled: asyncpg.Connection):
    await filled.execute("UPDATE climate_data SET wet_days = 9, rn = NULL WHERE month = 3")
    derived = await derive(filled, **WARM)
    assert (derived.rows, derived.cells) == (2 * 30 * 12, 2)
    rows = await filled.fetch(
        """
        SELECT w.ta = h.ta + 2 AND w.tamax = h.tamax + 2 AND w.tamin = h.tamin + 2
                   AND w.rn IS NOT DISTINCT FROM h.rn * 1.08::float8
                   AND (w.rhm, w.ws, w.si, w.wet_days)
                       IS NOT DISTINCT FROM (h.rhm, h.ws, h.si, h.wet_days) AS right
        FROM climate_data h JOIN climate_data w USING (latitude, longitude, year, month)
        WHERE (h.scenario, w.scenario) = ('historical', 'warm2')
        """
    )
    assert [row["right"] for row in rows] == [True] * (2 * 30 * 12)
    assert await filled.fetchval("SELECT count(*) FROM climate_stale") == 0
    assert (await counts(filled, "warm2"))["climate_packed"] == 2
    stored = await filled.fetchrow("SELECT * FROM climate_scenarios")
    assert (stored["derived_from"], stored["ta_delta_c"], stored["rn_factor"], stored["created_by"]) == (
        "historical",
        2,
        1.08,
        "somebody",
    )


async def test_indices_of_changed_days_are_unknown_and_the_wettest_day_is_scaled(filled: asyncpg.Connection):
    await filled.execute("UPDATE climate_extremes SET fwi_days = 3, fwi_max = 40")
    await derive(filled, **WARM)
    await derive(filled, **(WARM | {"name": "wetter", "ta": 0.0}))
    await derive(filled, **(WARM | {"name": "same", "ta": 0.0, "rn": 1.0}))
    index = """
        SELECT h.rx1day * $2::float8 = d.rx1day AND h.valid_days IS NOT DISTINCT FROM d.valid_days AS right,
               h.wsdi = d.wsdi AND h.csdi = d.csdi AS spells, h.fwi_days = d.fwi_days AS fire
        FROM climate_extremes h JOIN climate_extremes d USING (latitude, longitude, year)
        WHERE h.scenario = 'historical' AND d.scenario = $1
    """
    for name, factor, expected in (
        ("warm2", 1.08, (True, None, None)),
        ("wetter", 1.08, (True, True, None)),
        ("same", 1.0, (True, True, True)),
    ):
        found = {tuple(row) for row in await filled.fetch(index, name, factor)}
        assert found == {expected}, name


async def test_a_job_on_it_computes_what_it_can_and_says_what_it_lacks(
    filled: asyncpg.Connection, flow_settings: Settings, database_url: str
):
    await run_job(filled, flow_settings, "before")
    await derive(filled, **(WARM | {"rn": 1.2}))
    await run_job(filled, flow_settings, "after", scenario="warm2")
    was, now = (
        results_frame(database_url, scenario=name).set_index(["risk_type", "latitude"])
        for name in ("historical", "warm2")
    )
    assert set(now.loc["high_temperature", "reason"]) == {"no_data: wsdi"}
    assert set(now.loc["cold_wave", "reason"]) == {"no_data: csdi"}
    assert set(now.loc["coastal_flood", "reason"]) == {"no_data: sea_level_rise"}
    for risk in ("inland_flood", "urban_flood"):
        assert (now.loc[risk, "aal"] > was.loc[risk, "aal"]).all(), risk
    for risk in ("drought", "water_scarcity"):
        assert now.loc[risk, "aal"].notna().all(), risk
        assert (now.loc[risk, "aal"] != was.loc[risk, "aal"]).all(), risk
    assert set(now.loc["wildfire", "basis"]) == {"fwi: drawn"}
    assert (now.loc["typhoon", "aal"] == was.loc["typhoon", "aal"]).all()
    assert set(now.loc["typhoon", "basis"]) == {"storms: observed"}


async def test_warming_alone_makes_it_drier(
    filled: asyncpg.Connection, flow_settings: Settings, database_url: str
):
    await run_job(filled, flow_settings, "before", ["drought", "water_scarcity"])
    await derive(filled, **(WARM | {"rn": 1.0}))
    await run_job(filled, flow_settings, "after", ["drought", "water_scarcity"], scenario="warm2")
    was, now = (
        results_frame(database_url, scenario=name).set_index(["risk_type", "latitude"])["aal"]
        for name in ("historical", "warm2")
    )
    assert (now > was).all()


async def test_other_inputs_follow_the_source(filled: asyncpg.Connection):
    await derive(filled, **(WARM | {"source": SCENARIO, "name": "hotter"}))
    assert await filled.fetch(
        "SELECT year, dt_c FROM climate_warming WHERE scenario = 'hotter' ORDER BY year"
    ) == await filled.fetch(
        "SELECT year, dt_c + 2 FROM climate_warming WHERE scenario = $1 ORDER BY year", SCENARIO
    )
    assert await filled.fetch(
        "SELECT year, ratio FROM water_demand WHERE scenario = 'hotter' ORDER BY year"
    ) == await filled.fetch(
        "SELECT year, ratio FROM water_demand WHERE scenario = $1 ORDER BY year", SCENARIO
    )
    assert (await counts(filled, "hotter"))["sea_level_rise"] == 0
    await derive(filled, **(WARM | {"source": SCENARIO, "name": "wetter", "ta": 0}))
    assert (await counts(filled, "wetter"))["sea_level_rise"] == (await counts(filled, SCENARIO))[
        "sea_level_rise"
    ]
    await derive(filled, **WARM)
    warming = await filled.fetch(
        "SELECT year, dt_c FROM climate_warming WHERE scenario = 'warm2' ORDER BY year"
    )
    assert [tuple(row) for row in warming] == [(1991, 2.0), (2020, 2.0)]


async def test_a_warmed_projection_blows_harder_beyond_the_storm_years(
    filled: asyncpg.Connection, flow_settings: Settings, database_url: str
):
    window = {"window": FUTURE}
    await run_job(filled, flow_settings, "before", ["typhoon"], scenario=SCENARIO, **window)
    await derive(filled, **(WARM | {"source": SCENARIO, "name": "hotter"}))
    await run_job(filled, flow_settings, "after", ["typhoon"], scenario="hotter", **window)
    was, now = (
        results_frame(database_url, scenario=name, window=(2021, 2050)) for name in (SCENARIO, "hotter")
    )
    assert now["aal"].max() > was["aal"].max() > 0


async def test_the_same_again_is_made_anew_and_another_needs_a_word(filled: asyncpg.Connection):
    await derive(filled, **WARM)
    before = await counts(filled, "warm2")
    await filled.execute("UPDATE climate_data SET ta = 1 WHERE scenario = 'historical'")
    await derive(filled, **WARM)
    assert await counts(filled, "warm2") == before
    assert await filled.fetchval("SELECT DISTINCT ta FROM climate_data WHERE scenario = 'warm2'") == 3
    with pytest.raises(
        RefusedScenario, match=r"derived from historical with 2 degC and rain x 1\.08.*--replace"
    ):
        await derive(filled, **(WARM | {"ta": 3.0}))
    assert await filled.fetchval("SELECT DISTINCT ta FROM climate_data WHERE scenario = 'warm2'") == 3
    await derive(filled, **(WARM | {"ta": 3.0}), replace=True)
    assert await filled.fetchval("SELECT DISTINCT ta FROM climate_data WHERE scenario = 'warm2'") == 4
    assert await counts(filled, "warm2") == before


async def test_what_was_loaded_for_it_stays_when_it_is_made_anew(filled: asyncpg.Connection):
    await derive(filled, **WARM)
    await filled.execute("INSERT INTO sea_level_rise VALUES ('Busan', 'warm2', 2050, 300, 'own')")
    await derive(filled, **(WARM | {"ta": 0.0}), replace=True)
    rows = await filled.fetch("SELECT year, rise_mm FROM sea_level_rise WHERE scenario = 'warm2'")
    assert [tuple(row) for row in rows] == [(2050, 300)]


@pytest.mark.parametrize("replaced", [False, True])
async def test_what_was_loaded_is_never_overwritten(filled: asyncpg.Connection, replaced):
    before = await counts(filled, SCENARIO)
    with pytest.raises(RefusedScenario, match="was loaded, not derived"):
        await derive(filled, **(WARM | {"name": SCENARIO}), replace=replaced)
    with pytest.raises(RefusedScenario, match="cannot be called 'historical'"):
        await derive(filled, **(WARM | {"source": SCENARIO, "name": "historical"}), replace=replaced)
    assert await counts(filled, SCENARIO) == before


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"source": "nothing"}, "scenario nothing has no months to derive from"),
        ({"name": "two\nlines"}, "cannot be called"),
        ({"name": "nul\x00"}, "has a character that a name cannot have"),
        ({"ta": math.nan}, "NaN degC is not allowed"),
        ({"ta": 21.0}, "allowed are -20 to 20"),
        ({"rn": 0.0}, "more than 0 and at most 10"),
        ({"rn": math.inf}, "more than 0 and at most 10"),
    ],
)
async def test_what_cannot_be_derived_is_refused_in_a_sentence(
    filled: asyncpg.Connection, wrong: Mapping[str, object], sentence: str
):
    with pytest.raises(RefusedScenario, match=sentence):
        await derive(filled, **(WARM | wrong))
    assert await filled.fetchval("SELECT count(*) FROM climate_scenarios") == 0
    assert await filled.fetchval("SELECT count(DISTINCT scenario) FROM climate_data") == 2


async def test_a_name_that_no_trigger_takes_is_refused(filled: asyncpg.Connection):
    with pytest.raises(InvalidMessage, match="scenario"):
        await derive(filled, **(WARM | {"name": "  "}))


async def test_a_table_of_another_system_keeps_its_own_columns(filled: asyncpg.Connection):
    await filled.execute(
        "ALTER TABLE climate_data ADD COLUMN id bigserial, ADD COLUMN note text NOT NULL DEFAULT 'x'"
    )
    await filled.execute("UPDATE climate_data SET note = 'mine' WHERE scenario = 'historical'")
    await derive(filled, **WARM)
    assert await filled.fetchval("SELECT count(DISTINCT id) = count(*) FROM climate_data")
    assert await filled.fetchval("SELECT DISTINCT note FROM climate_data WHERE scenario = 'warm2'") == "mine"


async def test_the_list_names_origin_climate_and_windows_with_results(
    filled: asyncpg.Connection, flow_settings: Settings
):
    await run_job(filled, flow_settings, "one", ["drought", "typhoon"])
    await run_job(filled, flow_settings, "two", ["cold_wave"], job_type="hazard")
    await derive(filled, **WARM)
    await filled.execute("INSERT INTO riskflow.results_before VALUES ('old', 1981, 2010, 'drought', 77)")
    historical, old, ssp, warm = await scenarios(filled)
    assert (historical.scenario, historical.derived_from, historical.has_climate) == (
        "historical",
        None,
        True,
    )
    assert [(each.start, each.end, each.cells, each.risks) for each in historical.windows] == [
        (1991, 2020, 2, ("cold_wave", "drought", "typhoon"))
    ]
    assert (old.scenario, old.has_climate, old.windows[0].cells) == ("old", False, 77)
    assert (ssp.scenario, ssp.windows) == (SCENARIO, ())
    assert (warm.scenario, warm.derived_from, warm.ta, warm.rn, warm.windows) == (
        "warm2",
        "historical",
        2.0,
        1.08,
        (),
    )


def days_file(folder: Path, scenario: str | None = None) -> Path:
    """Thirty years of days: a yearly cycle, and weather that keeps its sign for a week."""
    path = folder / "days.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(
            ["latitude", "longitude", "date", "tmax", "tmin", "precip", *(["scenario"] if scenario else [])]
        )
        day = date(1991, 1, 1)
        while day.year < 2021:
            cycle = 12 - 12 * math.cos(day.timetuple().tm_yday / 365.25 * 2 * math.pi)
            noise = 4 * math.sin(day.toordinal() // 9 * 12.9898)
            rain = 8.0 if day.day % 5 == 0 else 0.0
            row = [35.1, 129.03, day, round(cycle + noise + 5, 2), round(cycle + noise - 5, 2), rain]
            lines.writerow([*row, *([scenario] if scenario else [])])
            day += timedelta(days=1)
    return path


async def test_with_the_days_of_the_source_high_temperature_grows_and_cold_waves_shrink(
    database_url: str, flow_settings: Settings, tmp_path: Path
):
    connection = await asyncpg.connect(database_url)
    path = days_file(tmp_path)
    await load("daily", [path], connection, OPTIONS)
    risks = ["high_temperature", "cold_wave"]
    await run_job(connection, flow_settings, "before", risks)
    change = DeltaChange("historical", "warm2", 2.0, 1.1)
    _, loaded = await derive_with_days(connection, [path], OPTIONS, change, by="somebody")
    assert loaded.rows["climate_extremes"] == 30
    await run_job(connection, flow_settings, "after", risks, scenario="warm2")
    was, now = (
        results_frame(database_url, scenario=name).set_index("risk_type") for name in ("historical", "warm2")
    )
    assert now.loc["high_temperature", "aal"] > was.loc["high_temperature", "aal"]
    assert now.loc["cold_wave", "aal"] <= was.loc["cold_wave", "aal"]
    differences = await connection.fetch(
        """
        SELECT max(abs(w.ta - h.ta - 2)) AS ta, max(abs(w.rn - h.rn * 1.1)) AS rn FROM climate_data h
        JOIN climate_data w USING (latitude, longitude, year, month)
        WHERE (h.scenario, w.scenario) = ('historical', 'warm2')
        """
    )
    assert differences[0]["ta"] == pytest.approx(0, abs=1e-9)
    assert differences[0]["rn"] == pytest.approx(0, abs=1e-9)
    await connection.close()


async def test_days_of_another_scenario_undo_the_whole(
    database_url: str, filled: asyncpg.Connection, tmp_path: Path
):
    del database_url
    path = days_file(tmp_path, scenario=SCENARIO)
    change = DeltaChange("historical", "warm2", 2.0, 1.1)
    with pytest.raises(InvalidFile, match=f"the days are of scenario {SCENARIO}"):
        await derive_with_days(filled, [path], OPTIONS, change, by="somebody")
    assert sum((await counts(filled, "warm2")).values()) == 0
    assert await filled.fetchval("SELECT count(*) FROM climate_scenarios") == 0
