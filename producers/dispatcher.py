"""Sends the chunks of open jobs, a bounded number per partition ahead of the workers."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Sequence
from typing import Any

import asyncpg
import structlog
from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata

from producers.lanes import LANES, Lane
from producers.losses import LossProof
from producers.offsets import OffsetReader
from producers.publisher import Publisher
from producers.work import Work
from schemas.database import session
from schemas.faults import is_passing
from schemas.leadership import PATIENT_IDLE_LIMIT, leads
from schemas.metrics import ERRORS, leading, stands_by
from schemas.pauses import pause
from schemas.pulse import Pulse
from schemas.settings import Settings
from schemas.start import asked_of

CHANNEL = "riskflow_chunks"
LEADER_LOCK = "riskflow.dispatcher"
POLL_SECONDS = 1.0
"""How often it looks without being woken (expert assumption)."""
LOSS_SECONDS = 5.0
"""How often chunks in flight are compared with the offsets (expert assumption)."""

log = structlog.get_logger(__name__)

_IN_FLIGHT = """
    SELECT c.partition, count(*) AS chunks
    FROM batch_job_chunks c JOIN batch_job_logs j USING (job_id)
    WHERE c.topic = $1 AND c.sent_at IS NOT NULL AND c.kinds_left > 0 AND j.status IN ('pending', 'running')
    GROUP BY c.partition
"""
# Rows are locked in the sink's order before they are changed, so that the two never wait for each other.
# What was sent for a run before the present one is left out: a resumed job sends its chunks anew.
_MARK = """
    WITH sent AS (
        SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[])
            AS s (chunk_id, partition, position, job_seq)
    ), locked AS (
        SELECT c.chunk_id FROM batch_job_chunks c JOIN sent USING (chunk_id)
        JOIN batch_job_logs j ON (j.job_id, j.job_seq) = (c.job_id, sent.job_seq)
        ORDER BY c.job_id, c.chunk FOR NO KEY UPDATE OF c
    )
    UPDATE batch_job_chunks c
    SET sent_at = clock_timestamp(), partition = s.partition, "offset" = s.position, sends = c.sends + 1
    FROM sent s JOIN locked USING (chunk_id)
    WHERE c.chunk_id = s.chunk_id
"""
_RUNNING = """
    UPDATE batch_job_logs SET status = 'running' WHERE job_id = ANY ($1::text[]) AND status = 'pending'
"""


class Dispatcher:
    """One leader, chosen by a session lock, sends; the others wait for its place."""

    def __init__(
        self, settings: Settings, publisher: Publisher, offsets: OffsetReader, pulse: Pulse | None = None
    ) -> None:
        self._settings = settings
        self._publisher = publisher
        self._offsets = offsets
        self._wake = asyncio.Event()
        self._loop = (pulse or Pulse()).loop("dispatcher")
        stands_by("dispatcher")

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`; an absent database or broker is waited for."""
        while not stop.is_set():
            try:
                async with session(self._settings.dsn, application="dispatcher") as connection:
                    if await leads(connection, LEADER_LOCK, stop, PATIENT_IDLE_LIMIT, self._loop):
                        with leading("dispatcher"):
                            await self._serve(connection, stop)
            except Exception as error:
                if not (is_passing(error) or isinstance(error, KafkaError)):
                    raise
                log.warning("dispatcher starts again", error=f"{type(error).__name__}: {error}")
                ERRORS.labels("dispatcher").inc()
                self._loop.waiting(asked_of(self._settings, error))
                await pause(stop, POLL_SECONDS)

    async def _serve(self, connection: asyncpg.Connection, stop: asyncio.Event) -> None:
        await connection.add_listener(CHANNEL, lambda *_: self._wake.set())
        connection.add_termination_listener(lambda *_: self._wake.set())
        proofs = [LossProof(self._offsets, self._publisher, lane) for lane in LANES]
        clock = asyncio.get_running_loop().time
        check_due = clock()
        while not stop.is_set():
            self._wake.clear()
            if clock() >= check_due:
                for proof in proofs:
                    await proof.check(connection)
                check_due = clock() + LOSS_SECONDS
            await dispatch(connection, self._publisher, self._settings.chunks_ahead)
            self._loop.ready()
            await pause(stop, POLL_SECONDS, self._wake)


async def dispatch(connection: asyncpg.Connection, publisher: Publisher, ahead: int) -> int:
    """Send what fits on each lane, whatever becomes of the others.

    Args:
        connection: Of the leader.
        publisher: Started.
        ahead: Chunks that may be in flight on one partition.

    Returns:
        How many chunks were sent.

    Raises:
        KafkaError: A chunk was not acknowledged; those that were are marked.
    """
    sent, faults = 0, []
    for lane in LANES:
        try:
            sent += await _dispatch(connection, publisher, ahead, lane)
        except KafkaError as error:
            faults.append(error)
    if faults:
        raise faults[0]
    return sent


async def _dispatch(connection: asyncpg.Connection, publisher: Publisher, ahead: int, lane: Lane) -> int:
    """Send what fits on a lane, each chunk to the partition with the fewest in flight."""
    load = dict.fromkeys(await publisher.partitions(lane.topic.name), 0)
    for row in await connection.fetch(_IN_FLIGHT, lane.topic.name):
        if row["partition"] in load:
            load[row["partition"]] = row["chunks"]
    room = sum(max(0, ahead - count) for count in load.values())
    waiting = await lane.unsent(connection, room) if room else []
    if not waiting:
        return 0
    records = [chunk.record() for chunk in waiting]
    outcomes = await publisher.send_all(zip(records, spread(load, len(records)), strict=True))
    sent = [
        (chunk, outcome)
        for chunk, outcome in zip(waiting, outcomes, strict=True)
        if not isinstance(outcome, BaseException)
    ]
    await _mark(connection, sent)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return len(sent)


def spread(load: dict[int, int], count: int) -> list[int]:
    """Partitions for `count` more chunks, each time the one with the fewest in flight."""
    heap = [(chunks, partition) for partition, chunks in load.items()]
    heapq.heapify(heap)
    chosen = []
    for _ in range(count):
        chunks, partition = heap[0]
        heapq.heapreplace(heap, (chunks + 1, partition))
        chosen.append(partition)
    return chosen


async def _mark(connection: asyncpg.Connection, sent: Sequence[tuple[Work[Any], RecordMetadata]]) -> None:
    if not sent:
        return
    await connection.execute(
        _MARK,
        [chunk.chunk_id for chunk, _ in sent],
        [metadata.partition for _, metadata in sent],
        [metadata.offset for _, metadata in sent],
        [chunk.message.job_seq for chunk, _ in sent],
    )
    await connection.execute(_RUNNING, sorted({chunk.job_id for chunk, _ in sent}))
