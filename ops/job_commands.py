"""`riskflow jobs`: the job log, cancelling a job and resuming it."""

from __future__ import annotations

import asyncio
import getpass
from typing import Annotated

import typer
from rich.console import Console

from ops.terminal import client, console
from schemas.settings import Settings

jobs_app = typer.Typer(help="The job log: the latest jobs, or one of them; cancelling and resuming.")

JobId = Annotated[str, typer.Argument(help="As `riskflow jobs` lists it.")]
AsJson = Annotated[bool, typer.Option("--json", help="The documented object (docs/tables.md).")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@jobs_app.callback(invoke_without_command=True)
def list_jobs(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show the latest jobs."""
    if context.invoked_subcommand is None:
        from ops.show import show_latest

        asyncio.run(show_latest(client(), limit, console(), as_json=as_json))


@jobs_app.command("show")
def show_job(job_id: JobId, as_json: AsJson = False) -> None:
    """Show one job: what was asked, how far it is, and what each risk or each tenant has come to."""
    from ops.show import show_job as show

    asyncio.run(show(client(), job_id, console(), as_json=as_json))


@jobs_app.command("cancel")
def cancel_job(job_id: JobId, yes: Yes = False) -> None:
    """End a job that runs or waits. Nothing more of it is computed or sent; rows that are written stay."""
    if not yes:
        typer.confirm(f"Cancel job {job_id}?", abort=True)
    asyncio.run(cancel(client(), job_id, console()))


@jobs_app.command("resume")
def resume_job(job_id: JobId) -> None:
    """Compute what a cancelled job lacks, or again what has failed of one that has ended.

    The job takes a new place in the order: rows that are computed now replace
    those of jobs accepted since. What was done before and has been replaced
    meanwhile stays replaced; `riskflow jobs show` counts it.
    """
    asyncio.run(resume(client(), job_id, console()))


def person() -> str:
    """Who types, for the ledger."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "command line"


async def cancel(settings: Settings, job_id: str, out: Console) -> None:
    """Cancel a job and say how far it had come.

    Raises:
        RiskflowError: There is no such job, or it has ended.
    """
    from ops import lifecycle
    from ops.context import database

    async with database(settings, "jobs") as connection:
        done = await lifecycle.cancel(connection, job_id, person())
    _say(out, done.sentence)


async def resume(settings: Settings, job_id: str, out: Console) -> None:
    """Resume a job and say what is left to do.

    Raises:
        RiskflowError: There is no such job, or nothing of it can be resumed.
    """
    from ops import lifecycle
    from ops.context import database

    async with database(settings, "jobs") as connection:
        done = await lifecycle.resume(connection, job_id, person())
    _say(out, done.sentence)


def _say(out: Console, sentence: str) -> None:
    out.print(sentence, highlight=False, markup=False, soft_wrap=True)
