"""Faults of what asks for jobs: the bridge and the scheduler."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import orjson
from acceptance.whole import RESULTS
from faults.fleet import give, second, small_job, southern
from faults.reference import read_rows, wrong_keys
from faults.registry import fault
from faults.run import Run

from ops.jobs import ENDED

ASKED = 50
HEARD = 5
BEGIN_SECONDS = 25.0
"""Least time between the start of the schedulers and the due time."""

_HEARS = """
    SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND application_name = 'riskflow bridge listener'
      AND datname = current_database()
"""
_ASKED_BY = """
    SELECT requested_by, array_agg(job_id) AS jobs FROM batch_job_logs
    WHERE requested_by LIKE $1 || '-%' GROUP BY requested_by
"""


@fault("bridge-down", "bridge down while 50 NOTIFY and 50 requests arrive", pace=0)
async def bridge_down(run: Run) -> None:
    """Requests wait in the outbox; a bare NOTIFY that nobody hears is gone, as PostgreSQL has it."""
    await run.start()
    await run.until_value(_HEARS)
    await run.services.kill("producers")
    cells = run.settings.batch_size
    for number in range(ASKED):
        await _notify(run, f"unheard-{number}", cells)
        await small_job(run, f"request-{number}", cells)
    await run.start("producers")
    await run.until_value(_HEARS)
    for number in range(HEARD):
        await _notify(run, f"heard-{number}", cells)
    for job_id in list(run.jobs):
        await run.ended(job_id)
    heard = await run.until(lambda: _asked_by(run, "heard", HEARD))
    for who, jobs in (await _asked_by(run, "unheard") | heard).items():
        for job_id in jobs:
            await run.ended(job_id)
        run.apart.update(jobs)
        run.doubled += len(jobs) - 1
        if len(jobs) > 1:
            run.problems.append(f"the NOTIFY {who} has become {len(jobs)} jobs")
    await run.trigger()
    await run.ended()


async def _notify(run: Run, name: str, cells: int) -> None:
    """A bare NOTIFY without an id, whose job can be found by its name."""
    asked = {"job_type": "climate", "bbox": southern(cells), "requested_by": name}
    channel = run.settings.notify_channel
    await run.ledger.fetch("SELECT pg_notify($1, $2)", channel, orjson.dumps(asked).decode())


async def _asked_by(run: Run, prefix: str, least: int = 0) -> dict[str, list[str]]:
    """Jobs by who asked; empty where they are fewer than `least`."""
    rows = await run.ledger.fetch(_ASKED_BY, prefix)
    return {row["requested_by"]: row["jobs"] for row in rows} if len(rows) >= least else {}


@fault("two-schedulers", "two schedulers over a due time, then killed and started", pace=0)
async def two_schedulers(run: Run) -> None:
    """Two schedules are due at the same minute; each must become one job, whoever looks and how often."""
    zone = ZoneInfo(run.settings.schedule_timezone)
    due = await _next_minute(run)
    local = due.astimezone(zone)
    for name in RESULTS:
        at = {"MONTH": local.month, "DAY": local.day, "HOUR": local.hour, "MINUTE": local.minute}
        schedule = name.removesuffix("_results").upper()
        give(run, **{f"{schedule}_SCHEDULE_{part}": number for part, number in at.items()})
    producers = ("producers", second(run, "producers"))
    await run.start("sink", "worker-1", "worker-2", *producers)
    await run.until_value(
        "SELECT count(*) = 2 FROM pg_stat_activity "
        "WHERE application_name = 'riskflow scheduler' AND datname = current_database()"
    )
    if await run.ledger.value("SELECT clock_timestamp() >= $1", due):
        run.problems.append("the due time was over before both schedulers ran, so nothing was shown")
    jobs = {name: f"schedule-{name.removesuffix('_results')}-{due:%Y-%m-%dT%H:%MZ}" for name in RESULTS}
    for job_id in jobs.values():
        await run.ended(job_id)
    await _look_again(run, producers)
    await _judge_schedules(run, jobs)


async def _next_minute(run: Run) -> dt.datetime:
    """The first full minute that the schedulers have time to start before."""
    moment: dt.datetime = await run.ledger.value("SELECT clock_timestamp()")
    after = moment.astimezone(dt.UTC) + dt.timedelta(seconds=BEGIN_SECONDS)
    return after.replace(second=0, microsecond=0) + dt.timedelta(minutes=1)


async def _look_again(run: Run, producers: tuple[str, ...]) -> None:
    """Kill the schedulers; those that follow look at the same due times."""
    before = await run.ledger.value("SELECT max(checked_until) FROM riskflow.schedules")
    for name in producers:
        await run.services.kill(name, restart=True)
    await run.until_value("SELECT min(checked_until) > $1 FROM riskflow.schedules", before)


async def _judge_schedules(run: Run, jobs: dict[str, str]) -> None:
    run.apart.update(jobs.values())
    found, twice = await read_rows(run.ledger)
    run.doubled += twice
    for table, job_id in jobs.items():
        wrong = wrong_keys(run.expected[table], found[table])
        run.lost += len(wrong)
        run.doubled += len(found[table].keys() - run.expected[table].keys())
        row = (await run.ledger.fetch("SELECT * FROM batch_job_logs WHERE job_id = $1", job_id))[0]
        counts = (row["status"], row["total_grids"], row["processed_grids"], row["failed_grids"])
        if wrong or counts != ("completed", run.cells, run.cells, 0):
            run.problems.append(f"{job_id} is {counts}, {len(wrong)} rows missing or other")
        ends = await run.ledger.value(
            "SELECT count(*) FROM outbox WHERE topic = 'risk.job-events.v1' AND key = convert_to($1, 'UTF8') "
            "AND convert_from(value, 'UTF8')::jsonb ->> 'state' = ANY ($2::text[])",
            job_id,
            list(ENDED),
        )
        fired = await run.ledger.value(
            "SELECT count(*) FROM riskflow.schedule_runs WHERE job_id = $1", job_id
        )
        run.doubled += max(0, ends - 1) + max(0, fired - 1)
        if (ends, fired) != (1, 1):
            run.problems.append(f"{job_id} was fired {fired} times and has ended {ends} times")
