"""What `jobs` and `explain` read from the database for the command line."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from ops import jobs
from ops.context import database
from ops.printed import print_job, print_jobs, print_risks, print_tenants
from schemas.errors import RiskflowError
from schemas.settings import Settings


async def show_latest(settings: Settings, limit: int, console: Console) -> None:
    """Print the latest jobs."""
    async with database(settings, "jobs") as connection:
        print_jobs(console, await jobs.latest(connection, limit))


async def show_job(settings: Settings, job_id: str, console: Console) -> None:
    """Print one job.

    Raises:
        RiskflowError: Nobody has heard of it.
    """
    async with database(settings, "jobs") as connection:
        job = await jobs.find(connection, job_id)
        if job is None:
            raise RiskflowError(f"there is no job {job_id}; riskflow jobs lists the latest")
        print_job(console, job)
        print_risks(console, await jobs.risk_counts(connection, job_id))
        print_tenants(console, await jobs.tenant_states(connection, job_id))


async def explanation(settings: Settings, window: str | None, cell: dict[str, Any]) -> dict[str, Any]:
    """The documented object of `explain --json`; `cell` holds the arguments of ops.explain.explain."""
    from ops.explain import explain  # noqa: PLC0415 - brings SciPy and numba
    from ops.trigger import window_of  # noqa: PLC0415 - brings the Kafka client
    from schemas.codec import validated  # noqa: PLC0415 - as above
    from schemas.messages import Window  # noqa: PLC0415 - as above

    years = validated(Window, window_of(window)) if window else None
    async with database(settings, "explain") as connection:
        return await explain(connection, settings, window=years, **cell)
