"""`riskflow schedule`: what fires next, what fired last and what became of it, and what was missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
from rich import box
from rich.console import Console
from rich.table import Table

from ops.context import database
from producers.scheduler import Clock, database_clock
from producers.schedules import Schedule, schedules
from schemas.settings import Settings

SILENT = timedelta(minutes=3)
"""A scheduler looks every minute; after this long without a look none runs (expert assumption)."""
SHOWN_MISSES = 10

_KNOWN = """
    SELECT name, job_type, enabled, expression, timezone, checked_until FROM riskflow.schedules ORDER BY name
"""
_LAST = """
    SELECT DISTINCT ON (r.name) r.name, r.due_at, r.job_id, j.status
    FROM riskflow.schedule_runs r LEFT JOIN batch_job_logs j USING (job_id)
    WHERE NOT r.missed ORDER BY r.name, r.due_at DESC
"""
_MISSED = """
    SELECT name, due_at, job_id FROM riskflow.schedule_runs
    WHERE missed AND due_at > $1::timestamptz - interval '1 year' ORDER BY due_at DESC, name
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """The schedules at one moment.

    Attributes:
        moment: Of the database's clock.
        shown: Those that the producers have told, or those of the settings where none has run yet.
        last: The latest due time of each that fired, by name: due_at, job_id, status.
        missed: Due times within a year that nothing made up for, newest first: name, due_at, job_id.
        checked: Up to when each schedule is decided; empty where no scheduler has run.
    """

    moment: datetime
    shown: Sequence[Schedule]
    last: Mapping[str, asyncpg.Record]
    missed: Sequence[asyncpg.Record]
    checked: Sequence[datetime]


async def read_plan(
    connection: asyncpg.Connection, settings: Settings, clock: Clock = database_clock
) -> Plan:
    """The schedules that run on this database."""
    moment = await clock(connection)
    known = await connection.fetch(_KNOWN)
    return Plan(
        moment,
        [_schedule(row) for row in known] or schedules(settings),
        {row["name"]: row for row in await connection.fetch(_LAST)},
        await connection.fetch(_MISSED, moment),
        [row["checked_until"] for row in known],
    )


async def show_schedules(settings: Settings, console: Console, clock: Clock = database_clock) -> None:
    """Print the schedules that run on the database of the settings.

    Where no scheduler has run yet, those of the settings are shown.
    """
    async with database(settings, "schedule") as connection:
        plan = await read_plan(connection, settings, clock)
    console.print(_table(plan.shown, plan.last, plan.missed, plan.moment))
    for run in plan.last.values():
        _say(console, f"fired last: riskflow jobs show {run['job_id']}")
    _print_misses(console, plan.shown, plan.missed)
    _say(console, scheduler_state(plan.checked, plan.moment))


def _schedule(row: asyncpg.Record) -> Schedule:
    fields = ("name", "job_type", "enabled", "expression", "timezone")
    return Schedule(**{field: row[field] for field in fields})


def _table(
    shown: Sequence[Schedule],
    last: Mapping[str, asyncpg.Record],
    missed: Sequence[asyncpg.Record],
    moment: datetime,
) -> Table:
    table = Table(header_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in ("schedule", "fires next", "fired last"):
        table.add_column(heading, no_wrap=True)
    table.add_column("its job is")
    table.add_column("missed", justify="right")
    for schedule in shown:
        run = last.get(schedule.name)
        table.add_row(
            schedule.name,
            _next(schedule, moment),
            "" if run is None else _both(schedule, run["due_at"]),
            "" if run is None else (run["status"] or "not accepted yet").replace("_", " "),
            str(sum(row["name"] == schedule.name for row in missed)),
        )
    return table


def _next(schedule: Schedule, moment: datetime) -> str:
    if not schedule.enabled:
        return "disabled"
    due = schedule.next_due(moment)
    return "never" if due is None else f"{due:%a} {_both(schedule, due)}"


def _both(schedule: Schedule, moment: datetime) -> str:
    local = schedule.on_the_clock(moment)
    return f"{local:%Y-%m-%d %H:%M %Z}\n{moment.astimezone(UTC):%Y-%m-%d %H:%MZ}"


def _print_misses(console: Console, shown: Sequence[Schedule], missed: Sequence[asyncpg.Record]) -> None:
    own = {schedule.name: schedule for schedule in shown}
    for row in missed[:SHOWN_MISSES]:
        due = own[row["name"]].on_the_clock(row["due_at"]) if row["name"] in own else row["due_at"]
        _say(console, f"missed {due:%Y-%m-%d %H:%M %Z}: riskflow jobs show {row['job_id']}")
    if len(missed) > SHOWN_MISSES:
        _say(console, f"missed before that, within a year: {len(missed) - SHOWN_MISSES}")


def scheduler_runs(checked: Sequence[datetime], moment: datetime) -> bool:
    """Whether a scheduler has looked of late; `checked` is until when each schedule is decided."""
    return bool(checked) and abs(max(checked) - moment) <= SILENT


def scheduler_state(checked: Sequence[datetime], moment: datetime) -> str:
    """How the scheduler is, in a sentence; as `scheduler_runs`."""
    if not checked:
        return (
            "No scheduler has run on this database yet; these are the settings here. `riskflow up` and "
            "`riskflow producers` run it, and what was due before its first start is left out."
        )
    if max(checked) > moment + SILENT:
        return (
            f"Decided up to {max(checked):%Y-%m-%d %H:%MZ}, which is in the future: a clock was wrong, and "
            "nothing fires before that (docs/operations.md)."
        )
    if max(checked) < moment - SILENT:
        return (
            f"No scheduler has run since {max(checked):%Y-%m-%d %H:%MZ}; "
            "start `riskflow up` or `riskflow producers`."
        )
    return f"A scheduler looked {(moment - max(checked)).total_seconds():.0f} s ago."


def _say(console: Console, sentence: str) -> None:
    console.print(sentence, highlight=False, markup=False, soft_wrap=True)
