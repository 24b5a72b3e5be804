"""The scheduler: every due time fires once, whoever looks, or leaves a row that says why it did not."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import asyncpg
import orjson
import pytest
from flow_samples import job_row, running
from rich.console import Console
from waiting import until
from weekly_samples import attend, weekly

from consumers.acceptor import Acceptor, plan_weekly
from consumers.reader import Reader
from ops.schedule import show_schedules
from producers import scheduler as scheduler_module
from producers.bridge import Bridge
from producers.offsets import OffsetReader
from producers.publisher import Publisher
from producers.scheduler import Scheduler, database_clock
from schemas.errors import RefusedTrigger
from schemas.messages import Trigger
from schemas.settings import Settings

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MONDAY = datetime(2026, 11, 22, 21, tzinfo=UTC)
"""Monday, 23 November 2026, 06:00 in Seoul."""
NEW_YEAR = datetime(2026, 12, 31, 17, tzinfo=UTC)
"""1 January 2027, 02:00 in Seoul, when the probability job is due."""
WEEKLY_ONLY = {"probability_schedule_enabled": False, "hazard_schedule_enabled": False}


class HandClock:
    """A clock that stands until it is set."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    async def __call__(self, _connection: asyncpg.Connection) -> datetime:
        return self.at


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def looked(
    db: asyncpg.Connection, settings: Settings, *moments: datetime, **changes: object
) -> list[str]:
    """Ids of the triggers of the outbox after a new scheduler has looked at each moment."""
    for moment in moments:
        await Scheduler(settings.model_copy(update=changes), HandClock(moment)).look(db)
    return await fired(db)


async def fired(db: asyncpg.Connection) -> list[str]:
    rows = await db.fetch("SELECT job_id FROM outbox WHERE topic = 'risk.triggers.v1' ORDER BY id")
    return [row["job_id"] for row in rows]


async def misses(db: asyncpg.Connection) -> list[asyncpg.Record]:
    return await db.fetch("SELECT * FROM batch_job_logs ORDER BY job_id")


async def test_a_fresh_database_starts_from_now_and_fires_what_comes(
    db: asyncpg.Connection, flow_settings: Settings
) -> None:
    assert await looked(db, flow_settings, MONDAY + HOUR, MONDAY + DAY) == []
    assert await looked(db, flow_settings, MONDAY + 7 * DAY) == ["schedule-weekly-2026-11-29T21:00Z"]
    assert await misses(db) == []


async def test_the_trigger_is_as_a_request_would_leave_it(
    db: asyncpg.Connection, flow_settings: Settings
) -> None:
    await db.fetchval("SELECT riskflow.request('weekly', $1)", '{"job_id": "asked"}')
    await looked(db, flow_settings, MONDAY - HOUR, MONDAY + HOUR / 2)
    asked, row = await db.fetch("SELECT * FROM outbox ORDER BY id")
    assert (row["topic"], row["key"].decode()) == ("risk.triggers.v1", row["job_id"])
    assert orjson.loads(row["value"]) == {
        "job_type": "weekly",
        "job_id": "schedule-weekly-2026-11-22T21:00Z",
        "report_date": "2026-11-23",
        "requested_by": "schedule",
        "uncertainty": False,
    }
    assert row["header_names"] == asked["header_names"]
    headers = dict(zip(row["header_names"], map(bytes.decode, row["header_values"]), strict=True))
    assert (headers["job-id"], headers["ce_source"]) == (row["job_id"], "riskflow/scheduler")
    assert (row["published_at"], row["answered_at"]) == (None, None)


async def test_two_schedulers_over_a_due_time_fire_it_once(
    db: asyncpg.Connection, flow_settings: Settings, database_url: str
) -> None:
    settings = flow_settings.model_copy(update=WEEKLY_ONLY)
    clock = HandClock(MONDAY - HOUR)
    expected = []
    async with AsyncExitStack() as stack:
        connections = [await asyncpg.connect(database_url) for _ in range(3)]
        for each in connections:
            stack.push_async_callback(each.close)

        async def all_look() -> None:
            await asyncio.gather(*(Scheduler(settings, clock).look(each) for each in connections))

        # On a fresh database the three make its rows at once.
        await all_look()
        for week in range(50):
            due = MONDAY + week * 7 * DAY
            expected.append(f"schedule-weekly-{due:%Y-%m-%dT%H:%MZ}")
            clock.at = due
            await all_look()
            assert await fired(db) == expected
    assert await db.fetchval("SELECT count(*) FROM riskflow.schedule_runs WHERE NOT missed") == 50


