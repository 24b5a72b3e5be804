"""Results of drought on a small grid, as jobs of two scenarios leave them."""

from __future__ import annotations

from typing import Any

import asyncpg
import orjson

STEP = 0.5
GRID = [(35 + STEP * row, 127 + STEP * column) for row in range(3) for column in range(4)]
"""Twelve cells, by latitude and longitude."""
BLANK = (36.0, 128.5)
"""The cell whose data did not suffice; the last of GRID."""
LEVELS = ("Low", "Medium", "High")

_RESULTS = """
    INSERT INTO {table} (latitude, longitude, risk_type, scenario, window_start, window_end, job_seq,
                         job_id, calculated_at, reason, {columns})
    VALUES ($1::float8::numeric, $2::float8::numeric, 'drought', $3, 1991, 2020, 1,
            $3 || '-job', now(), $4, {values})
"""
_PROBABILITY = _RESULTS.format(
    table="probability_results", columns="aal, probability, bin_data", values="$5, $6::jsonb, $7::jsonb"
)
_HAZARD = _RESULTS.format(
    table="hazard_results",
    columns="hazard_score, hazard_score_100, hazard_level",
    values="$5, 100 * $5::float8, $6",
)


async def drought(connection: asyncpg.Connection, scenario: str, *, more: float = 0.0) -> None:
    """A job's results: expected loss 0.001 x the cell's number + `more`, and none at BLANK."""
    await connection.execute(
        "INSERT INTO batch_job_logs (job_id, job_seq, job_type, status, scenario, window_start, window_end,"
        " kinds, risks, total_grids, processed_grids, failed_grids, completed_at)"
        " VALUES ($1 || '-job', nextval('riskflow.job_seq'), 'climate', 'completed', $1, 1991, 2020,"
        " '{probability,hazard}', '{drought}', $2, $2, 0, now())",
        scenario,
        len(GRID),
    )
    await connection.execute(
        "INSERT INTO batch_job_risks (job_id, risk_type, reported) VALUES ($1 || '-job', 'drought', $2)",
        scenario,
        2 * len(GRID),
    )
    for number, cell in enumerate(GRID, start=1):
        place = (*cell, scenario)
        if cell == BLANK:
            await connection.execute(_PROBABILITY, *place, "no_data: rn", None, None, None)
            await connection.execute(_HAZARD, *place, "no_data: rn", None, None)
            continue
        worst = 0.01 * number
        probability, bins = (orjson.dumps(each).decode() for each in ([1 - worst, worst], bins_of(worst)))
        await connection.execute(_PROBABILITY, *place, None, 0.001 * number + more, probability, bins)
        await connection.execute(_HAZARD, *place, None, 0.5, LEVELS[number % 3])


def bins_of(worst: float) -> list[dict[str, Any]]:
    """Two bins, the worse from 2 standard deviations on."""
    unit = "standard deviations"
    mild = {
        "bin": 1,
        "lower": None,
        "upper": 2,
        "unit": unit,
        "probability": 1 - worst,
        "base_damage_rate": 0,
    }
    bad = {"bin": 2, "lower": 2, "upper": None, "unit": unit, "probability": worst, "base_damage_rate": 0.02}
    return [mild, bad]


async def derived(connection: asyncpg.Connection, scenario: str) -> None:
    """What riskflow.derive_scenario notes of a scenario."""
    await connection.execute(
        "INSERT INTO climate_scenarios (scenario, derived_from, ta_delta_c, rn_factor, method, created_by)"
        " VALUES ($1, 'historical', 2, 1.08, 'delta change', 'operator')",
        scenario,
    )
