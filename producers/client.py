"""Asking for a job from another Python service: one statement in PostgreSQL, no Kafka.

Nothing but the standard library is imported, so that the file may also be copied.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any, Literal, Protocol, TypedDict, Unpack, get_args

JobType = Literal["probability", "hazard", "climate", "weekly"]


class Options(TypedDict, total=False):
    """The trigger's other fields, as docs/messages.md has them."""

    job_id: str
    scenario: str
    window: dict[str, int]
    risks: Sequence[str]
    bbox: dict[str, float]
    uncertainty: bool
    tenants: Sequence[str]
    report_date: date | str
    requested_by: str


class AsyncConnection(Protocol):
    """A connection or a pool of asyncpg."""

    async def fetchval(self, query: str, *args: Any) -> Any:
        """First value of the first row."""


class DbApiConnection(Protocol):
    """A connection of psycopg 3, psycopg2 or another DB-API driver that writes parameters as %s."""

    def cursor(self) -> Any:
        """Give a cursor, which closes at the end of a `with` block."""


def request_arguments(job_type: JobType, **options: Unpack[Options]) -> tuple[str, str]:
    """The two arguments of `riskflow.request(text, jsonb)`, for any other driver or an ORM.

    Raises:
        ValueError: No such job type.
        TypeError: No such option.
    """
    if job_type not in get_args(JobType):
        raise ValueError(f"job type {job_type!r} is not known; allowed: {', '.join(get_args(JobType))}")
    if unknown := sorted(options.keys() - Options.__annotations__.keys()):
        allowed = ", ".join(Options.__annotations__)
        raise TypeError(f"unknown option {', '.join(unknown)}; allowed: {allowed}")
    told = {name: value for name, value in options.items() if value is not None}
    return job_type, json.dumps(told, default=_plain)


async def trigger_aiops_batch(
    connection: AsyncConnection, job_type: JobType, **options: Unpack[Options]
) -> str:
    """Ask for a job; part of the transaction that the connection is in, at once on a pool.

    Args:
        connection: asyncpg's connection or pool, of a role that may execute riskflow.request.
        job_type: What is computed.
        options: Fields of the trigger; the same job_id with the same options is the same job.

    Returns:
        The job_id to look for in batch_job_logs, where a request that cannot be done is `failed`.

    Raises:
        ValueError, TypeError: As `request_arguments`.
        asyncpg.PostgresError: Not asked: no right, a job_id that is not allowed or of another request.
    """
    # As text, so that whatever codec the connection has for jsonb is not asked.
    query = "SELECT riskflow.request($1::text, $2::text::jsonb)"
    return str(await connection.fetchval(query, *request_arguments(job_type, **options)))


def trigger_aiops_batch_sync(
    connection: DbApiConnection, job_type: JobType, **options: Unpack[Options]
) -> str:
    """`trigger_aiops_batch` on a DB-API connection; asked for when the caller commits.

    Raises:
        ValueError, TypeError: As `request_arguments`.
        psycopg.Error: Not asked, as there.
    """
    with connection.cursor() as cursor:
        arguments = request_arguments(job_type, **options)
        cursor.execute("SELECT riskflow.request(%s::text, %s::text::jsonb)", arguments)
        return str(cursor.fetchone()[0])


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be part of a request")