async def test_two_running_schedulers_fire_on_time_once(
    db: asyncpg.Connection, flow_settings: Settings
) -> None:
    await looked(db, flow_settings, MONDAY - HOUR)
    early = await database_clock(db)
    saw_it_due: set[int] = set()

    async def clock(connection: asyncpg.Connection) -> datetime:
        moment = MONDAY - timedelta(seconds=0.7) + (await database_clock(connection) - early)
        if moment >= MONDAY:
            saw_it_due.add(connection.get_server_pid())
        return moment

    async def both_have_looked() -> bool:
        return len(saw_it_due) == 2

    # Both sleep until the due time; asleep for the longest time they would come too late for this wait.
    async with running(*(Scheduler(flow_settings, clock).run for _ in range(2))):
        await until(both_have_looked, "the looks at the due time")
    assert await fired(db) == ["schedule-weekly-2026-11-22T21:00Z"]


async def test_a_restart_within_the_grace_fires_late_once_for_the_week_that_was_due(
    db: asyncpg.Connection, flow_settings: Settings
) -> None:
    # Due on Monday, fired on Thursday.
    late = MONDAY + 71 * HOUR
    assert await looked(db, flow_settings, MONDAY - DAY, late, late, late + HOUR) == [
        "schedule-weekly-2026-11-22T21:00Z"
    ]
    value = orjson.loads(await db.fetchval("SELECT value FROM outbox"))
    assert value["report_date"] == "2026-11-23"
    assert await misses(db) == []


async def test_a_look_that_fails_leaves_the_due_time_to_the_next(
    db: asyncpg.Connection, flow_settings: Settings, database_url: str
) -> None:
    await looked(db, flow_settings, MONDAY - HOUR)
    victim = await asyncpg.connect(database_url)

    async def killing(connection: asyncpg.Connection) -> datetime:
        if connection.is_in_transaction() and await db.fetchval(
            "SELECT count(*) FROM pg_locks WHERE pid = $1 AND relation = 'riskflow.schedules'::regclass "
            "AND mode = 'RowShareLock'",
            connection.get_server_pid(),
        ):
            await db.execute("SELECT pg_terminate_backend($1)", connection.get_server_pid())
        return MONDAY

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await Scheduler(flow_settings, killing).look(victim)
    assert await db.fetchval("SELECT max(checked_until) FROM riskflow.schedules") == MONDAY - HOUR
    assert await looked(db, flow_settings, MONDAY) == ["schedule-weekly-2026-11-22T21:00Z"]


async def test_an_outage_beyond_the_grace_is_a_row_that_says_what_to_do(
    db: asyncpg.Connection, flow_settings: Settings
) -> None:
    assert await looked(db, flow_settings, MONDAY - DAY, MONDAY + 73 * HOUR) == []
    [job] = await misses(db)
    assert (job["job_id"], job["job_type"], job["status"]) == (
        "schedule-weekly-2026-11-22T21:00Z",
        "weekly",
        "failed",
    )
    assert (job["job_seq"], job["total_grids"], job["requested_by"]) == (0, 0, "schedule")
    assert (job["report_date"], job["completed_at"] is not None) == (date(2026, 11, 23), True)
    assert orjson.loads(job["trigger"])["report_date"] == "2026-11-23"
    assert job["error_message"] == (
        "missed: weekly was due 2026-11-23 06:00 KST (2026-11-22T21:00Z) and was not fired: "
        "no scheduler ran from 2026-11-21T21:00Z to 2026-11-25T22:00Z, and the grace is 72 hours "
        "(SCHEDULE_GRACE_HOURS); do it now: riskflow trigger weekly --date 2026-11-23"
    )
    [event] = await db.fetch("SELECT * FROM outbox")
    told = orjson.loads(event["value"])
    assert (event["topic"], event["job_id"]) == ("risk.job-events.v1", None)
    assert (told["job_id"], told["state"], told["message"]) == (
        job["job_id"],
        "refused",
        job["error_message"],
    )


