"""Messages and helpers that the tests of the flow share."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from consumers.acceptor import Acceptor
from consumers.reader import Reader
from consumers.sink import Sink
from producers.offsets import OffsetReader
from schemas.codec import encode
from schemas.messages import (
    HazardColumns,
    HazardResult,
    Kind,
    Message,
    ProbabilityColumns,
    ProbabilityResult,
    Trigger,
    Window,
)
from schemas.settings import Settings
from schemas.topics import HAZARDS, PROBABILITIES, SINK_GROUP, TRIGGERS, Topic

RISKS = ("drought", "typhoon")
GRID = [(35.0 + step, 127.5) for step in range(5)]
"""Five cells: three chunks of the flow_settings' two cells."""
_OFFSETS = itertools.count()


def probability_columns(risk: str, cells: int, *, first: float = 0.75) -> ProbabilityColumns:
    return ProbabilityColumns(
        risk_type=risk,
        unit="days",
        edges=[3, 8.5],
        base_damage_rate=[0, 0.01, 0.5],
        probability=[[first, 0.25, 1 - 0.25 - first]] * cells,
        aal=[0.0025] * cells,
        reason=[None] * cells,
        basis=["daily"] * cells,
        failure=[None] * cells,
    )


def hazard_columns(risk: str, cells: int, *, score: float = 0.5) -> HazardColumns:
    return HazardColumns(
        risk_type=risk,
        hazard_score=[score] * cells,
        hazard_level=["Medium"] * cells,
        reason=[None] * cells,
        basis=[None] * cells,
        failure=[None] * cells,
    )


def result_of(chunk: asyncpg.Record, kind: Kind, **changes: Any) -> ProbabilityResult | HazardResult:
    """A whole result of a chunk row, as the workers would make it."""
    cells = list(zip(chunk["latitudes"], chunk["longitudes"], strict=True))
    common = {
        "job_id": chunk["job_id"],
        "job_seq": chunk["job_seq"],
        "chunk_id": chunk["chunk_id"],
        "chunk": chunk["chunk"],
        "scenario": "historical",
        "window": Window(start=1991, end=2020),
        "cells": cells,
        "risk_table": "built-in",
    }
    if kind == "probability":
        risks = [probability_columns(risk, len(cells)) for risk in RISKS]
        return ProbabilityResult(**(common | {"risks": risks} | changes))
    columns = [hazard_columns(risk, len(cells)) for risk in RISKS]
    return HazardResult(**(common | {"risks": columns} | changes))


def topic_of(message: Message) -> Topic:
    if isinstance(message, Trigger):
        return TRIGGERS
    return PROBABILITIES if isinstance(message, ProbabilityResult) else HAZARDS


def as_read(message: Message, **changes: Any) -> SimpleNamespace:
    """A message as a consumer hands it on."""
    record = encode(topic_of(message), message, source="test")
    fields = {"key": record.key, "value": record.value, "headers": tuple(record.headers)}
    place = {"topic": record.topic, "partition": 0, "offset": next(_OFFSETS), "timestamp": 1_700_000_000_000}
    return SimpleNamespace(**(fields | place | changes))


async def accept(connection: asyncpg.Connection, settings: Settings, *records: SimpleNamespace) -> None:
    """What the acceptor's loop does with a batch."""
    await Reader(settings, Acceptor(settings))._store(connection, records)


async def open_sink(settings: Settings) -> asyncpg.Connection:
    connection = await asyncpg.connect(settings.dsn)
    await Sink().opened(connection)
    return connection


async def sink(connection: asyncpg.Connection, settings: Settings, *records: SimpleNamespace) -> None:
    """What the sink's loop does with a batch; the connection comes from open_sink."""
    await Reader(settings, Sink())._store(connection, records)


async def plan_job(
    connection: asyncpg.Connection, settings: Settings, job_id: str, job_type: str = "climate", **fields: Any
) -> list[asyncpg.Record]:
    """Accept a job and return its chunk rows."""
    await accept(connection, settings, as_read(Trigger(job_id=job_id, job_type=job_type, **fields)))
    return await chunk_rows(connection, job_id)


async def chunk_rows(connection: asyncpg.Connection, job_id: str) -> list[asyncpg.Record]:
    return await connection.fetch(
        "SELECT c.*, j.job_seq FROM batch_job_chunks c JOIN batch_job_logs j USING (job_id) "
        "WHERE job_id = $1 ORDER BY chunk",
        job_id,
    )


async def job_row(connection: asyncpg.Connection, job_id: str) -> asyncpg.Record | None:
    return await connection.fetchrow("SELECT * FROM batch_job_logs WHERE job_id = $1", job_id)


@asynccontextmanager
async def running(*services: Callable[[asyncio.Event], Awaitable[None]]) -> AsyncIterator[None]:
    """Run services for a block, then stop them; an error of theirs is the test's."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for service in services:
            tasks.create_task(service(stop))
        try:
            yield
        finally:
            stop.set()


async def read_topic(settings: Settings, topic: str) -> list[Any]:
    """Every record of a topic from its beginning, in order of partition and offset."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers, fetch_max_wait_ms=50)
    await consumer.start()
    try:
        await consumer.topics()
        places = [TopicPartition(topic, each) for each in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        records: list[Any] = []
        while len(records) < sum(ends.values()):
            for part in (await consumer.getmany(timeout_ms=1000)).values():
                records += part
        return sorted(records, key=lambda record: (record.partition, record.offset))
    finally:
        await consumer.stop()


async def commit(settings: Settings, group: str, offsets: dict[TopicPartition, int]) -> None:
    """Commit offsets as a member of the group would."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap_servers, group_id=group, enable_auto_commit=False
    )
    await consumer.start()
    try:
        consumer.assign(list(offsets))
        await consumer.commit(offsets)
    finally:
        await consumer.stop()


def places(topic: Topic, partitions: Sequence[int] | None = None) -> list[TopicPartition]:
    return [TopicPartition(topic.name, each) for each in (partitions or range(topic.partitions))]


async def committed(settings: Settings) -> int:
    """Sum of the offsets that the sink's group has committed."""
    reader = OffsetReader(settings, "test")
    await reader.start()
    try:
        places = await reader.partitions([PROBABILITIES.name, HAZARDS.name])
        return sum((await reader.passed(SINK_GROUP, places)).values())
    finally:
        await reader.stop()
