"""What is exported, in which format, and how the file is called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec

from schemas.errors import RiskflowError
from schemas.messages import Bbox, Window


class Format(StrEnum):
    """Formats of an exported file."""

    csv = "csv"
    parquet = "parquet"
    netcdf = "netcdf"
    geojson = "geojson"


_MEDIA_TYPES = {
    Format.csv: "text/csv; charset=utf-8; header=present",
    Format.parquet: "application/vnd.apache.parquet",
    Format.netcdf: "application/x-netcdf",
    Format.geojson: "application/geo+json",
}
_SUFFIXES = {Format.csv: "csv", Format.parquet: "parquet", Format.netcdf: "nc", Format.geojson: "geojson"}
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")

BINARY = frozenset({Format.parquet, Format.netcdf})
"""Formats that are not for a terminal."""

PARQUET_NEEDS = ("pyarrow",)
FRAME_NEEDS = ("pandas", "pyarrow")
NETCDF_NEEDS = ("xarray", "h5netcdf")


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """The results that an export holds.

    Attributes:
        format: Of the file.
        scenario: The scenario.
        window: Its years.
        risks: Names of risks; empty stands for all that have results.
        bbox: Part of the grid, edges included; None is all of it.
    """

    format: Format
    scenario: str
    window: Window
    risks: Sequence[str] = ()
    bbox: Bbox | None = None

    @property
    def media_type(self) -> str:
        """For the header Content-Type."""
        return _MEDIA_TYPES[self.format]

    @property
    def file_name(self) -> str:
        """Such as riskflow_drought_historical_1991-2020.csv, in ASCII whatever the scenario is called."""
        risks = "-".join(self.risks) if 0 < len(self.risks) <= NAMED_RISKS else "risks"
        stem = f"riskflow_{risks}_{self.scenario}_{self.window.start}-{self.window.end}"
        return f"{_UNSAFE.sub('-', stem)}.{_SUFFIXES[self.format]}"


NAMED_RISKS = 3
"""Most risks that a file name lists."""


def require(libraries: Sequence[str], what: str) -> None:
    """Make sure that libraries of the extra `export` are there.

    Raises:
        RiskflowError: One is not installed.
    """
    missing = [name for name in libraries if find_spec(name) is None]
    if missing:
        raise RiskflowError(
            f"{what} needs {' and '.join(missing)}; install it with: pip install 'riskflow[export]'"
        )