async def test_an_id_that_another_request_took_is_a_recorded_miss_and_the_same_request_is_none(
    db: asyncpg.Connection, flow_settings: Settings
) -> None:
    await looked(db, flow_settings, NEW_YEAR - HOUR)
    probability, hazard = "schedule-probability-2026-12-31T17:00Z", "schedule-hazard-2026-12-31T19:00Z"
    await db.fetchval("SELECT riskflow.request('hazard', $1)", orjson.dumps({"job_id": probability}).decode())
    await db.fetchval("SELECT riskflow.request('hazard', $1)", orjson.dumps({"job_id": hazard}).decode())
    assert await looked(db, flow_settings, NEW_YEAR + 3 * HOUR) == [probability, hazard]
    runs = await db.fetch("SELECT job_id, missed FROM riskflow.schedule_runs ORDER BY due_at")
    assert [tuple(run) for run in runs] == [(f"{probability}-taken", True), (hazard, False)]
    [job] = await misses(db)
    assert (job["job_id"], job["job_type"], job["status"]) == (
        f"{probability}-taken",
        "probability",
        "failed",
    )
    assert job["error_message"] == (
        "missed: probability was due 2027-01-01 02:00 KST (2026-12-31T17:00Z) and was not fired: another "
        f"request had taken its job_id {probability} before; do it now: riskflow trigger probability"
    )
    [event] = await db.fetch("SELECT value FROM outbox WHERE topic = 'risk.job-events.v1'")
    assert orjson.loads(event["value"])["job_id"] == job["job_id"]
    await looked(db, flow_settings, NEW_YEAR + 4 * HOUR)
    assert len(await misses(db)) == 1


async def test_a_request_for_another_week_or_for_some_tenants_is_not_what_was_due(
    db: asyncpg.Connection, flow_settings: Settings
) -> None:
    await looked(db, flow_settings, MONDAY - HOUR)
    weeks = {
        MONDAY: {"report_date": "2026-11-16"},
        MONDAY + 7 * DAY: {"report_date": "2026-11-30", "tenants": ["a"]},
    }
    for due, other in weeks.items():
        asked = other | {"job_id": f"schedule-weekly-{due:%Y-%m-%dT%H:%MZ}"}
        await db.fetchval("SELECT riskflow.request('weekly', $1)", orjson.dumps(asked).decode())
        await looked(db, flow_settings, due)
    assert [job["job_id"] for job in await misses(db)] == [
        "schedule-weekly-2026-11-22T21:00Z-taken",
        "schedule-weekly-2026-11-29T21:00Z-taken",
    ]


async def test_a_long_outage_fires_what_is_within_the_grace_and_records_the_rest(
    db: asyncpg.Connection, flow_settings: Settings
) -> None:
    # Three Mondays and both yearly jobs; back on 2 January, when only the yearly ones are within 72 hours.
    back = NEW_YEAR + DAY
    assert await looked(db, flow_settings, datetime(2026, 12, 10, tzinfo=UTC), back, back) == [
        "schedule-probability-2026-12-31T17:00Z",
        "schedule-hazard-2026-12-31T19:00Z",
    ]
    assert [job["job_id"] for job in await misses(db)] == [
        "schedule-weekly-2026-12-13T21:00Z",
        "schedule-weekly-2026-12-20T21:00Z",
        "schedule-weekly-2026-12-27T21:00Z",
    ]


async def test_without_a_grace_what_is_seen_in_time_still_fires(
    db: asyncpg.Connection, flow_settings: Settings
) -> None:
    minute = HOUR / 60
    once = await looked(db, flow_settings, MONDAY - minute, MONDAY + minute, schedule_grace_hours=0)
    assert once == ["schedule-weekly-2026-11-22T21:00Z"]
    week = MONDAY + 7 * DAY
    assert await looked(db, flow_settings, week + HOUR, schedule_grace_hours=0) == once
    assert [job["job_id"] for job in await misses(db)] == ["schedule-weekly-2026-11-29T21:00Z"]


