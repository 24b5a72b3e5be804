"""Daily fire weather index of 30 years: the kernel against climate_indices and xclim."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr

from benchmarks.outcome import Outcome, times
from benchmarks.peers import peer
from benchmarks.rounds import Size, alternate, per_cell
from streams.models.dates import month_of_days
from streams.models.fwi import NoonWeather, fire_codes
from streams.models.inputs import Array, Years

THIRTY_YEARS = Years(1991, 2020)
ONE_YEAR = Years(1991, 1991)
CELLS = 200
SEED = 4
CLOSE = 1e-9
NEARLY_ALL, NEAR = 0.99, 0.05
"""climate_indices differs by less than this share (or number, below 1) on nearly all days: it takes 147.27723
where Van Wagner and Pickett (1985), eq. 1, print 147.2. FWI is infinitely steep where it begins, at 1."""

Compute = Callable[[], Array]


class Days:
    """Drawn noon weather of consecutive days, each (cells, days), and FWI by each side."""

    def __init__(self, years: Years, cells: int) -> None:
        random = np.random.default_rng(SEED)
        self.years, self.month = years, month_of_days(years)
        shape = (cells, len(self.month))
        season = 12.0 + 12.0 * np.sin(2 * np.pi * (self.month - 3) / 12)
        self.weather = NoonWeather(
            temperature=season + random.normal(0.0, 4.0, shape),
            humidity=np.clip(random.normal(60.0, 18.0, shape), 5.0, 100.0),
            wind=random.gamma(2.0, 6.0, shape),
            rain=np.where(random.random(shape) < 0.3, random.gamma(0.8, 9.0, shape), 0.0),  # noqa: PLR2004 - a wet day in three
        )
        self.latitude = np.linspace(33.0, 38.0, cells)

    def kernel(self) -> Array:
        """As riskflow has it, with the five codes that lead to FWI."""
        return fire_codes(self.weather, self.month, self.latitude).fwi

    def climate_indices(self) -> Compute:
        """One block, days first, only FWI asked for."""
        fire = peer("climate_indices.fire")
        weather = self.weather
        metres_a_second = weather.wind / 3.6
        columns = [
            np.ascontiguousarray(values.T)
            for values in (weather.temperature, weather.humidity, metres_a_second, weather.rain)
        ]

        def computed() -> Array:
            found = fire.cffwis(*columns, self.latitude, self.month + 1, outputs="fwi")
            return np.asarray(found.fwi.T)

        return computed

    def xclim(self) -> Compute:
        """One block in memory."""
        days = pd.date_range(f"{self.years.start}-01-01", f"{self.years.end}-12-31")
        weather = self.weather

        def series(values: Array, units: str) -> xr.DataArray:
            return xr.DataArray(values.T, {"time": days}, ("time", "cell"), attrs={"units": units})

        taken = {
            "tas": series(weather.temperature, "degC"),
            "pr": series(weather.rain, "mm/d"),
            "sfcWind": series(weather.wind, "km/h"),
            "hurs": series(weather.humidity, "%"),
            "lat": xr.DataArray(self.latitude, dims="cell", attrs={"units": "degrees_north"}),
        }
        indices = peer("xclim.indices")

        def computed() -> Array:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return np.asarray(indices.cffwis_indices(**taken)[5].transpose("cell", "time").values)

        return computed


async def fwi(size: Size) -> list[Outcome]:
    """Milliseconds a cell of each side, in alternation."""
    cells = size.of(CELLS, 4)
    days = Days(ONE_YEAR if size.smoke else THIRTY_YEARS, cells)
    climate_indices, xclim = days.climate_indices(), days.xclim()
    _check(days.kernel(), climate_indices(), xclim())
    sides = (per_cell(side, cells) for side in (days.kernel, climate_indices, xclim))
    ours, theirs, others = await alternate(size, *sides)
    note = f"{len(days.month):,} days of {cells} cells in one block, all six codes computed"
    return [
        times(
            "fwi/climate-indices",
            "daily FWI, the kernel against climate_indices",
            "ms",
            ours,
            theirs,
            goal=5.0,
            note=f"{note}; the two are within {NEAR:.0%} of each other on {NEARLY_ALL:.0%} of the days: "
            "climate_indices takes the 147.27723 of later reports where Van Wagner and Pickett (1985) print "
            "147.2.",
        ),
        times(
            "fwi/xclim",
            "daily FWI, the kernel against xclim",
            "ms",
            ours,
            others,
            goal=15.0,
            note=f"{note}; both agree to {CLOSE:g}.",
        ),
    ]


def _check(ours: Array, climate_indices: Array, xclim: Array) -> None:
    """All three compute the same index.

    Raises:
        AssertionError: They do not.
    """
    np.testing.assert_allclose(ours, xclim, rtol=0, atol=CLOSE)
    near = np.abs(ours - climate_indices) <= NEAR * np.maximum(1.0, ours)
    if near.mean() < NEARLY_ALL:
        raise AssertionError(f"climate_indices is near the kernel on {near.mean():.2%} of the days only")
