"""Dead letters as they lie in their topics, and what a person has done about each."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import UnknownTopicOrPartitionError

from producers.offsets import OffsetReader
from schemas.broker import client_options, until_broker_answers
from schemas.codec import FIRST_ADDED, header, json_object
from schemas.errors import NotFound, RiskflowError, Unavailable
from schemas.settings import Settings
from schemas.topics import BY_NAME, DEAD_LETTER_SUFFIX, SOURCES, dead_letters

QUIET_SECONDS = 20.0
"""How long a broker may send nothing of what it says it has (expert assumption)."""
POLL_MS = 500
UNDATED = datetime.fromtimestamp(0, UTC)
"""Where a letter whose time cannot be read stands in the order and among the marks."""

_MARKS = """
    SELECT topic, partition, "offset" AS position, written_at, action, marked_by, marked_at
    FROM dead_letter_marks WHERE topic = ANY ($1::text[])
"""


@dataclass(frozen=True, slots=True)
class Mark:
    """What was done about a letter."""

    action: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: the record as it was, and why it came here.

    `topic` is the record's own; `partition` and `offset` are the letter's place in the topic's dead
    letters, `source` the record's own place there; `written_at` is None where no calendar has such a time.
    """

    topic: str
    partition: int
    offset: int
    written_at: datetime | None
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] = field(repr=False)
    reason: str
    exception: str
    source: tuple[int, int] | None
    timestamp: int | None

    @property
    def id(self) -> str:
        """How it is named on the command line."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def place(self) -> tuple[str, int, int, datetime]:
        """Key of its mark."""
        return self.topic, self.partition, self.offset, self.written_at or UNDATED

    @property
    def job_id(self) -> str | None:
        """Job that it tells of, by header, value or key; None where it names none."""
        told = header(self.headers, "job-id") or json_object(self.value).get("job_id")
        if isinstance(told, str) and told:
            return told
        return (self.key or b"").decode(errors="replace").rpartition(":")[0] or None

    def as_read(self) -> SimpleNamespace:
        """The record as its consumer has read it."""
        partition, offset = self.source or (self.partition, self.offset)
        return SimpleNamespace(
            topic=self.topic,
            partition=partition,
            offset=offset,
            timestamp=self.timestamp,
            key=self.key,
            value=self.value,
            headers=tuple(self.headers),
        )


def letter_of(record: Any) -> Letter:
    """A record of a dead-letter topic, taken apart.

    What another program wrote there may lack our headers; all of it is then the record's own.
    """
    headers = list(record.headers or ())
    begin = max((i for i, (name, _) in enumerate(headers) if name == FIRST_ADDED), default=len(headers))
    added = headers[begin:]
    numbers = [_number(header(added, f"dlq-{name}")) for name in ("partition", "offset", "timestamp")]
    source = None if numbers[0] is None or numbers[1] is None else (numbers[0], numbers[1])
    return Letter(
        topic=record.topic.removesuffix(DEAD_LETTER_SUFFIX),
        partition=record.partition,
        offset=record.offset,
        written_at=_moment(record.timestamp),
        key=record.key,
        value=record.value,
        headers=headers[:begin],
        reason=header(added, FIRST_ADDED) or "not told",
        exception=header(added, "dlq-exception") or "",
        source=source,
        timestamp=numbers[2],
    )


def source_topics(name: str | None) -> list[str]:
    """The topic of this name, its dead letters' own name allowed; all topics where none is given.

    Raises:
        NotFound: There is no such topic; names those there are.
    """
    names = [topic.name for topic in SOURCES]
    if name is None:
        return names
    source = name.removesuffix(DEAD_LETTER_SUFFIX)
    if source not in names:
        raise NotFound(f"there is no topic {name}; topics with dead letters: {', '.join(names)}")
    return [source]


def place_of(text: str) -> tuple[str, int, int]:
    """Topic, partition and offset of a letter's name.

    Raises:
        RiskflowError: It is none.
    """
    topic, _, rest = text.partition("/")
    partition, _, offset = rest.partition("/")
    numbers = _number(partition), _number(offset)
    if numbers[0] is None or numbers[1] is None:
        raise RiskflowError(
            f"{text} names no dead letter; write TOPIC/PARTITION/OFFSET as in: riskflow dlq list"
        )
    return source_topics(topic)[0], numbers[0], numbers[1]


async def read_all(settings: Settings, topics: Iterable[str]) -> list[Letter]:
    """Every letter of these topics that is there now, oldest first.

    Raises:
        Unavailable: The broker does not answer, or stops in the middle.
        RiskflowError: A topic has not been created.
    """
    places = await _places(settings, topics)
    async with _consumer(settings) as consumer:
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        found = await _read(consumer, await consumer.end_offsets(places))
    return sorted(
        found,
        key=lambda letter: (letter.written_at or UNDATED, letter.topic, letter.partition, letter.offset),
    )


async def read_one(settings: Settings, name: str) -> Letter:
    """The letter of this name.

    Raises:
        NotFound: There is none, or no more.
        Unavailable: The broker does not answer.
    """
    topic, partition, offset = place_of(name)
    place = TopicPartition(topic + DEAD_LETTER_SUFFIX, partition)
    if place not in await _places(settings, [topic]):
        raise NotFound(f"{place.topic} has no partition {partition}")
    async with _consumer(settings) as consumer:
        consumer.assign([place])
        begin = (await consumer.beginning_offsets([place]))[place]
        end = (await consumer.end_offsets([place]))[place]
        if begin <= offset < end:
            consumer.seek(place, offset)
            for letter in await _read(consumer, {place: offset + 1}):
                if letter.offset == offset:
                    return letter
    raise NotFound(f"there is no dead letter {name}; {place.topic}/{partition} holds {begin} to {end - 1}")


async def marks(
    connection: asyncpg.Connection, topics: Sequence[str]
) -> dict[tuple[str, int, int, datetime], Mark]:
    """What was done about letters of these topics, by their places."""
    return {
        (row["topic"], row["partition"], row["position"], row["written_at"]): Mark(
            row["action"], row["marked_by"], row["marked_at"]
        )
        for row in await connection.fetch(_MARKS, topics)
    }


@asynccontextmanager
async def _consumer(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    async def connect() -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            **client_options(settings, "dlq"),
            enable_auto_commit=False,
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=max(dead_letters(topic).max_message_bytes for topic in SOURCES),
        )
        try:
            await consumer.start()
        except BaseException:
            await consumer.stop()
            raise
        return consumer

    consumer = await until_broker_answers(settings, connect)
    try:
        yield consumer
    finally:
        await consumer.stop()


async def _places(settings: Settings, topics: Iterable[str]) -> list[TopicPartition]:
    # Asked of an administrator: a consumer without topics of its own may forget at any refresh of its
    # metadata what it has just listed.
    offsets = OffsetReader(settings, "dlq")
    try:
        await offsets.start()
        return await offsets.partitions([dead_letters(BY_NAME[topic]).name for topic in topics])
    except UnknownTopicOrPartitionError as error:
        raise RiskflowError(f"{error}; create it with: riskflow topics") from error
    finally:
        await offsets.stop()


async def _read(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> list[Letter]:
    """What lies before `ends`; what is written meanwhile is left out."""
    found: list[Letter] = []
    clock = asyncio.get_running_loop().time
    quiet_since = clock()
    while any([await consumer.position(place) < end for place, end in ends.items()]):
        batch = await consumer.getmany(timeout_ms=POLL_MS)
        if batch:
            quiet_since = clock()
        elif clock() - quiet_since > QUIET_SECONDS:
            raise Unavailable(
                f"the broker sent nothing for {QUIET_SECONDS:g} s in the middle of dead letters"
            )
        for place, records in batch.items():
            found += [letter_of(record) for record in records if record.offset < ends[place]]
    return found


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"-?[0-9]{1,19}", text) else None


def _moment(milliseconds: int | None) -> datetime | None:
    """A record's time; any program may write any 64-bit number there, and an old format has none."""
    try:
        return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None
