"""A chunk is sent again when the offsets prove it lost, and only then."""

from __future__ import annotations

import asyncio
from collections import Counter

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from flow_samples import (
    as_read,
    chunk_rows,
    commit,
    job_row,
    open_sink,
    plan_job,
    read_topic,
    result_of,
    running,
    sink,
)
from waiting import until

import consumers.service
import producers.service
from consumers.reader import Reader
from consumers.sink import Sink
from ops.stack.servers import EmbeddedBroker
from producers import dispatcher as dispatcher_module
from producers.dispatcher import Dispatcher, dispatch
from producers.lanes import GRID
from producers.losses import MAX_LOSSES, LossProof
from producers.offsets import OffsetReader
from producers.publisher import Publisher
from producers.topics import create_topics
from schemas.codec import encode
from schemas.messages import GridChunk, JobEvent
from schemas.settings import Settings
from schemas.topics import (
    GRID_CHUNKS,
    HAZARDS,
    JOB_EVENTS,
    PROBABILITIES,
    RESULT_TOPICS,
    SINK_GROUP,
    WORKER_GROUP,
)

AHEAD = 8


@pytest.fixture
def proof(offsets: OffsetReader, publisher: Publisher) -> LossProof:
    return LossProof(offsets, publisher, GRID)


async def send_job(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher, job_type: str = "hazard"
) -> list[asyncpg.Record]:
    await plan_job(connection, settings, "job", job_type)
    await dispatch(connection, publisher, AHEAD)
    return await chunk_rows(connection, "job")


async def pass_by(settings: Settings, *chunks: asyncpg.Record) -> None:
    """Commit the workers' group past the chunks' messages."""
    places = {TopicPartition(GRID_CHUNKS.name, chunk["partition"]): chunk["offset"] + 1 for chunk in chunks}
    await commit(settings, WORKER_GROUP, places)


async def unsent(connection: asyncpg.Connection) -> list[tuple[int, int]]:
    rows = await connection.fetch(
        "SELECT chunk, losses FROM batch_job_chunks WHERE sent_at IS NULL ORDER BY chunk"
    )
    return [tuple(row) for row in rows]


async def test_a_long_queue_is_not_a_loss(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher, proof: LossProof
) -> None:
    chunks = await send_job(connection, settings, publisher)
    assert [await proof.check(connection) for _ in range(3)] == [0, 0, 0]
    # The workers have committed up to the chunk, not past it.
    up_to = {TopicPartition(GRID_CHUNKS.name, chunk["partition"]): chunk["offset"] for chunk in chunks}
    await commit(settings, WORKER_GROUP, up_to)
    assert await proof.check(connection) == 0
    assert await unsent(connection) == []


async def test_a_chunk_that_the_workers_passed_without_a_result_is_sent_again(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher, proof: LossProof
) -> None:
    _, second, _ = await send_job(connection, settings, publisher)
    await pass_by(settings, second)
    assert await proof.check(connection) == 1
    assert await unsent(connection) == [(2, 1)]
    assert await dispatch(connection, publisher, AHEAD) == 1
    again = (await chunk_rows(connection, "job"))[1]
    assert (again["sends"], again["losses"]) == (2, 1)
    assert (again["partition"], again["offset"]) != (second["partition"], second["offset"])
    assert await proof.check(connection) == 0


async def test_a_result_that_the_sink_has_not_reached_is_no_loss(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher, proof: LossProof
) -> None:
    chunks = await send_job(connection, settings, publisher)
    waiting = await publisher.send(encode(HAZARDS, result_of(chunks[0], "hazard"), source="test"))
    await pass_by(settings, chunks[0], chunks[1])
    assert [await proof.check(connection) for _ in range(2)] == [0, 0]

    writer = await open_sink(settings)
    await sink(writer, settings, as_read(result_of(chunks[0], "hazard")))
    await writer.close()
    assert await proof.check(connection) == 0, "the rows are there, the offset is not yet"
    await commit(settings, SINK_GROUP, {TopicPartition(HAZARDS.name, waiting.partition): waiting.offset + 1})
    assert await proof.check(connection) == 1
    assert await unsent(connection) == [(2, 1)]


