"""The database of the settings: its server, its clock, its disk, and what others find out on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from ops.context import database
from ops.doctor.bounded import LIMIT, bounded, one_line, unknown_host
from ops.doctor.connected import look_at_scheduler, look_at_services
from ops.doctor.finding import Finding, not_checked, ok, unreachable, warning, wrong
from ops.doctor.machine import judged_disk, nearest
from ops.doctor.tables import look_at_tables
from ops.stack.registry import DATABASE
from schemas.errors import RiskflowError
from schemas.settings import Settings

AT_LEAST = 15
"""Oldest PostgreSQL that the migrations are written for (docs/operations.md)."""
ENCODING = "UTF8"
CLOCKS_APART = timedelta(seconds=2)
"""Difference of two clocks above which their times cannot be compared (expert assumption)."""
START = "start it, or set DATABASE_* to where it is (docs/operations.md); riskflow up brings its own"
CHECKS = ("encoding", "clock", "migrations", "role", "services", "scheduler")

_SERVER = """
    SELECT current_setting('server_version') AS version,
           current_setting('server_version_num')::integer / 10000 AS major,
           current_setting('server_encoding') AS encoding
"""
_FOLDER = """
    SELECT current_setting('data_directory') WHERE pg_has_role('pg_read_all_settings', 'USAGE')
    AND (inet_server_addr() IS NULL OR inet_server_addr() <<= ANY ('{127.0.0.0/8,::1/128}'::inet[]))
"""

Look = Callable[[asyncpg.Connection], Awaitable[list[Finding]]]


async def look_at_database(settings: Settings) -> list[Finding]:
    """All that is to be known of the database of the settings."""
    fault = await unknown_host(urlsplit(settings.dsn).hostname or "localhost")
    if fault is not None:
        return _nothing_of_it(settings, f"database {settings.database_label}: {fault}")
    try:
        async with AsyncExitStack() as exits:
            async with asyncio.timeout(LIMIT):
                connection = await exits.enter_async_context(database(settings, "doctor"))
            return await _looked_at(connection, settings)
    except TimeoutError:
        return _nothing_of_it(
            settings, f"database {settings.database_label} did not answer within {LIMIT:g} s"
        )
    except RiskflowError as error:
        return _nothing_of_it(settings, one_line(error))


async def _looked_at(connection: asyncpg.Connection, settings: Settings) -> list[Finding]:
    looks: dict[str, Look] = {
        "database": lambda connection: _look_at_server(connection, settings),
        "clock": _look_at_clock,
        "migrations": look_at_tables,
        "services": look_at_services,
        "scheduler": look_at_scheduler,
        "disk database": _look_at_folder,
    }
    found = [await bounded(check, _unless_refused(check, look(connection))) for check, look in looks.items()]
    return [finding for findings in found for finding in findings]


def _nothing_of_it(settings: Settings, said: str) -> list[Finding]:
    tried = None if settings.model_fields_set & DATABASE else settings.database_label
    return unreachable("database", said, START, named=tried, others=CHECKS)


async def _unless_refused(check: str, look: Awaitable[list[Finding]]) -> list[Finding]:
    try:
        return await look
    except asyncpg.InsufficientPrivilegeError as error:
        return [not_checked(check, f"this role may not look: {error}", "ask as the owner of the tables")]
    except asyncpg.UndefinedTableError:
        return [not_checked(check, "the database has no tables of riskflow")]


async def _look_at_server(connection: asyncpg.Connection, settings: Settings) -> list[Finding]:
    server = await connection.fetchrow(_SERVER)
    return [
        judged_server(settings.database_label, server["version"], server["major"]),
        judged_encoding(server["encoding"]),
    ]


async def _look_at_clock(connection: asyncpg.Connection) -> list[Finding]:
    before, began = datetime.now(UTC), time.perf_counter()
    server = await connection.fetchval("SELECT clock_timestamp()")
    half = timedelta(seconds=(time.perf_counter() - began) / 2)
    return [judged_clock(here=before + half, there=server)]


async def _look_at_folder(connection: asyncpg.Connection) -> list[Finding]:
    folder = await connection.fetchval(_FOLDER)
    if folder is None or not Path(folder).is_absolute():
        return []
    place = nearest(Path(folder))
    # The root of a container is nearest to a folder of another one.
    return [] if place == Path(place.root) else [judged_disk("disk database", place)]


def judged_server(label: str, version: str, major: int) -> Finding:
    """The server's version."""
    said = f"{label} answers, PostgreSQL {version}"
    if major >= AT_LEAST:
        return ok("database", said)
    return wrong("database", said, f"use PostgreSQL {AT_LEAST} or later")


def judged_encoding(encoding: str) -> Finding:
    """The database's encoding; names of tenants and students may have any letters."""
    if encoding == ENCODING:
        return ok("encoding", encoding)
    remedy = f"CREATE DATABASE riskflow ENCODING '{ENCODING}' TEMPLATE template0, and move to it by pg_dump"
    return wrong("encoding", f"the database is in {encoding}, needed is {ENCODING}", remedy)


def judged_clock(*, here: datetime, there: datetime) -> Finding:
    """This machine's clock against the server's; schedules go by the server's."""
    apart = abs(here - there)
    said = f"here {here:%Y-%m-%d %H:%M:%S}Z, database {there.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
    if apart <= CLOCKS_APART:
        return ok("clock", said)
    return warning("clock", f"{said}: {apart.total_seconds():.0f} s apart", "set both clocks by NTP")
