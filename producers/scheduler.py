"""The scheduler: what is due becomes a trigger in the outbox, what was due too long ago a recorded miss."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import structlog

from producers.outbox import put
from producers.schedules import Schedule, schedules
from schemas.codec import decode, encode
from schemas.database import session
from schemas.errors import InvalidMessage
from schemas.faults import is_passing
from schemas.messages import JobEvent, Trigger
from schemas.metrics import ERRORS
from schemas.pauses import pause
from schemas.pulse import Pulse
from schemas.settings import Settings
from schemas.start import asked_of
from schemas.topics import JOB_EVENTS, TRIGGERS

Clock = Callable[[asyncpg.Connection], Awaitable[datetime]]

SOURCE = "scheduler"
LONGEST_SECONDS = 60.0
"""Longest time without a look, so that a clock that is set is noticed (expert assumption)."""
SHORTEST_SECONDS = 0.05
RETRY_SECONDS = 5.0
"""Pause after a lost database (expert assumption)."""
PUNCTUAL = timedelta(minutes=5)
"""Up to here a due time is not late, whatever the grace: a restart takes a while (expert assumption)."""
HOUR = timedelta(hours=1)
AHEAD = HOUR
"""How far before `checked_until` the clock may be before that is told as a fault (expert assumption)."""

log = structlog.get_logger(__name__)

_ADOPT = """
    INSERT INTO riskflow.schedules (name, job_type, enabled, expression, timezone, checked_until)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO NOTHING
"""
_LOCK = """
    SELECT name, enabled, checked_until FROM riskflow.schedules
    WHERE name = ANY ($1::text[]) ORDER BY name FOR NO KEY UPDATE
"""
# Never back: what was decided under a clock that was ahead stays decided.
_MOVE = """
    UPDATE riskflow.schedules
    SET job_type = $2, enabled = $3, expression = $4, timezone = $5,
        checked_until = greatest(checked_until, $6)
    WHERE name = $1
"""
_DECIDE = """
    INSERT INTO riskflow.schedule_runs (name, due_at, job_id, missed) VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING RETURNING true
"""
_TAKE_BACK = """
    UPDATE riskflow.schedule_runs SET job_id = $3, missed = true WHERE (name, due_at) = ($1, $2)
"""
_ASKED = "SELECT value FROM outbox WHERE job_id = $1"
_MISS = """
    INSERT INTO batch_job_logs (
        job_id, job_type, status, completed_at, requested_by, trigger, report_date, error_message,
        total_grids, processed_grids, failed_grids)
    VALUES ($1, $2, 'failed', now(), $3, $4::jsonb, $5, $6, 0, 0, 0)
    ON CONFLICT (job_id) DO NOTHING RETURNING id
"""


async def database_clock(connection: asyncpg.Connection) -> datetime:
    """Present moment on the database's clock, the one that all schedulers share."""
    moment: datetime = await connection.fetchval("SELECT clock_timestamp()")
    return moment


@dataclass(frozen=True, slots=True)
class Due:
    """A due time that nobody has decided on."""

    at: datetime
    schedule: Schedule
    checked_until: datetime

    @property
    def trigger(self) -> Trigger:
        """What it asks for."""
        return self.schedule.trigger(self.at)


