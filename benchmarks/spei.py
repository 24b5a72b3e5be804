"""SPEI-12 of monthly series: the kernel against climate_indices and xclim."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr

from benchmarks.outcome import Outcome, times
from benchmarks.peers import peer
from benchmarks.rounds import Size, alternate, per_cell
from streams.models.inputs import Array
from streams.models.spei import LIMIT, SCALE, spei

FIRST_YEAR, YEARS = 1941, 80
"""960 months, all of them the baseline."""
CELLS = 400
XCLIM_CELLS = 4
SEED = 3
NEAR_LIMIT = 0.1
"""Both sides cut off the index, at bounds that differ by less than this [1]."""
CLOSE = 1e-9
TRUNK = 2.0
"""Up to which |SPEI| a fit by maximum likelihood is compared with one by moments [1]."""
APART = 0.3
"""How far two such fits may lie apart [1]."""

Compute = Callable[[], Array]


class Series:
    """Drawn precipitation and ET0 [mm/month], each (cells, months), and the index by each side."""

    def __init__(self, cells: int, few: int) -> None:
        random = np.random.default_rng(SEED)
        self.rain = random.gamma(2.0, 60.0, (cells, 12 * YEARS))
        self.et0 = random.gamma(4.0, 15.0, (cells, 12 * YEARS))
        self.few = few

    def kernel(self) -> Array:
        """As riskflow has it."""
        return spei(self.rain - self.et0, slice(0, YEARS))

    def climate_indices(self) -> Compute:
        """By the block of series that its own command line uses; months first, as it wants them."""
        indices = peer("climate_indices.indices")
        compute = peer("climate_indices.compute")
        rain, et0 = (np.ascontiguousarray(values.T)[:, :, None] for values in (self.rain, self.et0))
        last = FIRST_YEAR + YEARS - 1

        def computed() -> Array:
            found = indices.spei(
                *(rain, et0, SCALE, indices.Distribution.loglogistic, compute.Periodicity.monthly),
                *(FIRST_YEAR, FIRST_YEAR, last),
                spatial_time_major=True,
            )
            return np.asarray(found[:, :, 0].T)

        return computed

    def xclim(self) -> Compute:
        """The log-logistic distribution that it offers, by maximum likelihood, of a few cells."""
        months = pd.date_range(f"{FIRST_YEAR}-01-01", periods=12 * YEARS, freq="MS")
        balance = xr.DataArray(
            (self.rain - self.et0)[: self.few].T,
            dims=("time", "cell"),
            coords={"time": months},
            attrs={"units": "mm/month"},
        )
        indices = peer("xclim.indices")

        def computed() -> Array:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = indices.standardized_precipitation_evapotranspiration_index(
                    balance, freq="MS", window=SCALE, dist="fisk", method="ML"
                )
                return np.asarray(found.transpose("cell", "time").values)

        return computed


async def spei12(size: Size) -> list[Outcome]:
    """Milliseconds a cell of each side; a and b of a pair in alternation."""
    cells, few = size.of(CELLS, 8), size.of(XCLIM_CELLS, 1)
    series = Series(cells, few)
    climate_indices, xclim = series.climate_indices(), series.xclim()
    _check(series.kernel(), climate_indices(), xclim())
    ours, theirs, others = await alternate(
        size, per_cell(series.kernel, cells), per_cell(climate_indices, cells), per_cell(xclim, few)
    )
    note = f"{12 * YEARS} months, a block of {cells} cells"
    return [
        times(
            "spei/climate-indices",
            "SPEI-12, the kernel against climate_indices",
            "ms",
            ours,
            theirs,
            goal=2.0,
            note=f"{note}; both fit the generalised logistic by unbiased moments and agree to {CLOSE:g}. B "
            "by its fastest route, one block of series with spatial_time_major.",
        ),
        times(
            "spei/xclim",
            "SPEI-12, the kernel against xclim",
            "ms",
            ours,
            others,
            goal=1000.0,
            note=f"{note}, of xclim {few}; it fits a log-logistic distribution by maximum likelihood, the "
            f"only method that it has for one of three parameters; up to |SPEI| = {TRUNK:g} it stays within "
            f"{APART:g} of the kernel.",
        ),
    ]


def _check(ours: Array, theirs: Array, few: Array) -> None:
    """Both peers compute the same index.

    Raises:
        AssertionError: They do not.
    """
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    inside = np.abs(ours) < LIMIT - NEAR_LIMIT
    np.testing.assert_allclose(ours[inside], theirs[inside], rtol=0, atol=CLOSE)
    first = ours[: len(few)]
    trunk = np.abs(first) < TRUNK
    np.testing.assert_allclose(first[trunk], few[trunk], rtol=0, atol=APART)
