"""A dataset of results as a NetCDF-4 file; brings xarray and h5netcdf."""

from __future__ import annotations

import shutil
import tempfile
from asyncio import to_thread
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import IO, Any

import asyncpg
import numpy as np
import xarray as xr

from ops.export.columns import Column, gathered
from ops.export.dataset import dataset
from ops.export.request import ExportRequest
from ops.export.risk_names import risk_names
from ops.export.rows import Outline, Row
from schemas.version import riskflow_version

COMPRESSION: dict[str, Any] = {"zlib": True, "complevel": 4, "shuffle": True}


async def write_netcdf(
    connection: asyncpg.Connection,
    request: ExportRequest,
    found: Outline,
    batches: AsyncIterator[list[Row]],
    file: IO[bytes],
) -> int:
    """Write all rows as one dataset and return how many rows they were."""
    made, rows = await results(connection, request, found, batches)
    await to_thread(_write, made, file)
    return rows


async def results(
    connection: asyncpg.Connection,
    request: ExportRequest,
    found: Outline,
    batches: AsyncIterator[list[Row]],
) -> tuple[xr.Dataset, int]:
    """The dataset with all its attributes, as it is encoded, and the number of its rows."""
    columns = await gathered(found, batches)
    risks = await risk_names(connection, found.risks)
    made = await to_thread(dataset, found, columns, risks, request.window)
    made.attrs = _attributes(request, columns, scattered="cell" in made.dims)
    return made, len(columns["latitude"])


def _attributes(request: ExportRequest, columns: dict[str, Column], *, scattered: bool) -> dict[str, str]:
    window = f"{request.window.start}-{request.window.end}"
    release = riskflow_version()
    attributes = {
        "Conventions": "CF-1.11",
        "title": f"Climate risk under scenario {request.scenario}, {window}",
        "source": f"riskflow {release}",
        "references": "docs/methods.md of riskflow: formulas and their sources",
        "history": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} riskflow {release} export {_asked(request)}",
        "scenario": request.scenario,
        "window": window,
        "risk_table": _listed(columns["risk_table"]),
        "job_id": _listed(columns["job_id"]),
    }
    return attributes | ({"featureType": "point"} if scattered else {})


def _asked(request: ExportRequest) -> str:
    window, box = request.window, request.bbox
    words = [f"--risk {risk}" for risk in request.risks]
    words += [f"--scenario {request.scenario}", f"--window {window.start}-{window.end}"]
    if box is not None:
        corners = (box.min_latitude, box.min_longitude, box.max_latitude, box.max_longitude)
        words.append("--bbox " + ",".join(f"{corner:.9g}" for corner in corners))
    return " ".join([*words, "--format netcdf"])


def _listed(values: Column) -> str:
    return ", ".join(sorted({value for value in values.tolist() if value is not None}))


def _write(made: xr.Dataset, file: IO[bytes]) -> None:
    # HDF5 needs a file that it can seek and read in; a stream may be neither.
    with tempfile.NamedTemporaryFile(suffix=".nc") as whole:
        made.to_netcdf(whole.name, engine="h5netcdf", encoding=_encoding(made))
        with open(whole.name, "rb") as written:  # noqa: PTH123 - the name of a temporary file
            shutil.copyfileobj(written, file, 1 << 20)


def _encoding(made: xr.Dataset) -> dict[Any, dict[str, Any]]:
    """Compressed data; numbers have a fill value, coordinates none, as CF asks."""
    encoding: dict[Any, dict[str, Any]] = {name: {"_FillValue": None} for name in made.coords}
    for name, variable in made.data_vars.items():
        if variable.dtype == object:
            encoding[name] = {}
        else:
            whole = np.issubdtype(variable.dtype, np.integer)
            encoding[name] = {"_FillValue": None if whole else np.nan, **COMPRESSION}
    encoding["risk_type"] = {}
    return encoding
