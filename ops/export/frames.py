"""Results in a notebook or a program: a pandas DataFrame or an xarray Dataset, by one call.

Both calls work where an event loop runs already, as in a notebook: they ask the database from a
thread of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
from pydantic import SecretStr

from ops.context import client_settings, database
from ops.export.asked import export_request
from ops.export.missing import nothing_found
from ops.export.request import FRAME_NEEDS, NETCDF_NEEDS, ExportRequest, Format, require
from ops.export.rows import Outline, batches, outline, snapshot
from schemas.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Result = TypeVar("Result")
Read = Callable[[asyncpg.Connection, ExportRequest, Outline], Awaitable[Result]]

Box = tuple[float, float, float, float]


def results_frame(
    dsn: str | None = None,
    *,
    risk: str | Sequence[str] | None = None,
    scenario: str | None = None,
    window: tuple[int, int] | None = None,
    bbox: Box | None = None,
) -> pd.DataFrame:
    """Results as a table, a row per cell and risk, with the columns of docs/exports.md.

    Args:
        dsn: Connection string; None takes DATABASE_URL, else the running `riskflow up`.
        risk: Name or names; None takes all that have results.
        scenario: None takes the setting SCENARIO.
        window: First and last year; None takes WINDOW_START and WINDOW_END.
        bbox: South, west, north, east in degrees, edges included.

    Raises:
        NoResults: Nothing is stored of what is asked for; the sentence says what there is.
        RiskflowError: The database does not answer, an argument is wrong, or pandas or pyarrow is missing.
    """
    require(FRAME_NEEDS, "results_frame")
    from ops.export.parquet_file import arrow_table  # noqa: PLC0415 - an extra

    async def read(connection: asyncpg.Connection, request: ExportRequest, found: Outline) -> Any:
        return (await arrow_table(request, found, batches(connection, request, found))).to_pandas()

    frame: pd.DataFrame = _in_thread(_read(dsn, Format.parquet, (risk, scenario, window, bbox), read))
    return frame


def results_dataset(
    dsn: str | None = None,
    *,
    risk: str | Sequence[str] | None = None,
    scenario: str | None = None,
    window: tuple[int, int] | None = None,
    bbox: Box | None = None,
) -> xr.Dataset:
    """Results over risk, bin and cells; arguments as of `results_frame`.

    As the NetCDF file has them, with the names of the risks as index: `sel(risk="drought")`.

    Raises:
        NoResults: Nothing is stored of what is asked for; the sentence says what there is.
        RiskflowError: The database does not answer, an argument is wrong, or xarray is missing.
    """
    require(NETCDF_NEEDS, "results_dataset")
    import xarray as xr  # noqa: PLC0415 - an extra

    from ops.export.netcdf_file import results  # noqa: PLC0415 - an extra

    async def read(connection: asyncpg.Connection, request: ExportRequest, found: Outline) -> xr.Dataset:
        made, _ = await results(connection, request, found, batches(connection, request, found))
        return xr.decode_cf(made).set_index(risk="risk_type")

    made: xr.Dataset = _in_thread(_read(dsn, Format.netcdf, (risk, scenario, window, bbox), read))
    return made


async def _read(dsn: str | None, kind: Format, asked: tuple[Any, ...], read: Read[Result]) -> Result:
    settings = _settings(dsn)
    risk, scenario, window, bbox = asked
    request = export_request(
        settings,
        kind,
        risks=[risk] if isinstance(risk, str) else risk,
        scenario=scenario,
        window=None if window is None else dict(zip(("start", "end"), window, strict=True)),
        bbox=bbox,
    )
    async with database(settings, "export") as connection, snapshot(connection):
        found = await outline(connection, request)
        if not found.risks or set(request.risks) - set(found.risks):
            raise await nothing_found(connection, request, found)
        return await read(connection, request, found)


def _settings(dsn: str | None) -> Settings:
    settings = client_settings()
    return settings if dsn is None else settings.model_copy(update={"database_url": SecretStr(dsn)})


def _in_thread(work: Any) -> Any:
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="riskflow export") as threads:
        return threads.submit(asyncio.run, work).result()