async def test_results_that_arrive_after_the_suspicion_do_not_put_it_off(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher, proof: LossProof
) -> None:
    chunks = await send_job(connection, settings, publisher)
    first = await publisher.send(encode(HAZARDS, result_of(chunks[0], "hazard"), source="test"), 3)
    await pass_by(settings, chunks[1])
    assert await proof.check(connection) == 0
    await publisher.send(encode(HAZARDS, result_of(chunks[2], "hazard"), source="test"), 3)
    await commit(settings, SINK_GROUP, {TopicPartition(HAZARDS.name, 3): first.offset + 1})
    assert await proof.check(connection) == 1
    assert await unsent(connection) == [(2, 1)]


async def test_a_dropped_result_of_one_kind_is_asked_for_again(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher, proof: LossProof
) -> None:
    chunks = await send_job(connection, settings, publisher, "climate")
    writer = await open_sink(settings)
    await sink(writer, settings, as_read(result_of(chunks[0], "probability")))
    await writer.close()
    await pass_by(settings, chunks[0])
    assert await proof.check(connection) == 1
    await dispatch(connection, publisher, AHEAD)
    messages = [
        GridChunk.model_validate_json(record.value) for record in await read_topic(settings, GRID_CHUNKS.name)
    ]
    kinds = sorted(message.kinds for message in messages if message.chunk == 1)
    assert kinds == [["hazard"], ["probability", "hazard"]]


async def test_the_chunks_of_a_cancelled_job_are_not_suspected(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher, proof: LossProof
) -> None:
    await pass_by(settings, *await send_job(connection, settings, publisher))
    await connection.execute("UPDATE batch_job_logs SET status = 'cancelled'")
    assert await proof.check(connection) == 0
    assert await unsent(connection) == []


async def test_chunks_on_a_broker_that_is_gone_are_sent_again_and_not_counted(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher, own_broker: EmbeddedBroker
) -> None:
    await send_job(connection, settings, publisher)
    await publisher.stop()
    await own_broker.stop()
    await own_broker.start()
    await own_broker.wait_ready()
    await create_topics(Settings(_env_file=None, kafka_bootstrap_servers=own_broker.address))
    await publisher.start()
    fresh = OffsetReader(settings, "test")
    await fresh.start()
    try:
        assert await LossProof(fresh, publisher, GRID).check(connection) == 3
    finally:
        await fresh.stop()
    assert await unsent(connection) == [(1, 0), (2, 0), (3, 0)]
    assert await dispatch(connection, publisher, AHEAD) == 3
    assert len(await read_topic(settings, GRID_CHUNKS.name)) == 3


async def test_five_losses_fail_the_chunk_with_that_reason(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher, proof: LossProof
) -> None:
    await send_job(connection, settings, publisher, "climate")
    for loss in range(1, MAX_LOSSES + 1):
        chunk = (await chunk_rows(connection, "job"))[2]
        assert chunk["losses"] == loss - 1
        await pass_by(settings, chunk)
        assert await proof.check(connection) == 1
        await dispatch(connection, publisher, AHEAD)
    chunk = (await chunk_rows(connection, "job"))[2]
    assert (chunk["losses"], chunk["sends"]) == (MAX_LOSSES, MAX_LOSSES)

    records = [*await read_topic(settings, PROBABILITIES.name), *await read_topic(settings, HAZARDS.name)]
    assert [record.key for record in records] == [b"job:3", b"job:3"]
    writer = await open_sink(settings)
    await sink(writer, settings, *records)
    await writer.close()
    job = await job_row(connection, "job")
    assert (job["processed_grids"], job["failed_grids"], job["chunks_done"]) == (1, 1, 1)
    assert job["error_message"] == "lost 5 times: the workers passed it without a result"
    assert await proof.check(connection) == 0


