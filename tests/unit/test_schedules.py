"""When the schedules are due: on the clocks of their zone, once whatever these clocks do."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from producers.schedules import Schedule, schedules
from schemas.settings import Settings

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def weekly(expression: str, zone: str) -> Schedule:
    return Schedule("weekly", "weekly", enabled=True, expression=expression, timezone=zone)


def by_name(**changes) -> dict[str, Schedule]:
    return {each.name: each for each in schedules(Settings(_env_file=None, **changes))}


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def spoken(times: list[datetime]) -> list[str]:
    return [f"{each:%Y-%m-%d %H:%M %z}" for each in times]


def test_the_defaults_are_due_in_seoul():
    found = by_name()
    assert {name: each.expression for name, each in found.items()} == {
        "hazard": "0 4 1 1 *",
        "probability": "0 2 1 1 *",
        "weekly": "0 6 * * MON",
    }
    moment = utc("2026-11-22T12:00")
    due = {name: each.next_due(moment) for name, each in found.items()}
    assert spoken(due.values()) == [
        "2027-01-01 04:00 +0900",
        "2027-01-01 02:00 +0900",
        "2026-11-23 06:00 +0900",
    ]
    assert {name: each.trigger(due[name]).job_id for name, each in found.items()} == {
        "hazard": "schedule-hazard-2026-12-31T19:00Z",
        "probability": "schedule-probability-2026-12-31T17:00Z",
        "weekly": "schedule-weekly-2026-11-22T21:00Z",
    }


@pytest.mark.parametrize(
    ("weekday", "day"),
    [("monday", 23), ("tuesday", 24), ("wednesday", 25), ("saturday", 28), ("sunday", 29)],
)
def test_a_weekday_is_that_of_the_zone(weekday, day):
    schedule = by_name(weekly_schedule_weekday=weekday, weekly_schedule_minute=30)["weekly"]
    due = schedule.next_due(utc("2026-11-22T15:00"))
    assert spoken([due]) == [f"2026-11-{day} 06:30 +0900"]


@pytest.mark.parametrize(
    ("expression", "zone", "since", "until", "due"),
    [
        # No summer time.
        (
            "30 2 * * SUN",
            "Asia/Seoul",
            "2026-03-28",
            "2026-04-06",
            ["2026-03-29 02:30 +0900", "2026-04-05 02:30 +0900"],
        ),
        # 02:00 to 03:00 is skipped: due when the clocks have jumped.
        (
            "30 2 * * SUN",
            "Europe/Berlin",
            "2026-03-28",
            "2026-04-06",
            ["2026-03-29 03:00 +0200", "2026-04-05 02:30 +0200"],
        ),
        (
            "30 2 * * SUN",
            "America/New_York",
            "2026-03-07",
            "2026-03-16",
            ["2026-03-08 03:00 -0400", "2026-03-15 02:30 -0400"],
        ),
        ("30 2 * * SUN", "Australia/Sydney", "2026-10-03", "2026-10-05", ["2026-10-04 03:00 +1100"]),
        ("0 0 * * SUN", "America/Santiago", "2026-09-05", "2026-09-07", ["2026-09-06 01:00 -0300"]),
        # The hour comes twice: due the first time.
        (
            "30 2 * * SUN",
            "Europe/Berlin",
            "2026-10-24",
            "2026-11-02",
            ["2026-10-25 02:30 +0200", "2026-11-01 02:30 +0100"],
        ),
        ("30 1 * * SUN", "America/New_York", "2026-10-31", "2026-11-02", ["2026-11-01 01:30 -0400"]),
        ("30 2 * * SUN", "Australia/Sydney", "2026-04-04", "2026-04-06", ["2026-04-05 02:30 +1100"]),
        # A whole day that the zone left out.
        ("0 6 * * FRI", "Pacific/Apia", "2011-12-29", "2012-01-05", ["2011-12-31 00:00 +1400"]),
        ("0 2 29 2 *", "Europe/Berlin", "2026-01-01", "2033-01-01", None),
    ],
)
def test_a_time_that_is_skipped_or_comes_twice_is_due_once(expression, zone, since, until, due):
    found = spoken(weekly(expression, zone).due_times(utc(since), utc(until)))
    assert found == (due or ["2028-02-29 02:00 +0100", "2032-02-29 02:00 +0100"])


@pytest.mark.parametrize(
    "zone",
    [
        "Asia/Seoul",
        "Europe/Berlin",
        "America/New_York",
        "America/Santiago",
        "Australia/Sydney",
        "Australia/Lord_Howe",
    ],
)
@pytest.mark.parametrize("clock", ["0 0", "59 1", "30 2", "30 23"])
def test_looking_often_finds_what_looking_once_finds(zone, clock):
    schedule = weekly(f"{clock} * * *", zone)
    for first in map(
        utc,
        ("2026-03-07", "2026-03-28", "2026-04-04", "2026-09-05", "2026-10-03", "2026-10-24", "2026-10-31"),
    ):
        until = first + 3 * DAY
        looks = [first + step * 17 * MINUTE for step in range(3 * 24 * 60 // 17 + 1)] + [until]
        found = [each for since, to in pairwise(looks) for each in schedule.due_times(since, to)]
        assert spoken(found) == spoken(schedule.due_times(first, until))
        assert sorted({each.astimezone(UTC) for each in found}) == [each.astimezone(UTC) for each in found]
        days = [each.date() for each in found]
        assert len(days) >= 2
        assert days == [days[0] + number * DAY for number in range(len(days))]


def test_a_due_time_belongs_to_the_look_that_ends_with_it():
    schedule = by_name()["weekly"]
    due = utc("2026-11-22T21:00")
    assert schedule.due_times(due - MINUTE, due) == [due]
    assert schedule.due_times(due, due + MINUTE) == []
    assert schedule.due_times(due - timedelta(microseconds=1), due) == [due]
    assert schedule.due_times(due, due - MINUTE) == []


def test_the_weekly_trigger_names_the_monday_of_its_due_time():
    schedule = weekly("0 6 * * WED", "Asia/Seoul")
    due = schedule.next_due(utc("2026-11-22T12:00"))
    asked = schedule.trigger(due)
    assert (asked.job_type, asked.report_date) == ("weekly", date(2026, 11, 23))
    assert (asked.job_id, asked.requested_by) == ("schedule-weekly-2026-11-24T21:00Z", "schedule")
    # Monday in Seoul, Sunday in UTC.
    assert schedule.trigger(utc("2026-11-22T21:00")).report_date == date(2026, 11, 23)
    assert by_name()["hazard"].trigger(due).report_date is None
