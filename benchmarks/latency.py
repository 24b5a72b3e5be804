"""How soon something happens: from a trigger to its first row, from a notification to its message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.box import first
from benchmarks.outcome import Outcome
from benchmarks.rounds import Size
from benchmarks.stage import SEED, Stage, now, stage
from ops import jobs
from ops import trigger as triggers
from producers.publisher import Publisher
from schemas.broker import client_options
from schemas.codec import encode
from schemas.errors import RiskflowError
from schemas.settings import Settings
from schemas.topics import TRIGGERS

FIRST_ROW_SECONDS = 1.0
IN_KAFKA_SECONDS = 0.05
"""The two bounds of the 99th percentile."""
PERCENT = 99
CELLS = 4
"""Of a trigger whose latency is measured."""
LOOK_SECONDS = 0.002
"""Between two looks for the row."""
FETCH_WAIT_MS = 10
"""How long the broker may hold an empty fetch of the consumer that looks for the message."""
LIMIT_SECONDS = 30.0

_FIRST_ROW = """
    SELECT EXISTS (SELECT FROM probability_results
                   WHERE (latitude, longitude) = ($2::float8::numeric, $3::float8::numeric) AND job_id = $1)
        OR EXISTS (SELECT FROM hazard_results
                   WHERE (latitude, longitude) = ($2::float8::numeric, $3::float8::numeric) AND job_id = $1)
"""
_NOTIFY = "SELECT pg_notify($1, $2)"


class Sender:
    """Sends triggers and notifications at moments that fit no poll of any service."""

    def __init__(self, here: Stage, publisher: Publisher, consumer: AIOKafkaConsumer, box: str) -> None:
        self._here = here
        self._publisher = publisher
        self._consumer = consumer
        self._box = box
        self._random = np.random.default_rng(SEED)

    async def trigger(self) -> float:
        """Seconds from handing a trigger to the producer until a row of its job can be read."""
        await self._pause()
        trigger = triggers.trigger_of("climate", bbox=self._box, requested_by="benchmark")
        south, west = (float(part) for part in self._box.split(",")[:2])
        record = encode(TRIGGERS, trigger, source="benchmark")
        begun = now()
        await self._publisher.send(record)
        async with asyncio.timeout(LIMIT_SECONDS):
            while not await self._here.connection.fetchval(_FIRST_ROW, trigger.job_id, south, west):  # noqa: ASYNC110 - the row comes from another process
                await asyncio.sleep(LOOK_SECONDS)
        seconds = now() - begun
        job = await jobs.wait(self._here.connection, str(trigger.job_id), limit=LIMIT_SECONDS)
        if job is None or (job.status, job.total_grids) != ("completed", CELLS):
            raise RiskflowError(f"job {trigger.job_id} did not complete: {job}")
        return seconds

    async def notification(self) -> float:
        """Seconds from a bare NOTIFY, its commit included, until a consumer has the message."""
        await self._pause()
        job_id = f"notified-{self._random.integers(2**62):x}"
        payload = orjson.dumps({"job_type": "climate", "job_id": job_id}).decode()
        begun = now()
        await self._here.connection.execute(_NOTIFY, self._here.settings.notify_channel, payload)
        async with asyncio.timeout(LIMIT_SECONDS):
            record = await self._consumer.getone()
        seconds = now() - begun
        if record.key.decode() != job_id:
            raise RiskflowError(f"the message of {job_id} did not come, but {record.key!r}")
        return seconds

    async def after_end(self) -> None:
        """Let the consumer wait for what comes from now on."""
        await self._consumer.seek_to_end()
        for place in self._consumer.assignment():
            await self._consumer.position(place)

    async def _pause(self) -> None:
        await asyncio.sleep(self._random.uniform(0.02, 0.12))


async def latency(size: Size) -> list[Outcome]:
    """The 99th percentiles of both."""
    async with stage("sink", "producers", "worker", workers=2) as here:
        cells = await here.draw(64, indices=True)
        _, box = first(cells, CELLS)
        async with Publisher(here.settings) as publisher, consumer(here.settings) as reader:
            sender = Sender(here, publisher, reader, box)
            await _warm(sender)
            count = size.of(40, 2)
            rows = [[await sender.trigger() for _ in range(count)] for _ in range(size.rounds)]
            # The notifications ask for jobs as well; their work is no part of what is measured.
            await here.stack.stop("worker")
            await here.stack.stop("sink")
            await sender.after_end()
            count = size.of(100, 5)
            messages = [[await sender.notification() for _ in range(count)] for _ in range(size.rounds)]
        return [_triggers(rows, here.notes), _notifications(messages)]


async def _warm(sender: Sender) -> None:
    for _ in range(3):
        await sender.trigger()


@asynccontextmanager
async def consumer(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of the triggers without a group."""
    reader = AIOKafkaConsumer(**client_options(settings, "benchmark"), fetch_max_wait_ms=FETCH_WAIT_MS)
    await reader.start()
    try:
        reader.assign([TopicPartition(TRIGGERS.name, 0)])
        yield reader
    finally:
        await reader.stop()


def p99(seconds: list[float]) -> float:
    """The 99th percentile as one of the values: that which one in a hundred exceeds."""
    return float(np.percentile(seconds, PERCENT, method="higher"))


def _triggers(rounds: list[list[float]], notes: list[str]) -> Outcome:
    note = (
        f"{_counted(rounds)} triggers of {CELLS} cells, one after another, two workers, annual indices "
        "loaded; from handing the trigger to the producer until another connection can read a row, looked "
        f"for every {LOOK_SECONDS * 1000:g} ms. {_spread(rounds)}"
    )
    return _outcome(
        "latency/trigger", "trigger to first row, p99", rounds, FIRST_ROW_SECONDS, " ".join([note, *notes])
    )


def _notifications(rounds: list[list[float]]) -> Outcome:
    note = (
        f"{_counted(rounds)} notifications, one after another; from sending NOTIFY, its commit included, "
        f"until a consumer that waits at the end of the topic has the message. {_spread(rounds)}"
    )
    return _outcome("latency/notify", "NOTIFY to message in Kafka, p99", rounds, IN_KAFKA_SECONDS, note)


def _outcome(name: str, compares: str, rounds: list[list[float]], limit: float, note: str) -> Outcome:
    found = tuple(1000 * p99(values) for values in rounds)
    whole = p99([value for values in rounds for value in values])
    about = f"{compares} against {1000 * limit:g} ms"
    return Outcome(name, about, "ms", found, (), whole / limit, 1.0, "<=", note)


def _counted(rounds: list[list[float]]) -> int:
    return sum(len(values) for values in rounds)


def _spread(rounds: list[list[float]]) -> str:
    values = 1000 * np.concatenate(rounds)
    middle, high = np.percentile(values, [50, 90])
    whole = 1000 * p99([value for part in rounds for value in part])
    return (
        f"Median {middle:.0f} ms, p90 {high:.0f} ms, p99 of all {whole:.0f} ms, which gives the ratio, "
        f"longest {values.max():.0f} ms; A is the median of the rounds' own p99."
    )