async def test_a_disabled_schedule_moves_on_and_enabling_it_fires_nothing_of_the_past(
    db: asyncpg.Connection, flow_settings: Settings
) -> None:
    off = {"weekly_schedule_enabled": False}
    assert await looked(db, flow_settings, MONDAY - HOUR, MONDAY + HOUR, **off) == []
    assert await looked(db, flow_settings, MONDAY + 2 * HOUR) == []
    # Down while it was due and still disabled: enabled again, it starts from now.
    assert await looked(db, flow_settings, MONDAY + 6 * DAY, **off) == []
    assert await looked(db, flow_settings, MONDAY + 7 * DAY + HOUR) == []
    assert await looked(db, flow_settings, MONDAY + 14 * DAY) == ["schedule-weekly-2026-12-06T21:00Z"]
    # And one that is disabled after it was due does not fire any more.
    assert len(await looked(db, flow_settings, MONDAY + 21 * DAY, **off)) == 1
    assert await misses(db) == []


async def test_another_time_counts_from_the_start_that_brings_it(
    db: asyncpg.Connection, flow_settings: Settings
) -> None:
    later = {"weekly_schedule_hour": 8}
    await looked(db, flow_settings, MONDAY - HOUR)
    assert await looked(db, flow_settings, MONDAY + HOUR, **later) == []
    assert await looked(db, flow_settings, MONDAY + 2 * HOUR, **later) == [
        "schedule-weekly-2026-11-22T23:00Z"
    ]
    assert (
        await db.fetchval("SELECT expression FROM riskflow.schedules WHERE name = 'weekly'") == "0 8 * * MON"
    )


async def test_a_clock_that_goes_back_fires_nothing_again(
    db: asyncpg.Connection, flow_settings: Settings
) -> None:
    once = await looked(db, flow_settings, MONDAY - HOUR, MONDAY, MONDAY - HOUR / 2, MONDAY)
    assert once == ["schedule-weekly-2026-11-22T21:00Z"]
    assert await db.fetchval("SELECT min(checked_until) FROM riskflow.schedules") == MONDAY
    # Not even where somebody sets the mark back.
    await db.execute("UPDATE riskflow.schedules SET checked_until = $1", MONDAY - HOUR)
    assert await looked(db, flow_settings, MONDAY + HOUR) == once


async def test_it_sleeps_until_the_next_due_time_and_never_long(
    db: asyncpg.Connection, flow_settings: Settings
) -> None:
    clock = HandClock(MONDAY - HOUR)
    scheduler = Scheduler(flow_settings, clock)
    assert await scheduler.look(db) == 60
    clock.at = MONDAY - timedelta(seconds=12.5)
    assert await scheduler.look(db) == 12.5
    clock.at = NEW_YEAR - timedelta(seconds=3)
    assert await scheduler.look(db) == 3


