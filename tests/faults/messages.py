"""Messages that faults put onto the topics themselves, and what lies in the dead-letter topics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from producers.publisher import Publisher
from schemas.broker import client_options
from schemas.codec import Record, encode, header
from schemas.messages import GridChunk, HazardResult, Message, ProbabilityResult, Trigger, Window
from schemas.settings import Settings
from schemas.topics import GRID_CHUNKS, HAZARDS, MIB, PROBABILITIES, TRIGGERS, Topic, dead_letters

POISONED = (TRIGGERS, GRID_CHUNKS, PROBABILITIES, HAZARDS)
HUGE_BYTES = 1_000_000
DEPTH = 5_000
WINDOW = Window(start=1991, end=2020)

Letters = Counter[tuple[str, bytes | None, bytes | None]]
"""Topic that the letter comes from, key and value, and how many there are of each."""


@dataclass(frozen=True)
class Poison:
    """A message that nobody can use, and whether a dead letter must come of it."""

    topic: Topic
    key: bytes
    value: bytes | None
    to_letters: bool = True

    @property
    def record(self) -> Record:
        """As it is published: without headers."""
        return Record(self.topic.name, self.key, self.value, [])


def trigger(job_id: str, **options: object) -> Record:
    """The record that asks for a climate job, as any client would write it."""
    asked = Trigger.model_validate({"job_type": "climate", "job_id": job_id} | options)
    return encode(TRIGGERS, asked, source="faults")


def poison(name: str, running: str = "job") -> list[Poison]:
    """Eleven kinds for each topic that is written to from outside or between services.

    Args:
        name: In the keys, so that each is another message.
        running: A job whose trigger and chunk lie on the wrong topics.
    """
    return [each for topic in POISONED for each in _poison(topic, name, running)]


def _poison(topic: Topic, name: str, running: str) -> list[Poison]:
    values: dict[str, bytes | None] = {
        "not-json": b'{"job_id": ',
        "no-object": b"[1, 2, 3]",
        "wrong-types": orjson.dumps(
            {"job_id": f"{name}-wrong", "job_seq": "first", "job_type": 7, "cells": 0}
        ),
        "huge": orjson.dumps({"text": HUGE_BYTES * "x"}),
        "empty": b"",
        "tombstone": None,
        "unknown-version": orjson.dumps({"version": 99, "payload": {"job_id": "?"}}),
        "nested": DEPTH * b'{"a":' + b"1" + DEPTH * b"}",
    }
    found = [Poison(topic, f"{name}-{kind}".encode(), value) for kind, value in values.items()]
    binary = Poison(topic, b"\xff\xfe" + name.encode(), b"\xff\x00 no text")
    return [*found, binary, _unknown(topic, name), _strange(topic, running)]


def _unknown(topic: Topic, name: str) -> Poison:
    """Well formed, but of a job or job type that there is none of."""
    job_id = f"{name}-unknown"
    part = {"job_id": job_id, "job_seq": 1, "chunk_id": f"{job_id}:1", "chunk": 1, "scenario": "historical"}
    part |= {"window": WINDOW, "cells": [(33.0, 124.0)]}
    if topic is TRIGGERS:
        return Poison(topic, job_id.encode(), orjson.dumps({"job_id": job_id, "job_type": "tides"}))
    message: Message
    if topic is GRID_CHUNKS:
        asked = {"chunks": 1, "kinds": ["hazard"], "risks": ["drought"], "baseline": WINDOW}
        message = GridChunk.model_validate(part | asked)
    else:
        model = ProbabilityResult if topic is PROBABILITIES else HazardResult
        message = model.model_validate(part | {"risk_table": "none", "risks": []})
    record = encode(topic, message, source="faults")
    # A result whose job was deleted is nothing to look into: it is left out.
    return Poison(topic, record.key or b"", record.value, to_letters=topic is GRID_CHUNKS)


def _strange(topic: Topic, running: str) -> Poison:
    """A message of another topic, about a job that is running."""
    if topic is TRIGGERS:
        value = {"job_id": running, "job_seq": 1, "chunk_id": f"{running}:1", "chunk": 1, "chunks": 1}
        return Poison(topic, running.encode(), orjson.dumps(value))
    return Poison(topic, running.encode(), trigger(running).value)


async def publish(settings: Settings, records: Iterable[Record]) -> None:
    """Write records as any Kafka client would."""
    async with Publisher(settings, "faults") as publisher:
        for record in records:
            await publisher.send(record)


async def letters(settings: Settings) -> Letters:
    """The messages of which a dead letter lies in the topics of POISONED.

    One that was read twice, around a change in its group, may have two letters, which name the same place.
    """
    places = [TopicPartition(dead_letters(topic).name, 0) for topic in POISONED]
    consumer = AIOKafkaConsumer(
        **client_options(settings, "faults"), max_partition_fetch_bytes=4 * MIB, enable_auto_commit=False
    )
    found: dict[tuple[str, ...], tuple[str, bytes | None, bytes | None]] = {}
    await consumer.start()
    try:
        consumer.assign(places)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(places)
        while [place for place in places if await consumer.position(place) < ends[place]]:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found |= {_place(record): (_place(record)[0], record.key, record.value) for record in records}
    finally:
        await consumer.stop()
    return Counter(found.values())


def _place(letter: Any) -> tuple[str, ...]:
    return tuple(header(letter.headers, f"dlq-{part}") or "" for part in ("topic", "partition", "offset"))
