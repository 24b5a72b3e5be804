"""The warming of generated weather under a scenario."""

from __future__ import annotations

import csv

import numpy as np

from ops.demo.sources import demo_table
from streams.models.inputs import HISTORICAL, Array, Years

LAND_OVER_GLOBE = 1.4
"""Warming of land over that of the globe; expert assumption, near AR6's land-sea contrast."""

RAIN_PER_DEGREE = 0.03
"""Rise of rain per degree of local warming [1/degC]; expert assumption."""


def warming(scenario: str, years: Years) -> Array:
    """Local warming of every year over the baseline [degC], (years,): the demo's table `warming`, scaled.

    Between the table's years it is linear; before the first it is 0, after the last it stays.

    Raises:
        ValueError: The scenario is neither `historical` nor in the table.
    """
    if scenario == HISTORICAL:
        return np.zeros(len(years))
    with demo_table("warming").open(encoding="utf-8", newline="") as file:
        rows = [(row["scenario"], float(row["year"]), float(row["dt_c"])) for row in csv.DictReader(file)]
    known = sorted({name for name, _, _ in rows})
    if scenario not in known:
        raise ValueError(
            f"no weather for the scenario {scenario!r}; there are {HISTORICAL}, {', '.join(known)}"
        )
    when, dt = np.array([(year, dt) for name, year, dt in rows if name == scenario]).T
    local: Array = LAND_OVER_GLOBE * np.interp(np.arange(years.start, years.end + 1), when, dt)
    return local
