"""Connections to PostgreSQL and the numbered migrations."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources

import asyncpg

from schemas.errors import RiskflowError
from schemas.settings import Settings

MIGRATION_LOCK = "riskflow.migrate"
CLOSE_SECONDS = 5.0  # for a server that does not say goodbye (expert assumption)
PUBLIC = {
    # A role called riskflow would otherwise find the schema of that name first and make its tables there.
    "search_path": "public",
}
SESSION = PUBLIC | {
    # A client that stopped inside a transaction must not hold its locks for ever (DESIGN, section 3).
    "idle_in_transaction_session_timeout": "30s",
    "lock_timeout": "20s",
}


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered SQL file."""

    number: int
    name: str
    sql: str

    @property
    def digest(self) -> str:
        """Short hash of the text, to notice a file that changed after it was applied."""
        return hashlib.sha256(self.sql.encode()).hexdigest()[:16]


def migrations() -> list[Migration]:
    """All migrations of this version, ascending."""
    folder = resources.files("schemas") / "migrations"
    names = sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))
    return [
        Migration(int(name[:4]), name.removesuffix(".sql"), (folder / name).read_text("utf-8"))
        for name in names
    ]


async def connect(dsn: str, *, application: str, settings: Mapping[str, str] = SESSION) -> asyncpg.Connection:
    """One connection; `application` is what pg_stat_activity shows."""
    return await asyncpg.connect(
        dsn, server_settings={**settings, "application_name": f"riskflow {application}"}, command_timeout=None
    )


@asynccontextmanager
async def session(
    dsn: str, *, application: str, settings: Mapping[str, str] = SESSION
) -> AsyncIterator[asyncpg.Connection]:
    """One connection for a block, closed at its end whatever state it is in."""
    connection = await connect(dsn, application=application, settings=settings)
    try:
        yield connection
    finally:
        await close(connection)


async def close(connection: asyncpg.Connection) -> None:
    """Close a connection that may be broken or busy."""
    try:
        await connection.close(timeout=CLOSE_SECONDS)
    except (
        OSError,
        TimeoutError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,
    ):
        connection.terminate()


async def create_pool(dsn: str, *, application: str, size: int) -> asyncpg.Pool:
    """A pool of at most `size` connections with the session limits of this module."""
    return await asyncpg.create_pool(
        dsn,
        min_size=1,
        max_size=size,
        server_settings={**SESSION, "application_name": f"riskflow {application}"},
    )


async def migrate(dsn: str, settings: Settings | None = None) -> list[str]:
    """Bring the database to this version; safe twice and while another does the same.

    Args:
        dsn: Connection string of a role that may create tables.
        settings: Default scenario and window for rows that are taken over and for the views.

    Returns:
        Names of the migrations applied now, empty where nothing was left to do.

    Raises:
        RiskflowError: A migration that was applied differs from this version's file.
    """
    settings = settings or Settings(_env_file=None)
    connection = await connect(dsn, application="migrate", settings=PUBLIC)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext($1))", MIGRATION_LOCK)
            applied = await _apply(connection, settings)
            await _set_defaults(connection, settings)
    finally:
        await connection.close()
    return applied


async def _apply(connection: asyncpg.Connection, settings: Settings) -> list[str]:
    await connection.execute(
        """
        CREATE SCHEMA IF NOT EXISTS riskflow;
        CREATE TABLE IF NOT EXISTS riskflow.migrations (
            number integer PRIMARY KEY, name text NOT NULL, digest text NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now())
        """
    )
    rows = await connection.fetch("SELECT number, digest FROM riskflow.migrations")
    known = {row["number"]: row["digest"] for row in rows}
    await _offer_defaults(connection, settings)
    applied = []
    for migration in migrations():
        if migration.number not in known:
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO riskflow.migrations (number, name, digest) VALUES ($1, $2, $3)",
                migration.number,
                migration.name,
                migration.digest,
            )
            applied.append(migration.name)
        elif known[migration.number] != migration.digest:
            raise RiskflowError(
                f"migration {migration.name} was applied with another text; "
                "restore the file or use the version of riskflow that applied it"
            )
    return applied


async def _offer_defaults(connection: asyncpg.Connection, settings: Settings) -> None:
    await connection.execute(
        """
        SELECT set_config('riskflow.default_scenario', $1, true),
               set_config('riskflow.default_window_start', $2, true),
               set_config('riskflow.default_window_end', $3, true)
        """,
        settings.scenario,
        str(settings.window_start),
        str(settings.window_end),
    )


async def _set_defaults(connection: asyncpg.Connection, settings: Settings) -> None:
    await connection.execute(
        """
        UPDATE riskflow.defaults SET scenario = $1, window_start = $2, window_end = $3
        WHERE (scenario, window_start, window_end) IS DISTINCT FROM ($1, $2, $3)
        """,
        settings.scenario,
        settings.window_start,
        settings.window_end,
    )
