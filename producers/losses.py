"""Proof that a chunk was lost: by offsets and outcomes, never by time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import asyncpg
import structlog
from aiokafka import TopicPartition

from producers.lanes import Lane
from producers.offsets import OffsetReader, Offsets
from producers.publisher import Publisher
from schemas.metrics import CHUNKS_LOST
from schemas.tracing import tracing

MAX_LOSSES = 5
"""Losses that fail a chunk (DESIGN, section 3)."""

log = structlog.get_logger(__name__)

_IN_FLIGHT = """
    SELECT c.chunk_id, c.partition, c."offset" AS position
    FROM batch_job_chunks c JOIN batch_job_logs j USING (job_id)
    WHERE c.topic = $1 AND c.sent_at IS NOT NULL AND c.kinds_left > 0 AND j.status IN ('pending', 'running')
"""
# The offset is compared too: a chunk that was sent again meanwhile is another message.
_UNREPORTED = """
    SELECT c.chunk_id FROM batch_job_chunks c JOIN batch_job_logs j USING (job_id)
    JOIN unnest($1::text[], $2::bigint[]) AS s (chunk_id, position)
        ON s.chunk_id = c.chunk_id AND s.position = c."offset"
    WHERE c.sent_at IS NOT NULL AND c.kinds_left > 0 AND j.status IN ('pending', 'running')
    ORDER BY c.job_id, c.chunk FOR NO KEY UPDATE OF c
"""
_FORGET = """
    UPDATE batch_job_chunks SET sent_at = NULL, partition = NULL, "offset" = NULL
    WHERE chunk_id = ANY ($1::text[])
"""
_COUNT = """
    UPDATE batch_job_chunks
    SET losses = losses + 1,
        sent_at = CASE WHEN losses + 1 < $2 THEN NULL ELSE sent_at END
    WHERE chunk_id = ANY ($1::text[])
"""


@dataclass(frozen=True, slots=True)
class Flight:
    """Where a chunk's message lies."""

    chunk_id: str
    place: TopicPartition
    offset: int


@dataclass(frozen=True, slots=True)
class _Suspicion:
    """Chunks behind the workers' commit, and how far the sink must come before they count as lost."""

    flights: list[Flight] = field(default_factory=list)
    ends: Offsets = field(default_factory=dict)


class LossProof:
    """Finds chunks of a lane that the workers have passed without a result and has them sent again.

    The workers' committed offset proves that a chunk was dealt with, the ends of the result topics,
    read after it, bound where its result can be, and the sink's committed offsets prove that it is
    not there. A long queue is behind none of these.
    """

    def __init__(self, offsets: OffsetReader, publisher: Publisher, lane: Lane) -> None:
        self._offsets = offsets
        self._publisher = publisher
        self._lane = lane
        self._suspicion = _Suspicion()

    async def check(self, connection: asyncpg.Connection) -> int:
        """Look once; returns how many chunks will be sent again.

        Raises:
            KafkaError: The broker did not say its offsets; nothing was changed.
        """
        topic = self._lane.topic.name
        flights = [
            Flight(row["chunk_id"], TopicPartition(topic, row["partition"]), row["position"])
            for row in await connection.fetch(_IN_FLIGHT, topic)
        ]
        if not flights:
            self._suspicion = _Suspicion()
            return 0
        places = await self._offsets.partitions([topic])
        gone = await self._forget_beyond(connection, flights, await self._offsets.ends(places))
        lost = await self._prove(connection)
        if not self._suspicion.flights:
            await self._suspect(flights, places)
            # With an idle sink the proof is complete at once.
            lost += await self._prove(connection)
        return gone + lost

    async def _suspect(self, flights: Iterable[Flight], places: Sequence[TopicPartition]) -> None:
        passed = await self._offsets.passed(self._lane.workers, places)
        behind = [flight for flight in flights if flight.offset < passed.get(flight.place, 0)]
        if behind:
            results = await self._offsets.partitions(topic.name for topic in self._lane.results)
            self._suspicion = _Suspicion(behind, await self._offsets.ends(results))

    async def _prove(self, connection: asyncpg.Connection) -> int:
        suspicion = self._suspicion
        if not suspicion.flights:
            return 0
        passed = await self._offsets.passed(self._lane.sink, suspicion.ends)
        if any(passed[place] < end for place, end in suspicion.ends.items()):
            return 0
        self._suspicion = _Suspicion()
        async with connection.transaction():
            lost = await _unreported(connection, suspicion.flights)
            await self._fail_hopeless(connection, lost)
            await connection.execute(_COUNT, lost, MAX_LOSSES)
        if lost:
            CHUNKS_LOST.labels(self._lane.topic.name).inc(len(lost))
            log.warning("chunks were lost", topic=self._lane.topic.name, chunks=len(lost), first=lost[0])
        return len(lost)

    async def _fail_hopeless(self, connection: asyncpg.Connection, lost: Sequence[str]) -> None:
        reason = f"lost {MAX_LOSSES} times: the workers passed it without a result"
        for chunk in await self._lane.by_id(connection, lost):
            if chunk.losses + 1 >= MAX_LOSSES:
                with tracing(chunk.job_id, chunk.traceparent):
                    log.error("chunk fails", chunk_id=chunk.chunk_id, reason=reason)
                for record in chunk.failures(reason):
                    await self._publisher.send(record)

    async def _forget_beyond(
        self, connection: asyncpg.Connection, flights: Iterable[Flight], ends: Offsets
    ) -> int:
        """A message beyond the log's end was on an older broker: sent again, not counted as a loss."""
        beyond = [flight for flight in flights if flight.offset >= ends.get(flight.place, 0)]
        if not beyond:
            return 0
        async with connection.transaction():
            gone = await _unreported(connection, beyond)
            await connection.execute(_FORGET, gone)
        log.warning("the broker is new; sending again what lay on the old one", chunks=len(gone))
        return len(gone)


async def _unreported(connection: asyncpg.Connection, flights: Sequence[Flight]) -> list[str]:
    rows = await connection.fetch(
        _UNREPORTED, [flight.chunk_id for flight in flights], [flight.offset for flight in flights]
    )
    return [row["chunk_id"] for row in rows]
