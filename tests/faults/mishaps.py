"""What chance draws from: disturbances short enough for a job of some twenty seconds."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import orjson
from faults import strikes
from faults.messages import poison, publish, trigger
from faults.run import Run

from ops.jobs import ENDED
from schemas.topics import GRID_CHUNKS, TRIGGERS

POISONS = 4
AWAY_SECONDS = 4.0
STALL_SECONDS = 8.0

_ENDED = "SELECT status = ANY ($2::text[]) FROM batch_job_logs WHERE job_id = $1"


@dataclass
class Struck:
    """A job that is disturbed, and what its disturbances leave behind."""

    run: Run
    job_id: str
    dice: random.Random
    letters: int = 0
    """Messages that must have a dead letter in the outbox."""
    refused: int = 0
    """Triggers that must be refused."""


Act = Callable[[Struck], Awaitable[None]]


@dataclass(frozen=True)
class Mishap:
    """A disturbance, and whom it strikes: two that strike the same follow each other."""

    name: str
    target: str
    act: Act


def struck_by(strike: strikes.Act) -> Act:
    """A disturbance of the named faults, at any moment."""

    async def act(struck: Struck) -> None:
        await strike(struck.run)

    return act


async def killed(struck: Struck, instance: str) -> None:
    """SIGKILL; the supervisor starts it again."""
    async with struck.run.outage():
        await struck.run.services.kill(instance, restart=True)


async def absent(struck: Struck, instance: str) -> None:
    """Stopped, and started after a while."""
    async with struck.run.outage():
        await struck.run.services.stop(instance)
        await asyncio.sleep(AWAY_SECONDS)
        await struck.run.start(instance)


async def joined(struck: Struck) -> None:
    """One worker more, until after a while it leaves."""
    async with struck.run.outage():
        await struck.run.start("worker-3")
        await asyncio.sleep(2 * AWAY_SECONDS)
        await struck.run.services.stop("worker-3")


async def armed(struck: Struck, place: str, action: str) -> bool:
    """Whether the fault point has struck before the job ended."""
    token = struck.run.arm(place, action)

    async def over() -> bool:
        ended = await struck.run.ledger.value(_ENDED, struck.job_id, list(ENDED))
        return bool(ended) or not os.path.exists(token)  # noqa: ASYNC240, PTH110 - a look costs nothing

    async with struck.run.outage():
        await struck.run.until(over)
    try:
        token.unlink()
    except FileNotFoundError:
        return True
    return False


async def at_point(struck: Struck, place: str, action: str) -> None:
    """Strikes the next who comes by."""
    await armed(struck, place, action)


async def sink_stalled(struck: Struck) -> None:
    """SIGSTOP inside a transaction."""
    if await armed(struck, "sink.before_commit", "stop"):
        pid = await struck.run.stopped("sink")
        await asyncio.sleep(STALL_SECONDS)
        os.kill(pid, signal.SIGCONT)


async def poisoned(struck: Struck) -> None:
    """Some messages that nobody can use."""
    name = f"{struck.job_id}-{struck.dice.randrange(10**6)}"
    bad = struck.dice.sample(poison(name, struck.job_id), POISONS)
    await publish(struck.run.settings, [each.record for each in bad])
    struck.letters += sum(each.to_letters and each.topic is not GRID_CHUNKS for each in bad)
    strange = struck.job_id.encode()
    struck.refused += sum(each.topic is TRIGGERS and each.key != strange for each in bad)


async def asked_again(struck: Struck) -> None:
    """The job's own trigger, over the topic, by request and by NOTIFY."""
    run, told = struck.run, orjson.dumps({"job_type": "climate", "job_id": struck.job_id}).decode()
    await publish(run.settings, [trigger(struck.job_id)])
    await run.trigger(struck.job_id)
    await run.ledger.fetch("SELECT pg_notify($1, $2)", run.settings.notify_channel, told)


async def asked_otherwise(struck: Struck) -> None:
    """Another request under the job's id: it is refused."""
    share = struck.dice.randrange(1, 10**6) / 10**6
    bbox = {"min_latitude": 33.0, "max_latitude": 34 + share, "min_longitude": 124, "max_longitude": 125}
    await publish(struck.run.settings, [trigger(struck.job_id, bbox=bbox)])
    struck.letters += 1


MISHAPS = (
    Mishap("worker kill -9", "worker-1", partial(killed, instance="worker-1")),
    Mishap("other worker kill -9", "worker-2", partial(killed, instance="worker-2")),
    Mishap("worker added and removed", "worker-3", joined),
    Mishap("worker away", "worker-2", partial(absent, instance="worker-2")),
    Mishap("producers kill -9", "producers", partial(killed, instance="producers")),
    Mishap("producers away", "producers", partial(absent, instance="producers")),
    Mishap("sink kill -9", "sink", partial(killed, instance="sink")),
    Mishap("sink killed before commit", "sink", partial(at_point, place="sink.before_commit", action="kill")),
    Mishap("sink killed after commit", "sink", partial(at_point, place="sink.after_commit", action="kill")),
    Mishap("sink SIGSTOP in a transaction", "sink", sink_stalled),
    Mishap("broker kill -9", "broker", struck_by(partial(strikes.broker_killed, seconds=AWAY_SECONDS))),
    Mishap("broker restart", "broker", struck_by(strikes.broker_restarted)),
    Mishap("broker SIGSTOP", "broker", struck_by(partial(strikes.broker_stalled, seconds=STALL_SECONDS))),
    Mishap("PostgreSQL away", "postgres", struck_by(partial(strikes.postgres_stopped, seconds=AWAY_SECONDS))),
    Mishap("PostgreSQL crash", "postgres", struck_by(strikes.postgres_crashed)),
    Mishap("chunk dropped", "take", partial(at_point, place="climate.take", action="drop")),
    Mishap("result dropped", "send", partial(at_point, place="climate.send", action="drop")),
    # A client that writes while the broker goes down may write twice; what it writes is counted.
    Mishap("poison", "broker", poisoned),
    Mishap("asked again", "broker", asked_again),
    Mishap("asked otherwise", "broker", asked_otherwise),
)