class Scheduler:
    """Any number may run: the rows of riskflow.schedules are locked while their due times are decided."""

    def __init__(self, settings: Settings, clock: Clock = database_clock, pulse: Pulse | None = None) -> None:
        self._settings = settings
        self._dsn = settings.dsn
        self._schedules = schedules(settings)
        self._grace = max(settings.schedule_grace_hours * HOUR, PUNCTUAL)
        self._clock = clock
        self._loop = (pulse or Pulse()).loop("scheduler", late=None)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`; an absent database is waited for."""
        while not stop.is_set():
            try:
                async with session(self._dsn, application="scheduler") as connection:
                    while not stop.is_set():
                        seconds = await self.look(connection)
                        self._loop.ready()
                        await pause(stop, seconds)
            except Exception as error:
                if not is_passing(error):
                    raise
                log.warning("scheduler starts again", error=f"{type(error).__name__}: {error}")
                ERRORS.labels("scheduler").inc()
                self._loop.waiting(asked_of(self._settings, error))
                await pause(stop, RETRY_SECONDS)

    async def look(self, connection: asyncpg.Connection) -> float:
        """Decide on every due time up to now, in one transaction.

        Returns:
            Seconds after which to look again.
        """
        async with connection.transaction():
            await self._adopt(connection)
            names = [schedule.name for schedule in self._schedules]
            rows = {row["name"]: row for row in await connection.fetch(_LOCK, names)}
            # Read under the lock: another scheduler may have moved on while this one waited for it.
            moment = await self._clock(connection)
            for due in self._due(rows, moment):
                await self._decide(connection, due, moment)
            await connection.executemany(_MOVE, [_row(schedule, moment) for schedule in self._schedules])
        return self._seconds_to_next(moment)

    async def _adopt(self, connection: asyncpg.Connection) -> None:
        moment = await self._clock(connection)
        await connection.executemany(_ADOPT, [_row(schedule, moment) for schedule in self._schedules])

    def _due(self, rows: dict[str, asyncpg.Record], moment: datetime) -> list[Due]:
        found = []
        for schedule in self._schedules:
            row = rows[schedule.name]
            since = row["checked_until"]
            if since > moment + AHEAD:
                log.error(
                    "the clock is behind what was decided; nothing fires until then (docs/operations.md)",
                    schedule=schedule.name,
                    checked_until=since.isoformat(),
                    clock=moment.isoformat(),
                )
            # One that was disabled until now starts from now.
            if schedule.enabled and row["enabled"]:
                found += [Due(at, schedule, since) for at in schedule.due_times(since, moment)]
        return sorted(found, key=lambda due: (due.at.astimezone(UTC), due.schedule.name))

    async def _decide(self, connection: asyncpg.Connection, due: Due, moment: datetime) -> None:
        trigger, missed = due.trigger, moment - due.at > self._grace
        if not await connection.fetchval(_DECIDE, due.schedule.name, due.at, trigger.job_id, missed):
            return
        if missed:
            await _miss(connection, due.schedule, trigger, self._reason(due, moment))
            return
        if not await put(connection, encode(TRIGGERS, trigger, source=SOURCE), trigger.job_id):
            await self._asked_before(connection, due)
            return
        late = round((moment - due.at).total_seconds(), 3)
        log.info("schedule fired", schedule=due.schedule.name, job_id=trigger.job_id, seconds_late=late)

    @staticmethod
    async def _asked_before(connection: asyncpg.Connection, due: Due) -> None:
        """The id is in the outbox already: well, if for what is due; else a miss under another id."""
        trigger, name = due.trigger, due.schedule.name
        if _is_same(trigger, await connection.fetchval(_ASKED, trigger.job_id)):
            log.info("schedule was asked for before", schedule=name, job_id=trigger.job_id)
            return
        taken = trigger.model_copy(update={"job_id": f"{trigger.job_id}-taken"})
        await connection.execute(_TAKE_BACK, name, due.at, taken.job_id)
        log.error(
            "the job_id of a schedule was taken by another request", schedule=name, job_id=trigger.job_id
        )
        await _miss(connection, due.schedule, taken, _reason_taken(due))

    def _reason(self, due: Due, moment: datetime) -> str:
        return (
            f"missed: {due.schedule.name} was due {due.at:%Y-%m-%d %H:%M %Z} ({_utc(due.at)}) and was not "
            f"fired: no scheduler ran from {_utc(due.checked_until)} to {_utc(moment)}, and the grace is "
            f"{round(self._grace / HOUR, 2):g} hours (SCHEDULE_GRACE_HOURS); "
            f"do it now: {_command(due.trigger)}"
        )

    def _seconds_to_next(self, moment: datetime) -> float:
        coming = [schedule.next_due(moment) for schedule in self._schedules if schedule.enabled]
        waits = [(due - moment).total_seconds() for due in coming if due is not None]
        return max(SHORTEST_SECONDS, min([LONGEST_SECONDS, *waits]))


async def _miss(connection: asyncpg.Connection, schedule: Schedule, trigger: Trigger, reason: str) -> None:
    asked = trigger.model_dump_json(exclude_none=True)
    about = (trigger.job_id, trigger.job_type, trigger.requested_by, asked, trigger.report_date)
    if await connection.fetchval(_MISS, *about, reason) is not None:
        told = {"job_id": trigger.job_id, "job_type": trigger.job_type, "message": reason}
        event = JobEvent.model_validate(told | {"state": "refused"})
        await put(connection, encode(JOB_EVENTS, event, source=SOURCE))
    log.warning("schedule missed", schedule=schedule.name, job_id=trigger.job_id, reason=reason)


def _is_same(trigger: Trigger, value: bytes | None) -> bool:
    """Whether a stored request asks for what the trigger asks for, whoever asked."""
    try:
        asked = decode(Trigger, value)
    except InvalidMessage:
        return False
    return asked.model_copy(update={"requested_by": trigger.requested_by}) == trigger


def _reason_taken(due: Due) -> str:
    return (
        f"missed: {due.schedule.name} was due {due.at:%Y-%m-%d %H:%M %Z} ({_utc(due.at)}) and was not "
        f"fired: another request had taken its job_id {due.trigger.job_id} before; "
        f"do it now: {_command(due.trigger)}"
    )


def _row(schedule: Schedule, moment: datetime) -> tuple[object, ...]:
    return (
        schedule.name,
        schedule.job_type,
        schedule.enabled,
        schedule.expression,
        schedule.timezone,
        moment,
    )


def _command(trigger: Trigger) -> str:
    day = f" --date {trigger.report_date}" if trigger.report_date else ""
    return f"riskflow trigger {trigger.job_type}{day}"


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%MZ}"
