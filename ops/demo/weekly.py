"""The demo's second act: some weeks of three invented schools, and the report of the latest Monday."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import asyncpg
from rich.console import Console

from ops import jobs
from ops import trigger as triggers
from ops.demo.mailroom import INSTALL, Mailroom
from ops.demo.school_table import print_caught, print_pages, print_schools, school_rows
from ops.demo.schools import STUDENTS, demo_schools, draw_schools, without_channels, write_tenants
from ops.demo.stopwatch import JOB_SECONDS, Stopwatch, ended_job, print_ended
from schemas.messages import Trigger, now
from schemas.settings import Settings
from schemas.tenants import ESTIMATE_DAYS, WEEK_DAYS, Tenant

REPORTS = 8
"""Reports made, one a week; the page's trend shows as many."""
WEEKS = REPORTS - 1 + ESTIMATE_DAYS // WEEK_DAYS
"""Weeks drawn, so that the first report too finds all that it looks back on."""
TENANTS, THRESHOLDS = "tenants.yaml", "thresholds.yaml"


def demo_settings(settings: Settings, mailroom: Mailroom, folder: Path) -> Settings:
    """The settings under which services report on the demo's schools alone, into `folder`."""
    return settings.model_copy(
        update={
            "reports_dir": folder,
            "tenants_file": folder / TENANTS,
            "thresholds_file": folder / THRESHOLDS,
            # On a Monday morning the schedule would put a job of its own between the demo's.
            **{f"{name}_schedule_enabled": False for name in ("probability", "hazard", "weekly")},
            **mailroom.settings,
        }
    )


def latest_monday(settings: Settings) -> date:
    """Not after today in the time zone of the schedules."""
    today = now().astimezone(ZoneInfo(settings.schedule_timezone)).date()
    return today - timedelta(days=today.weekday())


async def second_act(
    connection: asyncpg.Connection, settings: Settings, console: Console, clock: Stopwatch, mailroom: Mailroom
) -> bool:
    """Draw the schools, report on eight Mondays, deliver the last, print what came out.

    Args:
        connection: To the database of the services, which run under `settings`.
        settings: As `demo_settings` gives them, with the addresses of broker and database.
        console: Where it prints.
        clock: Notes the parts.
        mailroom: Started; receives what is delivered.

    Returns:
        Whether every job completed.
    """
    monday = latest_monday(settings)
    console.print(
        "\nSecond act: the weekly report of three invented schools. THE STUDENTS ARE DRAWN, nobody is real.",
        highlight=False,
    )
    if mailroom.mail is None:
        console.print(f"NO MAIL: the package aiosmtpd is not installed; {INSTALL}", highlight=False)
    schools = [mailroom.reachable(school) for school in demo_schools()]
    with clock.part(console, "drawing students"):
        await _draw(connection, console, schools, monday)
    write_settings(settings, [without_channels(school) for school in schools])
    with clock.part(console, f"{REPORTS - 1} weekly jobs for the Mondays before"):
        completed = await _weeks_before(connection, settings, monday)
    console.print(
        f"  completed: {completed} of {REPORTS - 1}, for the trend; nothing is sent for them", highlight=False
    )
    write_settings(settings, schools)
    with clock.part(console, f"weekly job for Monday {monday}"):
        job = await ended_job(settings, console, _trigger(monday))
    delivered = print_ended(console, job)
    await _print_reports(connection, settings, console, monday, mailroom)
    return delivered and completed == REPORTS - 1


def write_settings(settings: Settings, schools: Sequence[Tenant]) -> None:
    """Write the files that TENANTS_FILE and THRESHOLDS_FILE name; the next weekly job reads them."""
    settings.reports_dir.mkdir(parents=True, exist_ok=True)
    write_tenants(settings.reports_dir / TENANTS, schools)
    (settings.reports_dir / THRESHOLDS).write_text("# The demo keeps every default.\n", encoding="utf-8")


async def _draw(
    connection: asyncpg.Connection, console: Console, schools: Sequence[Tenant], monday: date
) -> None:
    rows = await draw_schools(connection, schools, monday, WEEKS)
    for school in schools:
        console.print(
            f"  {school.org_id}: {STUDENTS[school.org_id]} students, {rows[school.org_id]:,} rows of "
            f"{WEEKS} weeks",
            highlight=False,
        )


async def _weeks_before(connection: asyncpg.Connection, settings: Settings, monday: date) -> int:
    """Report on the earlier Mondays, all on their way at once; returns how many jobs completed.

    What concerns a school moves in the order of the triggers, so that every page finds the weeks before.
    """
    mondays = [monday - timedelta(days=WEEK_DAYS * weeks) for weeks in range(REPORTS - 1, 0, -1)]
    ids = [await triggers.send(settings, _trigger(day)) for day in mondays]
    ended = [await jobs.wait(connection, job_id, limit=JOB_SECONDS) for job_id in ids]
    return sum(job is not None and job.status == "completed" for job in ended)


async def _print_reports(
    connection: asyncpg.Connection, settings: Settings, console: Console, monday: date, mailroom: Mailroom
) -> None:
    ids = list(STUDENTS)
    rows = await school_rows(connection, monday, ids)
    print_schools(console, rows, f"Three invented schools, drawn students, {monday}")
    if mailroom.mail is not None:
        print_caught(console, "Mails as a mail server of the demo received them", mailroom.caught_mails())
    print_caught(console, "Slack messages as a receiver of the demo took them", mailroom.caught_posts())
    print_pages(console, settings.reports_dir, monday, ids)


def _trigger(monday: date) -> Trigger:
    return triggers.trigger_of(jobs.WEEKLY, report_date=monday.isoformat(), requested_by="demo")
