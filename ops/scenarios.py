"""Scenarios: which there are, and new ones derived from others by delta change.

Source: Hay, Wilby and Leavesley (2000), Journal of the American Water Resources Association 36:
every value of the observed series is shifted (temperature) or multiplied (rain) by one number.
"""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from ops.result_windows import ResultWindow, result_windows
from schemas.codec import validated
from schemas.errors import RiskflowError
from schemas.messages import Trigger
from schemas.storable import plain

# As a load, it may keep its session waiting for a slow disk.
_BEGIN = "SET LOCAL idle_in_transaction_session_timeout = '15min'"
_DERIVE = "SELECT riskflow.derive_scenario($1, $2, $3, $4, $5, $6, $7)"
_CELLS = "SELECT count(*) FROM climate_packed WHERE scenario = $1"
# One probe of the index for each scenario, however many cells it has.
_WITH_CLIMATE = """
    WITH RECURSIVE found (scenario) AS (
        SELECT min(scenario) FROM climate_packed
        UNION ALL
        SELECT (SELECT min(p.scenario) FROM climate_packed p WHERE p.scenario > found.scenario)
        FROM found WHERE found.scenario IS NOT NULL
    )
    SELECT scenario FROM found WHERE scenario IS NOT NULL
"""
_DERIVED = """
    SELECT scenario, derived_from, ta_delta_c, rn_factor, method, created_at, created_by
    FROM climate_scenarios
"""


class RefusedScenario(RiskflowError):  # noqa: N818 - named by what is wrong, as all errors here
    """The scenario cannot be derived; the sentence says why and what is allowed. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario of the climate data or of results.

    Attributes:
        scenario: Its name.
        derived_from: Of a derived one, the scenario that it was made from; else None, as the next two.
        ta: Added to temperatures [degC].
        rn: What rain was multiplied by.
        has_climate: Whether months of it are stored.
        windows: Years with results.
    """

    scenario: str
    derived_from: str | None
    ta: float | None
    rn: float | None
    has_climate: bool
    windows: tuple[ResultWindow, ...]


@dataclass(frozen=True, slots=True)
class Derived:
    """A scenario that was derived just now.

    Attributes:
        scenario: Its name.
        rows: Months written.
        cells: Cells of these.
        sentence: What was done.
        rests_on: By risk, what its numbers will rest on under the scenario.
    """

    scenario: str
    rows: int
    cells: int
    sentence: str
    rests_on: dict[str, str]


async def scenarios(connection: asyncpg.Connection) -> list[Scenario]:
    """All that have climate or results, `historical` first; the result tables are not read."""
    with_climate = {row["scenario"] for row in await connection.fetch(_WITH_CLIMATE)}
    derived = {row["scenario"]: row for row in await connection.fetch(_DERIVED)}
    windows: dict[str, list[ResultWindow]] = {}
    for window in await result_windows(connection):
        windows.setdefault(window.scenario, []).append(window)
    names = sorted(
        with_climate | derived.keys() | windows.keys(), key=lambda name: (name != "historical", name)
    )
    return [
        _scenario(name, derived.get(name), tuple(windows.get(name, ())), has_climate=name in with_climate)
        for name in names
    ]


async def derive(  # noqa: PLR0913 - each named at the call
    connection: asyncpg.Connection,
    *,
    source: str,
    name: str,
    ta: float,
    rn: float,
    by: str,
    replace: bool = False,
) -> Derived:
    """Write a scenario whose months are those of another with ta, tamax, tamin + `ta` and rn x `rn`.

    All or nothing, in one transaction. The same change under the same name is made anew.

    Args:
        connection: Outside a transaction or inside one.
        source: Scenario with months.
        name: Of the new scenario.
        ta: Change of temperature [degC], -20 to 20.
        rn: Factor on rain, above 0 up to 10.
        by: Who asks.
        replace: Also where a scenario of this name was derived otherwise before.

    Raises:
        InvalidMessage: No trigger could name such a scenario.
        RefusedScenario: The name is taken, the source has no months, or a number is not allowed.
    """
    named = validated(Trigger, {"job_type": "climate", "scenario": name}).scenario
    how = f"delta change: ta, tamax, tamin {ta:+g} degC; rn, rx1day x {rn:g}"
    try:
        async with connection.transaction():
            await connection.execute(_BEGIN)
            rows = await connection.fetchval(
                _DERIVE, source, named, float(ta), float(rn), plain(by), how, replace
            )
            cells = await connection.fetchval(_CELLS, named)
    except asyncpg.InvalidParameterValueError as error:
        raise RefusedScenario(str(error)) from None
    except asyncpg.CharacterNotInRepertoireError:
        raise RefusedScenario(f"{plain(name)!r} has a character that a name cannot have") from None
    sentence = (
        f"scenario {named}: {rows:,} months of {cells:,} cells, derived from {source} by {how}; "
        "results of it that are stored already stay until a job computes them anew"
    )
    return Derived(str(named), rows, cells, sentence, rests_on(source, ta, rn))


def rests_on(source: str, ta: float, rn: float) -> dict[str, str]:
    """By risk, what its numbers rest on under a scenario that was derived without daily weather."""
    unknown = "no number (no_data: {}): spells over thresholds need changed days (--daily)"
    rain = "wettest day of each year x factor, exact for a constant factor"
    calm = not ta
    return {
        "high_temperature": "WSDI of the source: no day is warmer" if calm else unknown.format("wsdi"),
        "cold_wave": "CSDI of the source: no day is warmer" if calm else unknown.format("csdi"),
        "drought": "changed months; humidity, wind and radiation of the source",
        "wildfire": "fire weather of the source: no day has changed"
        if calm and rn == 1
        else "days drawn from the changed months (fwi: drawn), not comparable with fwi: daily",
        "inland_flood": rain,
        "urban_flood": rain,
        "coastal_flood": "sea level of the source"
        if calm
        else "no number near the coast (no_data: sea_level_rise): load sea-level-rise for this scenario",
        "typhoon": "observed storms unchanged in windows within their years; in later windows the baseline's "
        f"storms, with {ta:+g} degC taken as global warming",
        "water_scarcity": f"changed months; demand of {source}, unchanged by assumption",
    }


def _scenario(
    name: str, derived: asyncpg.Record | None, windows: tuple[ResultWindow, ...], *, has_climate: bool
) -> Scenario:
    if derived is None:
        return Scenario(name, None, None, None, has_climate, windows)
    origin = (derived["derived_from"], derived["ta_delta_c"], derived["rn_factor"])
    return Scenario(name, *origin, has_climate, windows)
