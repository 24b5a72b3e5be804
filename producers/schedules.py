"""The schedules of the settings, and the moments at which they are due."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim

from schemas.messages import BY_SCHEDULE, JobType, Trigger
from schemas.settings import Settings


@dataclass(frozen=True, slots=True)
class Schedule:
    """A job type and the cron expression of its due times on the clocks of a time zone.

    A local time that the change to summer time skips is due when the clocks have jumped; one that
    comes twice in autumn is due the first time.
    """

    name: str
    job_type: JobType
    enabled: bool
    expression: str
    timezone: str

    def due_times(self, since: datetime, until: datetime) -> list[datetime]:
        """Due times after `since`, up to and with `until`, ascending, in the schedule's time zone."""
        last = until.astimezone(UTC)
        return list(takewhile(lambda due: due.astimezone(UTC) <= last, self._after(since)))

    def next_due(self, moment: datetime) -> datetime | None:
        """The first due time after `moment`, in the schedule's time zone; None without one in 50 years."""
        return next(self._after(moment), None)

    def on_the_clock(self, moment: datetime) -> datetime:
        """A moment in the schedule's time zone."""
        return moment.astimezone(ZoneInfo(self.timezone))

    def trigger(self, due: datetime) -> Trigger:
        """What is asked for at a due time, with an id that names it: the same whoever asks, and when."""
        return Trigger(
            job_type=self.job_type,
            job_id=f"schedule-{self.name}-{due.astimezone(UTC):%Y-%m-%dT%H:%MZ}",
            report_date=self._report_date(due),
            requested_by=BY_SCHEDULE,
        )

    def _after(self, moment: datetime) -> Iterator[datetime]:
        start = moment.astimezone(UTC)
        # The library walks the wall clock: within an hour that comes twice it finds again what was due in
        # the first of the two.
        walked = CronSim(self.expression, self.on_the_clock(start))
        return (due for due in walked if due.astimezone(UTC) > start)

    def _report_date(self, due: datetime) -> date | None:
        # What the acceptor takes for a trigger without a date, but of the day it was due: fired late it
        # still reports the week that was due.
        if self.job_type != "weekly":
            return None
        day = self.on_the_clock(due).date()
        return day - timedelta(days=day.weekday())


def schedules(settings: Settings) -> list[Schedule]:
    """The schedules of these settings, by name."""
    weekday = settings.weekly_schedule_weekday[:3].upper()
    at = f"{settings.weekly_schedule_minute} {settings.weekly_schedule_hour}"
    zone = settings.schedule_timezone
    return [
        Schedule("hazard", "hazard", settings.hazard_schedule_enabled, _yearly(settings, "hazard"), zone),
        Schedule(
            "probability",
            "probability",
            settings.probability_schedule_enabled,
            _yearly(settings, "probability"),
            zone,
        ),
        Schedule("weekly", "weekly", settings.weekly_schedule_enabled, f"{at} * * {weekday}", zone),
    ]


def _yearly(settings: Settings, name: str) -> str:
    fields = (getattr(settings, f"{name}_schedule_{part}") for part in ("minute", "hour", "day", "month"))
    return " ".join(map(str, fields)) + " *"
