"""The one table of risks: a tenth risk is one file beside the others and one row here.

Edges and base damage rates are those of METHODS, section 2. Rates marked (E) are expert
assumptions; edges and rates may be replaced by a user's risks.toml.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from streams.models import (
    coastal_flood,
    cold_wave,
    drought,
    high_temperature,
    inland_flood,
    typhoon,
    urban_flood,
    water_scarcity,
    wildfire,
)
from streams.models.frame import Risk, no_susceptibility

_ROWS = (
    Risk(
        name="high_temperature",
        title="High temperature",
        intensity="days in warm spells of at least 6 days over TX90 (WSDI)",
        unit="days",
        estimator="hurdle",
        edges=(3, 8, 20, 40),  # (E)
        damage=(0, 0.003, 0.010, 0.020, 0.035),  # (E)
        inputs=("indices",),
        annual=high_temperature.annual,
        estimate=high_temperature.estimate,
        susceptibility=no_susceptibility,
        edge_minimum=0,
    ),
    Risk(
        name="cold_wave",
        title="Cold wave",
        intensity="days in cold spells of at least 6 days under TN10 (CSDI)",
        unit="days",
        estimator="hurdle",
        edges=(3, 7, 15, 30),  # (E)
        damage=(0, 0.002, 0.006, 0.015, 0.025),  # (E)
        inputs=("indices",),
        annual=cold_wave.annual,
        estimate=cold_wave.estimate,
        susceptibility=no_susceptibility,
        edge_minimum=0,
    ),
    Risk(
        name="drought",
        title="Drought",
        intensity="negative SPEI-12 of December",
        unit="standard deviations",
        estimator="shrunk_kde",
        edges=(1, 1.5, 2),  # McKee et al. (1993), classes of drought
        damage=(0, 0.002, 0.007, 0.020),  # (E), built assets
        inputs=("months", "site"),
        annual=drought.annual,
        estimate=drought.estimate,
        susceptibility=no_susceptibility,
    ),
    Risk(
        name="wildfire",
        title="Wildfire",
        intensity="days with FWI >= 38",
        unit="days",
        estimator="hurdle",
        edges=(1, 5, 15, 30),  # (E)
        damage=(0, 0.0005, 0.001, 0.003, 0.010),  # (E)
        inputs=("months", "indices", "site"),
        annual=wildfire.annual,
        estimate=wildfire.estimate,
        susceptibility=wildfire.susceptibility,
        edge_minimum=0,
    ),
    Risk(
        name="inland_flood",
        title="Inland flood",
        intensity="annual maximum rain of one day (RX1DAY)",
        unit="mm",
        estimator="gev",
        edges=(5, 20, 100),  # return periods in the cell's own baseline
        damage=(0, 0, 0.01, 0.05),  # (E), protected to the 20-year level
        inputs=("indices", "site"),
        annual=inland_flood.annual,
        estimate=inland_flood.estimate,
        susceptibility=inland_flood.susceptibility,
        edge_unit="years",
        edge_minimum=1.01,  # a level that all but one year in a hundred reach
        baseline_edges=True,
    ),
    Risk(
        name="urban_flood",
        title="Urban flood",
        intensity="street ponding depth of the year's largest one-hour storm",
        unit="m",
        estimator="gev",
        edges=(0, 0.1, 0.3, 0.5, 1.0),
        # JRC means of coastal_flood x 0.1: share of value on the ponded tenth (E)
        damage=(0, 0.003266, 0.013064, 0.026128, 0.041035, 0.061200),
        inputs=("indices", "site"),
        annual=urban_flood.annual,
        estimate=urban_flood.estimate,
        susceptibility=no_susceptibility,
        bin_unit="mm",
        edge_minimum=0,
    ),
    Risk(
        name="coastal_flood",
        title="Coastal flood",
        intensity="annual maximum still-water depth over ground",
        unit="m",
        estimator="sea_level",
        edges=(0, 0.1, 0.3, 0.5, 1.0),
        damage=(0, 0.03266, 0.13064, 0.26128, 0.41035, 0.61200),  # Huizinga et al. (2017), Asia, residential
        inputs=("site", "sea_level"),
        annual=coastal_flood.annual,
        estimate=coastal_flood.estimate,
        susceptibility=no_susceptibility,
        edge_minimum=0,
    ),
    Risk(
        name="typhoon",
        title="Typhoon",
        intensity="annual maximum 10-minute wind over open ground",
        unit="m/s",
        estimator="hurdle",
        edges=(17, 25, 33, 44, 54),  # KMA classes
        damage=(0, 0, 0.000266, 0.003888, 0.017108, 0.045826),  # Emanuel (2011), Eberenz et al. (2021)
        inputs=("storms", "warming"),
        annual=typhoon.annual,
        estimate=typhoon.estimate,
        susceptibility=no_susceptibility,
        edge_minimum=0,
    ),
    Risk(
        name="water_scarcity",
        title="Water scarcity",
        intensity="withdrawal over available renewable water",
        unit="ratio",
        estimator="shrunk_kde",
        edges=(0.25, 0.50, 0.75, 1.00),  # SDG 6.4.2, classes of water stress
        damage=(0, 0.001, 0.003, 0.007, 0.015),  # (E)
        inputs=("months", "site", "basins", "demand"),
        annual=water_scarcity.annual,
        estimate=water_scarcity.estimate,
        susceptibility=no_susceptibility,
        edge_minimum=0.01,  # the density is that of log(x)
    ),
)

RISKS: Mapping[str, Risk] = MappingProxyType({risk.name: risk for risk in _ROWS})