async def test_a_lost_session_is_opened_again(
    db: asyncpg.Connection, flow_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler_module, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(scheduler_module, "LONGEST_SECONDS", 0.05)
    sessions = (
        "SELECT pid FROM pg_stat_activity "
        "WHERE application_name = 'riskflow scheduler' AND datname = current_database()"
    )
    clock = HandClock(MONDAY - HOUR)
    async with running(Scheduler(flow_settings, clock).run):
        looks = "SELECT count(*) FROM riskflow.schedules"
        await until(lambda: db.fetchval(looks), "the first look")
        before = await db.fetchval(sessions)
        await db.execute("SELECT pg_terminate_backend($1)", before)
        clock.at = MONDAY
        await until(lambda: fired(db), "the trigger")
        assert await db.fetchval(sessions) not in {None, before}


async def test_a_schedule_becomes_a_job_and_a_weekly_one_without_tenants_says_how_to_end_it(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher, offsets: OffsetReader
) -> None:
    new_year = datetime(2024, 12, 31, 17, tzinfo=UTC)
    bridge, acceptor = Bridge(settings, publisher, offsets), Reader(settings, Acceptor(settings))
    await Scheduler(settings, HandClock(new_year - 2 * DAY)).look(connection)
    async with running(Scheduler(settings, HandClock(new_year)).run, bridge.run, acceptor.run):
        # The Monday before the new year is late by less than the grace.
        refused = await until(lambda: job_row(connection, "schedule-weekly-2024-12-29T21:00Z"), "the refusal")
        job = await until(lambda: job_row(connection, "schedule-probability-2024-12-31T17:00Z"), "the job")
    assert (job["status"], job["kinds"], job["total_grids"], job["requested_by"]) == (
        "pending",
        ["probability"],
        5,
        "schedule",
    )
    assert (refused["status"], refused["error_message"]) == (
        "failed",
        (
            "TENANTS_FILE is not set; name the YAML file with the tenants of the weekly report; "
            "where no weekly reports are wanted, set WEEKLY_SCHEDULE_ENABLED=false"
        ),
    )
    assert await connection.fetchval("SELECT count(*) FROM batch_job_logs") == 2


async def test_only_the_schedule_is_told_how_to_end_it(
    connection: asyncpg.Connection, flow_settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(RefusedTrigger) as caught:
        await plan_weekly(connection, Trigger(job_type="weekly", requested_by="someone"), flow_settings)
    assert "WEEKLY_SCHEDULE_ENABLED" not in str(caught.value)
    # Fired a week late it is the same report as in time.
    settings = weekly(flow_settings, tmp_path, "seoul-hs")
    await attend(connection, "seoul-hs", "s1", day=date(2026, 11, 20))
    [asked] = [each for each in Scheduler(settings)._schedules if each.name == "weekly"]
    planned = await plan_weekly(connection, asked.trigger(MONDAY), settings, at=MONDAY + 10 * DAY)
    in_time = await plan_weekly(connection, Trigger(job_type="weekly"), settings, at=MONDAY)
    assert planned.report_date == in_time.report_date == date(2026, 11, 23)


async def shown(settings: Settings, moment: datetime) -> str:
    console = Console(file=io.StringIO(), width=160)
    await show_schedules(settings, console, HandClock(moment))
    return "\n".join(" ".join(line.split()) for line in console.file.getvalue().splitlines())


async def test_the_command_shows_what_comes_what_was_and_what_was_missed(
    db: asyncpg.Connection, flow_settings: Settings
) -> None:
    page = await shown(flow_settings, MONDAY)
    assert "weekly Mon 2026-11-30 06:00 KST 0" in page
    assert "No scheduler has run on this database yet; these are the settings here." in page

    off = {"hazard_schedule_enabled": False}
    week = MONDAY + 7 * DAY
    await looked(db, flow_settings, MONDAY - HOUR, MONDAY, week + 80 * HOUR, **off)
    now = week + 80 * HOUR + timedelta(seconds=20)
    page = await shown(flow_settings, now)
    assert (
        "hazard disabled 0\n"
        "probability Fri 2027-01-01 02:00 KST 0\n"
        "2026-12-31 17:00Z\n"
        "weekly Mon 2026-12-07 06:00 KST 2026-11-23 06:00 KST not accepted yet 1\n"
        "2026-12-06 21:00Z 2026-11-22 21:00Z" in page
    )
    assert "fired last: riskflow jobs show schedule-weekly-2026-11-22T21:00Z" in page
    assert "missed 2026-11-30 06:00 KST: riskflow jobs show schedule-weekly-2026-11-29T21:00Z" in page
    assert "A scheduler looked 20 s ago." in page
    assert "No scheduler has run since 2026-12-03 05:00Z; start" in await shown(flow_settings, now + HOUR)
    assert "which is in the future: a clock was wrong" in await shown(flow_settings, now - DAY)
    assert "missed 2026" not in await shown(flow_settings, now + 366 * DAY)
    await db.execute(
        "INSERT INTO batch_job_logs (job_id, job_type, status) "
        "VALUES ('schedule-weekly-2026-11-22T21:00Z', 'weekly', 'completed_with_failures')"
    )
    assert "2026-11-23 06:00 KST completed with failures 1" in await shown(flow_settings, now)
