"""What the command line prints as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.jobs import Failure, Job, RiskCounts, TenantState
from ops.standing import Standing

REPLACED = "\N{REPLACEMENT CHARACTER}"
MINUTE = 60
HOUR = 3600
LONGEST_ASKED = 60
"""Characters of what was asked for in the list: a refused job has the text of whoever asked."""
LONGEST_FACT = 2000


def print_jobs(console: Console, jobs: list[Job], standing: Mapping[str, Standing] | None = None) -> None:
    """The latest jobs, newest first; `standing` by job_id of those that have not ended."""
    if not jobs:
        console.print("no jobs yet; start one with: riskflow trigger climate --wait")
        return
    table = Table(header_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("job", overflow="fold")
    table.add_column("asked for")
    table.add_column("status")
    table.add_column("done", justify="right")
    for heading in ("failed", "s"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("started")
    for job in jobs:
        asked = (job.job_type, job.scenario, job.window, _day(job.report_date))
        table.add_row(
            plain(job.job_id),
            plain(" ".join(filter(None, asked)), LONGEST_ASKED),
            _status(job, (standing or {}).get(job.job_id)),
            _done(job),
            str(job.failed_grids or 0),
            "" if job.seconds is None else f"{job.seconds:.1f}",
            moment(job.started_at),
        )
    console.print(table)


def print_job(console: Console, job: Job, standing: Standing | None = None, superseded: int = 0) -> None:
    """One job: what was asked and how far it is, or why it was refused."""
    facts = {
        "job": job.job_id,
        "type": job.job_type,
        "asked for by": job.requested_by,
        "scenario": job.scenario,
        "window": job.window,
        "report date": _day(job.report_date),
        "status": job.status,
        **({} if job.is_refused else _progress(job, standing)),
        "superseded": superseded and f"{superseded} {_counted(job)} hold rows of a newer job",
        "started": moment(job.started_at),
        "completed": moment(job.completed_at),
        "cancelled by": job.cancelled_by if job.status == "cancelled" else None,
        "resumed": job.resumed_at and f"{moment(job.resumed_at)} by {job.resumed_by}",
        "refused" if job.is_refused else "first error": job.error_message,
    }
    for name, value in facts.items():
        if value not in (None, "", 0):
            console.print(Text(f"{name:>14}  ") + plain(str(value), LONGEST_FACT), highlight=False)


def print_risks(console: Console, counts: Sequence[RiskCounts]) -> None:
    """What each risk of a climate job reported; nothing where there is none."""
    if not counts:
        return
    table = Table(header_style="bold")
    table.add_column("risk")
    for heading in ("reported", "without a number", "failed"):
        table.add_column(heading, justify="right")
    for risk in counts:
        table.add_row(risk.risk_type, str(risk.reported), str(risk.without_number), str(risk.failed))
    console.print(table)


def print_failures(console: Console, failures: Sequence[Failure]) -> None:
    """Why parts of a job failed; nothing where none did."""
    if not failures:
        return
    table = Table(header_style="bold")
    table.add_column("failed", no_wrap=True)
    for heading in ("chunks", "cells"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    for each in failures:
        table.add_row(each.kind, str(each.chunks), str(each.cells), plain(each.error or "", LONGEST_FACT))
    console.print(table)


def print_tenants(console: Console, tenants: Sequence[TenantState]) -> None:
    """How far each tenant of a weekly job is; nothing where there is none."""
    if not tenants:
        return
    table = Table(header_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("tenant", overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("students", justify="right", no_wrap=True)
    table.add_column("parts", justify="right", no_wrap=True)
    table.add_column("delivery")
    table.add_column("error", overflow="fold")
    for tenant in tenants:
        table.add_row(
            plain(tenant.org_id),
            tenant.state.replace("_", " "),
            str(tenant.students),
            f"{tenant.parts_done}/{tenant.parts}",
            "\n".join(tenant.deliveries).replace("_", " "),
            plain(tenant.error or ""),
        )
    console.print(table)


def plain(text: str, longest: int | None = None) -> Text:
    """Text of other systems as it can be shown: no markup, no control characters, at most so long."""
    if longest is not None and len(text) > longest:
        text = text[: longest - 3] + "..."
    return Text(
        "".join(each if each.isprintable() or each == "\n" else "\N{REPLACEMENT CHARACTER}" for each in text)
    )


def _counted(job: Job) -> str:
    return "tenants" if job.is_weekly else "cells"


def _done(job: Job) -> str:
    counts = f"{job.processed_grids or 0}/{job.total_grids or 0} {_counted(job)}"
    return counts if job.ended or job.percent is None else f"{counts}\n{job.percent} %"


def _status(job: Job, standing: Standing | None) -> Text:
    status = Text(job.status.replace("_", " "))
    if standing is None:
        return status
    if standing.stalled_since is not None:
        return status.append("\nstalled", style="bold red").append(f" since {moment(standing.stalled_since)}")
    if standing.ahead:
        return status.append(f"\n{standing.ahead} ahead")
    return (
        status
        if standing.seconds_left is None
        else status.append(f"\n{_duration(standing.seconds_left)} left")
    )


def _progress(job: Job, standing: Standing | None) -> dict[str, str | None]:
    done = f"{job.processed_grids or 0} of {job.total_grids or 0}, {job.failed_grids or 0} failed"
    return {
        _counted(job): done,
        "progress": None if job.ended or job.percent is None else f"{job.percent} %",
        "success rate": None if job.success_rate is None else f"{job.success_rate:.2f} %",
        "parts" if job.is_weekly else "chunks": f"{job.chunks_done} of {job.chunks_total}",
        **(_outlook(standing) if standing else {}),
    }


def _outlook(standing: Standing) -> dict[str, str | None]:
    jobs = "job is" if standing.ahead == 1 else "jobs are"
    since = standing.stalled_since
    return {
        "queue": f"{standing.ahead} {jobs} computed before it" if standing.ahead else None,
        "time left": None if standing.seconds_left is None else _duration(standing.seconds_left),
        "stalled": None if since is None else f"nothing has come of it since {moment(since)}",
    }


def _duration(seconds: float) -> str:
    """Of an estimate, so in few digits."""
    if seconds < MINUTE:
        return "under 1 min"
    if seconds < 2 * HOUR:
        return f"about {seconds / MINUTE:.0f} min"
    return f"about {seconds / HOUR:.0f} h"


def _day(day: date | None) -> str:
    return "" if day is None else day.isoformat()


def moment(at: datetime | None) -> str:
    """A time in UTC, empty where there is none."""
    return "" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
