"""What `jobs` and `explain` read from the database for the command line."""

from __future__ import annotations

from typing import Any

import orjson
from rich.console import Console

from ops import jobs
from ops.context import database
from ops.job_documents import job_document, shown_document
from ops.printed import print_failures, print_job, print_jobs, print_risks, print_tenants
from ops.shown_job import read_job
from ops.standing import standings
from schemas.errors import RiskflowError
from schemas.settings import Settings


async def show_latest(settings: Settings, limit: int, console: Console, *, as_json: bool = False) -> None:
    """Print the latest jobs."""
    async with database(settings, "jobs") as connection:
        found = await jobs.latest(connection, limit)
        standing = await standings(connection, found, settings.stalled_after_minutes)
    if as_json:
        print_json(console, [job_document(job, standing.get(job.job_id)) for job in found])
    else:
        print_jobs(console, found, standing)


async def show_job(settings: Settings, job_id: str, console: Console, *, as_json: bool = False) -> None:
    """Print one job.

    Raises:
        RiskflowError: Nobody has heard of it.
    """
    async with database(settings, "jobs") as connection:
        job = await jobs.find(connection, job_id)
        if job is None:
            raise RiskflowError(f"there is no job {job_id}; riskflow jobs lists the latest")
        shown = await read_job(connection, job, settings.stalled_after_minutes)
    if as_json:
        print_json(console, shown_document(shown))
        return
    print_job(console, job, shown.standing, shown.superseded)
    print_risks(console, shown.risks)
    print_failures(console, shown.failures)
    print_tenants(console, shown.tenants)


async def explanation(settings: Settings, window: str | None, cell: dict[str, Any]) -> dict[str, Any]:
    """The documented object of `explain --json`; `cell` holds the arguments of ops.explain.explain."""
    from ops.explain import explain  # noqa: PLC0415 - brings SciPy and numba
    from ops.trigger import window_of  # noqa: PLC0415 - brings the Kafka client
    from schemas.codec import validated  # noqa: PLC0415 - as above
    from schemas.messages import Window  # noqa: PLC0415 - as above

    years = validated(Window, window_of(window)) if window else None
    async with database(settings, "explain") as connection:
        return await explain(connection, settings, window=years, **cell)


def print_json(console: Console, document: object) -> None:
    """Write a documented object as it is, whatever the console's width."""
    text = orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
    console.print(text, highlight=False, markup=False, emoji=False, soft_wrap=True)
