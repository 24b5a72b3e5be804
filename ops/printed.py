"""What the command line prints as tables."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.jobs import Job, RiskCounts, TenantState


def print_jobs(console: Console, jobs: list[Job]) -> None:
    """The latest jobs, newest first."""
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
        table.add_row(
            job.job_id,
            " ".join(filter(None, (job.job_type, job.scenario, job.window, _day(job.report_date)))),
            job.status.replace("_", " "),
            f"{job.processed_grids or 0}/{job.total_grids or 0} {_counted(job)}",
            str(job.failed_grids or 0),
            "" if job.seconds is None else f"{job.seconds:.1f}",
            _moment(job.started_at),
        )
    console.print(table)


def print_job(console: Console, job: Job) -> None:
    """One job: what was asked and how far it is, or why it was refused."""
    facts = {
        "job": job.job_id,
        "type": job.job_type,
        "asked for by": job.requested_by,
        "scenario": job.scenario,
        "window": job.window,
        "report date": _day(job.report_date),
        "status": job.status,
        **({} if job.is_refused else _progress(job)),
        "started": _moment(job.started_at),
        "completed": _moment(job.completed_at),
        "refused" if job.is_refused else "first error": job.error_message,
    }
    for name, value in facts.items():
        if value not in (None, ""):
            console.print(f"{name:>14}  {value}", highlight=False, markup=False)


def print_risks(console: Console, counts: list[RiskCounts]) -> None:
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


def print_tenants(console: Console, tenants: list[TenantState]) -> None:
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
            tenant.org_id,
            tenant.state.replace("_", " "),
            str(tenant.students),
            f"{tenant.parts_done}/{tenant.parts}",
            "\n".join(tenant.deliveries).replace("_", " "),
            Text(tenant.error or ""),
        )
    console.print(table)


def print_explanation(console: Console, found: dict[str, Any]) -> None:
    """What is behind one cell's number, for reading."""
    window = found["window"]
    console.print(
        f"[bold]{found['risk_type']}[/bold] at {found['latitude']:.9g}, {found['longitude']:.9g}, "
        f"scenario {found['scenario']}, {window['start']}-{window['end']}",
        highlight=False,
    )
    console.print(f"intensity: {found['intensity_meaning']} \\[{found['unit']}]", highlight=False)
    _print_years(console, found)
    if found["basis"]:
        console.print(f"rests on: {found['basis']}", highlight=False)
    if found["reason"]:
        console.print(f"[bold]no number: {found['reason']}[/bold]", highlight=False)
        return
    parameters = ", ".join(f"{name} {_short(value)}" for name, value in found["parameters"].items())
    console.print(f"estimator: {found['estimator']}  {parameters}", highlight=False)
    _print_bins(console, found)
    band = ""
    if found["aal_p05"] is not None:
        band = f" (5-95 %: {found['aal_p05']:.6f} to {found['aal_p95']:.6f})"
    console.print(f"expected annual loss: {found['aal']:.8f} of the asset's value{band}", highlight=False)
    console.print(f"hazard score: {found['hazard_score']:.6f}, {found['hazard_level']}", highlight=False)


def _print_years(console: Console, found: dict[str, Any]) -> None:
    table = Table(show_header=False, box=None, padding=(0, 1))
    pairs = list(zip(found["years"], found["intensity"], strict=True))
    for start in range(0, len(pairs), 6):
        table.add_row(*[f"{year}: {_short(value)}" for year, value in pairs[start : start + 6]])
    console.print(table)


def _print_bins(console: Console, found: dict[str, Any]) -> None:
    edges = [None, *found["edges"], None]
    table = Table(header_style="bold")
    table.add_column("bin", justify="right")
    table.add_column(f"from \\[{found['edge_unit']}]", justify="right")
    table.add_column("below", justify="right")
    table.add_column("probability", justify="right")
    table.add_column("base damage rate", justify="right")
    for place, (chance, rate) in enumerate(
        zip(found["probability"], found["base_damage_rate"], strict=True), start=1
    ):
        lower, upper = edges[place - 1], edges[place]
        table.add_row(str(place), _bound(lower), _bound(upper), f"{chance:.6f}", f"{rate:g}")
    console.print(table)


def _counted(job: Job) -> str:
    return "tenants" if job.is_weekly else "cells"


def _progress(job: Job) -> dict[str, str | None]:
    rate = job.success_rate
    return {
        _counted(
            job
        ): f"{job.processed_grids or 0} of {job.total_grids or 0}, {job.failed_grids or 0} failed",
        "success rate": None if rate is None else f"{rate:.2f} %",
        "parts" if job.is_weekly else "chunks": f"{job.chunks_done} of {job.chunks_total}",
    }


def _day(day: date | None) -> str:
    return "" if day is None else day.isoformat()


def _moment(at: datetime | None) -> str:
    return "" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def _bound(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _short(value: Any) -> str:
    if value is None:
        return "missing"
    if isinstance(value, list):
        return "(" + ", ".join(_short(item) for item in value) + ")"
    return f"{value:.6g}"
