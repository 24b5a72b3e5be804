"""Which broker and database a command speaks to: the settings', or those of the running `riskflow up`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg
from pydantic import SecretStr

from ops.stack.registry import BROKER, DATABASE, running_stack
from schemas.database import close, connect
from schemas.errors import RiskflowError, Unavailable
from schemas.settings import Settings, load_settings
from schemas.start import REFUSALS, refusal

BUSY = "is busy: another job, a load, or a stopped service holds what this command needs; try again"


def client_settings() -> Settings:
    """Settings of a command that a person types.

    What the environment says counts; where it names neither database nor broker, a stack that
    `riskflow up` runs on this machine is taken.

    Raises:
        InvalidSettings: A variable is not allowed.
    """
    settings = load_settings()
    named = settings.model_fields_set
    stack = running_stack()
    if stack is None:
        return settings
    found: dict[str, object] = {}
    if not named & DATABASE:
        found["database_url"] = SecretStr(stack.database_url)
    if not named & BROKER:
        found["kafka_bootstrap_servers"] = stack.kafka_bootstrap_servers
    return settings.model_copy(update=found)


@asynccontextmanager
async def database(settings: Settings, application: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection for one command.

    Raises:
        Unavailable: The database does not answer or does not let this user in, or goes away meanwhile.
        RiskflowError: It has not been migrated, or the role lacks a right.
    """
    try:
        connection = await connect(settings.dsn, application=application)
    except REFUSALS as error:
        raise Unavailable(f"database {settings.database_label} {refusal(error)}") from None
    except (OSError, asyncpg.PostgresError) as error:
        raise Unavailable(
            f"database {settings.database_label} cannot be used: {error}; "
            "start one with `riskflow up`, or set DATABASE_URL"
        ) from None
    try:
        with faults_told(settings, connection):
            yield connection
    finally:
        await close(connection)


@contextmanager
def faults_told(settings: Settings, connection: asyncpg.Connection) -> Iterator[None]:
    """Say what a person can do about an error of the database.

    Raises:
        Unavailable: The database is busy, or went away.
        RiskflowError: It has not been migrated, or the role lacks a right.
    """
    try:
        yield
    except asyncpg.UndefinedTableError:
        raise RiskflowError(
            f"database {settings.database_label} has no tables of riskflow; make them with: riskflow migrate"
        ) from None
    except asyncpg.InsufficientPrivilegeError as error:
        raise RiskflowError(f"database {settings.database_label}: {error}; {_remedy(error)}") from None
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
        raise Unavailable(f"database {settings.database_label} {BUSY}") from None
    except Exception as error:
        if not connection.is_closed():
            raise
        raise Unavailable(f"database {settings.database_label} went away: {error}") from error


def _remedy(error: asyncpg.InsufficientPrivilegeError) -> str:
    if "row-level security" in str(error):
        return (
            "have the owner of the tables run: SELECT riskflow.grant_tenant('<this role>', '*') "
            "(docs/tenants.md)"
        )
    return "use the role that ran `riskflow migrate`, or have it grant the right (riskflow.grant_service)"
