"""`riskflow trigger`: check the request, publish it, and wait for the rows where asked."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import asyncpg
from rich.console import Console

from consumers.acceptor import plan, request_hash
from ops import jobs
from ops.context import database
from ops.progress import RiskBars
from producers.publisher import Publisher
from schemas import topics
from schemas.codec import encode, validated
from schemas.errors import RefusedTrigger
from schemas.messages import Trigger, now
from schemas.settings import Settings


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


def trigger_of(  # noqa: PLR0913 - the options of the command line
    job_type: str,
    *,
    scenario: str | None = None,
    window: str | None = None,
    risks: Sequence[str] | None = None,
    bbox: str | None = None,
    uncertainty: bool = False,
    job_id: str | None = None,
    requested_by: str = "command line",
) -> Trigger:
    """The message for what a person typed.

    Raises:
        InvalidMessage: A field is wrong; the sentence names it and what is allowed.
        RefusedTrigger: The window or the bbox cannot be read.
    """
    document = {
        "job_type": job_type,
        "job_id": job_id or f"{job_type}-{now():%Y%m%dT%H%M%S}-{secrets.token_hex(3)}",
        "scenario": scenario,
        "window": window_of(window) if window else None,
        "risks": list(risks) if risks else None,
        "bbox": bbox_of(bbox) if bbox else None,
        "uncertainty": uncertainty,
        "requested_by": requested_by,
    }
    return validated(Trigger, document)


async def send(settings: Settings, trigger: Trigger) -> str:
    """Check the trigger as the acceptor will, then publish it.

    Returns:
        The job_id to look for in batch_job_logs.

    Raises:
        RefusedTrigger: It would be refused; the sentence names what is allowed. Nothing was sent.
    """
    async with database(settings, "trigger") as connection:
        await plan(connection, trigger, settings)
        await _check_id(connection, trigger)
    async with Publisher(settings) as publisher:
        await publisher.send(encode(topics.TRIGGERS, trigger, source="cli"))
    return str(trigger.job_id)


async def send_and_wait(
    settings: Settings, trigger: Trigger, console: Console, limit: float | None
) -> jobs.Job | None:
    """Publish the trigger and show its bars until the job row says that it has ended."""
    bars = RiskBars(console, settings.kafka_bootstrap_servers, str(trigger.job_id))
    async with database(settings, "trigger") as connection, bars:
        job_id = await send(settings, trigger)
        return await jobs.wait(connection, job_id, limit=limit, seen=bars.show)


async def _check_id(connection: asyncpg.Connection, trigger: Trigger) -> None:
    # The acceptor makes a dead letter of it, and --wait would show the other job as if it were this one.
    job = await connection.fetchrow(
        "SELECT request_hash FROM batch_job_logs WHERE job_id = $1", trigger.job_id
    )
    if job is not None and job["request_hash"] != request_hash(trigger):
        raise RefusedTrigger(
            f"job_id {trigger.job_id} belongs to another request; choose another id, or leave it out"
        )