async def test_the_dispatcher_looks_for_losses_before_its_first_send(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher, offsets: OffsetReader
) -> None:
    chunks = await send_job(connection, settings, publisher)
    await pass_by(settings, *chunks)

    async def ended() -> bool:
        for chunk in await chunk_rows(connection, "job"):
            if chunk["sends"] == 2 and chunk["kinds_left"]:
                await publisher.send(encode(HAZARDS, result_of(chunk, "hazard"), source="test"))
        return (await job_row(connection, "job"))["status"] == "completed"

    async with running(Dispatcher(settings, publisher, offsets).run, Reader(settings, Sink()).run):
        await until(ended, "the end of the job")
    assert [chunk["losses"] for chunk in await chunk_rows(connection, "job")] == [1, 1, 1]


class ForgetfulWorker:
    """Answers chunks as the workers do, but at first drops a third of them and a result of another third."""

    def __init__(self, settings: Settings, publisher: Publisher) -> None:
        self._settings = settings
        self._publisher = publisher
        self._seen: Counter[str] = Counter()

    async def run(self, stop: asyncio.Event) -> None:
        consumer = AIOKafkaConsumer(
            GRID_CHUNKS.name,
            bootstrap_servers=self._settings.kafka_bootstrap_servers,
            group_id=WORKER_GROUP,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=1000,
            heartbeat_interval_ms=300,
            fetch_max_wait_ms=100,
        )
        await consumer.start()
        try:
            while not stop.is_set():
                for place, records in (await consumer.getmany(timeout_ms=100)).items():
                    for record in records:
                        await self._answer(GridChunk.model_validate_json(record.value))
                    await consumer.commit({place: records[-1].offset + 1})
        finally:
            await consumer.stop()

    async def _answer(self, chunk: GridChunk) -> None:
        self._seen[chunk.chunk_id] += 1
        if self._seen[chunk.chunk_id] == 1 and chunk.chunk % 3 == 0:
            return
        row = {
            "job_id": chunk.job_id,
            "job_seq": chunk.job_seq,
            "chunk_id": chunk.chunk_id,
            "chunk": chunk.chunk,
            "latitudes": [latitude for latitude, _ in chunk.cells],
            "longitudes": [longitude for _, longitude in chunk.cells],
        }
        for kind in chunk.kinds:
            if not (self._seen[chunk.chunk_id] == 1 and chunk.chunk % 3 == 1 and kind == "hazard"):
                await self._publisher.send(encode(RESULT_TOPICS[kind], result_of(row, kind), source="test"))


async def test_a_job_ends_whole_though_messages_and_results_are_dropped(
    connection: asyncpg.Connection,
    settings: Settings,
    publisher: Publisher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dispatcher_module, "LOSS_SECONDS", 0.3)
    await connection.execute(
        "INSERT INTO grid_cells (latitude, longitude) "
        "SELECT 40 + n * 0.01, 130 FROM generate_series(1, 25) AS n"
    )
    worker = ForgetfulWorker(settings, publisher)

    async def ended() -> bool:
        job = await job_row(connection, "whole")
        return job is not None and job["completed_at"] is not None

    async with running(
        lambda stop: producers.service.run(settings, stop),
        lambda stop: consumers.service.run(settings, stop),
        worker.run,
    ):
        await connection.fetchval("SELECT riskflow.request('climate', '{\"job_id\": \"whole\"}')")
        await until(ended, "the end of the job")

        async def told() -> bool:
            return not await connection.fetchval("SELECT count(*) FROM outbox WHERE published_at IS NULL")

        await until(told, "the last event")
    job = await job_row(connection, "whole")
    assert (job["status"], job["total_grids"], job["processed_grids"], job["failed_grids"]) == (
        "completed",
        30,
        30,
        0,
    )
    chunks = await chunk_rows(connection, "whole")
    assert [chunk["losses"] for chunk in chunks] == [int(number % 3 != 2) for number in range(1, 16)]
    assert [chunk["sends"] for chunk in chunks] == [1 + int(number % 3 != 2) for number in range(1, 16)]
    assert await connection.fetchval("SELECT count(*) FROM probability_results") == 60
    assert await connection.fetchval("SELECT count(*) FROM hazard_results") == 60
    events = [
        JobEvent.model_validate_json(record.value) for record in await read_topic(settings, JOB_EVENTS.name)
    ]
    assert (events[0].state, events[-1].state) == ("accepted", "completed")
    assert events[-1].risks["drought"].reported == 60
