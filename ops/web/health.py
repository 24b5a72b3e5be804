"""Whether all is well, over HTTP: database, broker, services, lag, outbox, schedules, dead letters."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime
from typing import Any

import asyncpg
from aiokafka.errors import KafkaError
from fastapi import APIRouter
from pydantic import BaseModel, Field

from ops.connected import connected, processes
from ops.letters import marks, read_all, source_topics
from ops.schedule import read_plan, scheduler_runs
from ops.web.lags import ANSWER_SECONDS
from ops.web.office import Here, Office, Who
from schemas.errors import RiskflowError
from schemas.messages import now

router = APIRouter(tags=["health"])

_OUTBOX = "SELECT count(*) FROM outbox WHERE published_at IS NULL"


class ServerState(BaseModel):
    """A server that riskflow relies on."""

    ok: bool
    label: str
    version: str | None = None
    detail: str | None = None


class ServiceState(BaseModel):
    """Processes of a service that are connected to the database."""

    name: str
    running: int
    since: datetime | None


class GroupLag(BaseModel):
    """Messages of a topic that a consumer group has not finished."""

    group: str
    topic: str
    lag: int
    partitions: int


class ScheduleState(BaseModel):
    """A schedule: when it fires next, and what fired last."""

    name: str
    job_type: str
    enabled: bool
    next_at: datetime | None
    last_at: datetime | None
    last_job_id: str | None
    last_status: str | None
    missed: int = Field(description="due times within a year that nothing made up for")
    last_missed: bool = Field(description="whether the latest due time was missed")


class SchedulerState(BaseModel):
    """Whether a scheduler looks."""

    checked_until: datetime | None
    silent: bool


class Health(BaseModel):
    """All of it at one moment; null where it could not be read."""

    at: datetime
    database: ServerState
    broker: ServerState
    services: list[ServiceState]
    groups: list[GroupLag]
    outbox_waiting: int | None
    schedules: list[ScheduleState]
    scheduler: SchedulerState | None
    letters: int | None = Field(
        description="dead letters that nobody has dealt with; null also where the caller may not see them"
    )


@router.get("/health")
async def health(here: Here, who: Who) -> Health:
    """How everything is; what does not answer is said and holds up nothing else."""
    told, (broker, groups), letters = await asyncio.gather(
        _database(here), _broker(here), _letters(here) if who.may_see_letters else _none()
    )
    return Health(at=now(), broker=broker, groups=groups, letters=letters, **told)


async def _none() -> None:
    return None


async def _database(here: Office) -> dict[str, Any]:
    label = here.settings.database_label
    empty: dict[str, Any] = {"services": [], "outbox_waiting": None, "schedules": [], "scheduler": None}
    try:
        async with here.database() as connection:
            version = await connection.fetchval("SHOW server_version")
            return {
                "database": ServerState(ok=True, label=label, version=version),
                "services": [
                    ServiceState.model_validate(each, from_attributes=True)
                    for each in processes(await connected(connection))
                ],
                "outbox_waiting": await connection.fetchval(_OUTBOX),
                **await _schedules(connection, here),
            }
    except RiskflowError as error:
        return empty | {"database": ServerState(ok=False, label=label, detail=str(error))}


async def _schedules(connection: asyncpg.Connection, here: Office) -> dict[str, Any]:
    plan = await read_plan(connection, here.settings)
    missed = Counter(row["name"] for row in plan.missed)
    latest_miss: dict[str, datetime] = {}
    for row in plan.missed:
        latest_miss.setdefault(row["name"], row["due_at"])
    found = []
    for schedule in plan.shown:
        last = plan.last.get(schedule.name)
        miss = latest_miss.get(schedule.name)
        found.append(
            ScheduleState(
                name=schedule.name,
                job_type=schedule.job_type,
                enabled=schedule.enabled,
                next_at=schedule.next_due(plan.moment) if schedule.enabled else None,
                last_at=last and last["due_at"],
                last_job_id=last and last["job_id"],
                last_status=last and last["status"],
                missed=missed[schedule.name],
                last_missed=miss is not None and (last is None or last["due_at"] < miss),
            )
        )
    checked = max(plan.checked, default=None)
    return {
        "schedules": found,
        "scheduler": SchedulerState(
            checked_until=checked, silent=not scheduler_runs(plan.checked, plan.moment)
        ),
    }


async def _broker(here: Office) -> tuple[ServerState, list[GroupLag]]:
    label = here.settings.kafka_bootstrap_servers
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            lags = await here.lags.now()
    except (KafkaError, RiskflowError, OSError, TimeoutError) as error:
        detail = str(error) if isinstance(error, RiskflowError) else f"does not answer: {error!r}"
        return ServerState(ok=False, label=label, detail=detail), []
    sums: Counter[tuple[str, str]] = Counter()
    partitions: Counter[tuple[str, str]] = Counter()
    for (group, topic, _), lag in lags.items():
        sums[group, topic] += lag
        partitions[group, topic] += 1
    groups = [
        GroupLag(group=group, topic=topic, lag=lag, partitions=partitions[group, topic])
        for (group, topic), lag in sums.items()
    ]
    return ServerState(ok=True, label=label), groups


async def _letters(here: Office) -> int | None:
    """Dead letters without a mark; None where the broker does not tell."""
    topics = source_topics(None)
    try:
        async with asyncio.timeout(ANSWER_SECONDS), here.database() as connection:
            done = await marks(connection, topics)
            return sum(letter.place not in done for letter in await read_all(here.settings, topics))
    except (KafkaError, RiskflowError, OSError, TimeoutError):
        return None
