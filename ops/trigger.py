"""`riskflow trigger`: check the request, publish it, and wait for the rows where asked."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import date

import asyncpg
from aiokafka.errors import KafkaError
from rich.console import Console

from consumers.acceptor import PLANNERS, request_hash
from ops import jobs
from ops.context import database
from ops.progress import JobBars
from ops.show import show_job
from producers.publisher import Publisher
from schemas import topics
from schemas.codec import Record, encode, validated
from schemas.errors import RefusedTrigger, RiskflowError, Unavailable
from schemas.messages import Trigger, now
from schemas.settings import Settings

CLIMATE_OPTIONS = ("--scenario", "--window", "--risk", "--bbox", "--uncertainty")
WEEKLY_OPTIONS = ("--date", "--tenant")


def window_of(text: str) -> dict[str, int]:
    """`2021-2050` as the message writes it.

    Raises:
        RefusedTrigger: The text is not START-END.
    """
    start, dash, end = text.partition("-")
    if not (dash and start.strip().isdigit() and end.strip().isdigit()):
        raise RefusedTrigger(
            f"window {text!r}: write the first and last year as START-END, such as 2021-2050"
        )
    return {"start": int(start), "end": int(end)}


def bbox_of(text: str) -> dict[str, float]:
    """`33,124,39,132` as the message writes it.

    Raises:
        RefusedTrigger: The text is not four numbers.
    """
    names = ("min_latitude", "min_longitude", "max_latitude", "max_longitude")
    try:
        numbers = [float(part) for part in text.split(",")]
        return dict(zip(names, numbers, strict=True))
    except ValueError:
        raise RefusedTrigger(
            f"bbox {text!r}: write four numbers, min_latitude,min_longitude,max_latitude,max_longitude"
        ) from None


def date_of(text: str) -> date:
    """`2026-11-23` as a date.

    Raises:
        RefusedTrigger: The text is no day of the calendar.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise RefusedTrigger(f"date {text!r}: write YYYY-MM-DD, such as 2026-11-23") from None


def trigger_of(  # noqa: PLR0913 - the options of the command line
    job_type: str,
    *,
    scenario: str | None = None,
    window: str | None = None,
    risks: Sequence[str] | None = None,
    bbox: str | None = None,
    uncertainty: bool = False,
    report_date: str | None = None,
    tenants: Sequence[str] | None = None,
    job_id: str | None = None,
    requested_by: str = "command line",
) -> Trigger:
    """The message for what a person typed.

    Raises:
        InvalidMessage: A field is wrong; the sentence names it and what is allowed.
        RefusedTrigger: An option belongs to another job type; or window, bbox or date cannot be read.
    """
    climate = dict(zip(CLIMATE_OPTIONS, (scenario, window, risks, bbox, uncertainty), strict=True))
    weekly = dict(zip(WEEKLY_OPTIONS, (report_date, tenants), strict=True))
    _refuse_foreign(job_type, climate, weekly)
    day = date_of(report_date) if report_date else None
    document = {
        "job_type": job_type,
        "job_id": job_id or new_id(job_type, day),
        "scenario": scenario,
        "window": window_of(window) if window else None,
        "risks": list(risks) if risks else None,
        "bbox": bbox_of(bbox) if bbox else None,
        "uncertainty": uncertainty,
        "report_date": day,
        "tenants": list(tenants) if tenants else None,
        "requested_by": requested_by,
    }
    return validated(Trigger, document)


def _refuse_foreign(job_type: str, climate: Mapping[str, object], weekly: Mapping[str, object]) -> None:
    own, foreign = (weekly, climate) if job_type == jobs.WEEKLY else (climate, weekly)
    if given := [option for option, value in foreign.items() if value]:
        raise RefusedTrigger(f"{job_type} does not take {', '.join(given)}; it takes {', '.join(own)}")


def new_id(job_type: str, day: date | None = None) -> str:
    """An id that nobody else makes; `day` is the report date of a weekly job."""
    moment = f"{day:%Y%m%d}" if day else f"{now():%Y%m%dT%H%M%S}"
    return f"{job_type}-{moment}-{secrets.token_hex(3)}"


async def send(settings: Settings, trigger: Trigger) -> str:
    """Check the trigger as the acceptor will, then publish it.

    A weekly trigger is checked where TENANTS_FILE is set here; elsewhere only the acceptor knows the
    tenants.

    Returns:
        The job_id to look for in batch_job_logs.

    Raises:
        RefusedTrigger: It would be refused; the sentence names what is allowed. Nothing was sent.
        Unavailable: The broker did not acknowledge it; it may still have been stored.
    """
    async with database(settings, "trigger") as connection:
        await check(connection, settings, trigger)
    record = encode(topics.TRIGGERS, trigger, source="cli")
    _refuse_large(record)
    async with Publisher(settings) as publisher:
        try:
            await publisher.send(record)
        except KafkaError as error:
            raise Unavailable(
                f"broker {settings.kafka_bootstrap_servers} did not take the trigger: {error!r}"
            ) from error
    return str(trigger.job_id)


async def check(connection: asyncpg.Connection, settings: Settings, trigger: Trigger) -> None:
    """Find out what the acceptor would say of a trigger.

    Raises:
        RefusedTrigger: It would be refused; the sentence names what is allowed.
    """
    if trigger.job_type != jobs.WEEKLY or settings.tenants_file is not None:
        await PLANNERS[trigger.job_type](connection, trigger, settings)
    await _check_id(connection, trigger)


def _refuse_large(record: Record) -> None:
    size, most = len(record.value or b""), topics.TRIGGERS.max_message_bytes
    if size > most:
        raise RefusedTrigger(
            f"the trigger has {size} bytes and a message at most {most}; "
            "name fewer risks or tenants, or none for all"
        )


async def send_and_wait(
    settings: Settings, trigger: Trigger, console: Console, limit: float | None
) -> jobs.Job | None:
    """Publish the trigger and show its bars until the job row says that it has ended."""
    bars = JobBars(console, settings, str(trigger.job_id))
    async with database(settings, "trigger") as connection, bars:
        job_id = await send(settings, trigger)
        return await jobs.wait(connection, job_id, limit=limit, seen=bars.show)


async def send_and_show(settings: Settings, trigger: Trigger, console: Console, limit: float | None) -> int:
    """As `send_and_wait`, then print the job.

    Returns:
        The exit code: 0 when the job has completed without a failure, else 1.

    Raises:
        RiskflowError: The job has not ended after `limit` seconds.
    """
    job = await send_and_wait(settings, trigger, console, limit)
    if job is None or not job.ended:
        state = "was not accepted" if job is None else f"is {job.status}"
        raise RiskflowError(f"job {trigger.job_id} {state} after {limit:g} s; look again: riskflow jobs")
    await show_job(settings, job.job_id, console)
    return 0 if job.status == "completed" else 1


async def _check_id(connection: asyncpg.Connection, trigger: Trigger) -> None:
    # The acceptor makes a dead letter of it, and --wait would show the other job as if it were this one.
    job = await connection.fetchrow(
        "SELECT request_hash FROM batch_job_logs WHERE job_id = $1", trigger.job_id
    )
    if job is not None and job["request_hash"] != request_hash(trigger):
        raise RefusedTrigger(
            f"job_id {trigger.job_id} belongs to another request; choose another id, or leave it out"
        )
