"""`riskflow load`: files into tables, a whole call in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import asyncpg

from ops.load.findings import Findings
from ops.load.learning import LEARNING, STORED
from ops.load.moments import zone_named
from ops.load.options import Loaded, LoadOptions
from schemas.errors import InvalidFile, RiskflowError

TABLES = ("monthly", "daily", "netcdf", *STORED)
"""What can be loaded."""

TIMED = tuple(name for name, (_, sheet) in LEARNING.items() if sheet.has("moment"))
"""Tables whose times may lack an offset where --timezone gives their zone."""

LOCK = "riskflow.load"

# One load at a time: two that merge the same keys would wait for each other in turn. A slow disk may
# keep a NetCDF block longer than a session may be idle.
BEGIN = "SET LOCAL idle_in_transaction_session_timeout = '15min'"


async def load(
    table: str, files: Sequence[Path], connection: asyncpg.Connection, options: LoadOptions
) -> Loaded:
    """Load files into a table: all of them or, where one row is bad, nothing.

    Args:
        table: One of TABLES.
        files: CSV files (gzip is read as is) or NetCDF files. Files with the same columns may come in
            one call; the thresholds of daily weather need the whole baseline in one call.
        connection: To a migrated database; the load is one transaction of it.
        options: Choices of the user.

    Raises:
        InvalidFile: A file is refused; names line, column and reason of up to 20 faults.
        RiskflowError: The table is unknown, an option does not go with it, or another load is running.
    """
    _check(table, files, options)
    findings = Findings(options, files or [Path(table)])
    stored = False
    try:
        async with connection.transaction():
            await connection.execute(BEGIN)
            await _lock(connection)
            loaded = await _load(table, files, connection, options, findings)
            options.progress("packing months", 0.0)
            await connection.fetchval("SELECT riskflow.repack()")
        stored = True
    except InvalidFile as error:
        raise InvalidFile(f"{error}\nNothing was stored.") from error
    finally:
        findings.close(stored=stored)
    return replace(
        loaded,
        duplicates=findings.duplicates,
        bad_values=findings.bad_values,
        bad_values_file=findings.bad_values_file,
        warnings=(*loaded.warnings, *findings.warnings),
    )


def _check(table: str, files: Sequence[Path], options: LoadOptions) -> None:
    if table not in TABLES:
        raise RiskflowError(f"there is no table {table!r} to load; allowed: {', '.join(TABLES)}")
    if not files and not (table == "storms" and options.ibtracs):
        raise RiskflowError(f"load {table}: name at least one file")
    if options.ibtracs and table != "storms":
        raise RiskflowError(f"--ibtracs goes with storms, not with {table}")
    if options.scenario and table != "netcdf":
        raise RiskflowError(f"--scenario goes with netcdf; the files of {table} name it in a column")
    if options.timezone and table not in TIMED:
        raise RiskflowError(f"--timezone goes with {' and '.join(TIMED)}, not with {table}")
    zone_named(options.timezone)
    if len({path.name for path in files}) < len(files):
        raise RiskflowError(f"load {table}: two files have the same name; a fault could not say which one")


async def _lock(connection: asyncpg.Connection) -> None:
    try:
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext($1))", LOCK)
    except asyncpg.LockNotAvailableError as error:
        raise RiskflowError(
            "another load is running on this database; try again when it has ended"
        ) from error


async def _load(
    table: str,
    files: Sequence[Path],
    connection: asyncpg.Connection,
    options: LoadOptions,
    findings: Findings,
) -> Loaded:
    # Daily weather compiles kernels and NetCDF needs an extra: only who loads these pays for them.
    if table == "monthly":
        from ops.load.monthly import load_monthly  # noqa: PLC0415 - see above

        return await load_monthly(files, connection, options, findings)
    if table == "daily":
        from ops.load.daily import load_daily  # noqa: PLC0415 - see above

        return await load_daily(files, connection, options, findings)
    if table == "netcdf":
        from ops.load.netcdf import load_netcdf  # noqa: PLC0415 - see above

        return await load_netcdf(files, connection, options, findings)
    from ops.load.records import load_ibtracs, load_records  # noqa: PLC0415 - see above

    if options.ibtracs:
        return await load_ibtracs(files, connection, options, findings)
    return await load_records(table, files, connection, options, findings)
