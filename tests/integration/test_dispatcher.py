"""The dispatcher: in order, bounded, marked, and led by one."""

from __future__ import annotations

from collections import Counter

import asyncpg
import orjson
import pytest
from flow_samples import chunk_rows, job_row, plan_job, read_topic, running
from waiting import until

from producers import dispatcher as dispatcher_module
from producers.dispatcher import Dispatcher, dispatch, spread
from producers.offsets import OffsetReader
from producers.publisher import Publisher
from schemas.codec import header
from schemas.messages import GridChunk
from schemas.settings import Settings
from schemas.topics import GRID_CHUNKS

AHEAD = 2
PARTITIONS = GRID_CHUNKS.partitions
LEADER = (
    "SELECT a.pid FROM pg_stat_activity a JOIN pg_locks l USING (pid) WHERE l.locktype = 'advisory' "
    "AND a.application_name = 'riskflow dispatcher' AND a.datname = current_database() AND l.granted"
)


async def widen_grid(connection: asyncpg.Connection, cells: int) -> None:
    await connection.execute(
        "INSERT INTO grid_cells (latitude, longitude) "
        "SELECT 40 + n * 0.01, 130 FROM generate_series(1, $1) AS n",
        cells,
    )


async def in_flight(connection: asyncpg.Connection) -> Counter[int]:
    rows = await connection.fetch(
        "SELECT partition FROM batch_job_chunks WHERE sent_at IS NOT NULL AND kinds_left > 0"
    )
    return Counter(row["partition"] for row in rows)


async def test_a_chunk_message_says_all_that_a_worker_needs(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher
) -> None:
    await plan_job(connection, settings, "job", risks=["typhoon"], uncertainty=True, scenario="historical")
    assert await dispatch(connection, publisher, AHEAD) == 3

    records = await read_topic(settings, GRID_CHUNKS.name)
    first = min(records, key=lambda record: record.key)
    chunk = GridChunk.model_validate_json(first.value)
    assert (chunk.job_id, chunk.job_seq, chunk.chunk_id, chunk.chunk, chunk.chunks) == (
        "job",
        1,
        "job:1",
        1,
        3,
    )
    assert (chunk.kinds, chunk.risks, chunk.scenario) == (
        ["probability", "hazard"],
        ["typhoon"],
        "historical",
    )
    assert (chunk.window.start, chunk.window.end, chunk.baseline.start) == (1991, 2020, 1991)
    assert chunk.uncertainty is True
    assert chunk.cells == [(35.0, 127.5), (36.0, 127.5)]
    assert (first.key, header(first.headers, "job-id")) == (b"job:1", "job")
    job = await job_row(connection, "job")
    assert job["status"] == "running"
    assert header(first.headers, "traceparent").split("-")[1] == job["traceparent"].split("-")[1]
    for row in await chunk_rows(connection, "job"):
        record = next(each for each in records if each.key.decode() == row["chunk_id"])
        assert (row["partition"], row["offset"], row["sends"]) == (record.partition, record.offset, 1)
        assert row["sent_at"] is not None


async def test_it_never_has_more_in_flight_than_its_bound_and_follows_the_order(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher
) -> None:
    await widen_grid(connection, 35)
    await plan_job(connection, settings, "first", "hazard")
    await plan_job(connection, settings, "second", "hazard")
    assert await dispatch(connection, publisher, AHEAD) == AHEAD * PARTITIONS
    assert await dispatch(connection, publisher, AHEAD) == 0
    assert await in_flight(connection) == dict.fromkeys(range(PARTITIONS), AHEAD)

    done = await connection.fetch(
        "UPDATE batch_job_chunks SET kinds_left = 0 "
        "WHERE job_id = 'first' AND chunk IN (2, 5, 7) RETURNING partition"
    )
    assert await dispatch(connection, publisher, AHEAD) == 3
    assert await in_flight(connection) == dict.fromkeys(range(PARTITIONS), AHEAD)
    sent = await connection.fetch(
        "SELECT job_id, chunk, partition FROM batch_job_chunks "
        "WHERE sent_at IS NOT NULL ORDER BY job_id, chunk"
    )
    assert [tuple(row)[:2] for row in sent] == [("first", chunk) for chunk in range(1, 20)]
    assert sorted(row["partition"] for row in sent[-3:]) == sorted(row["partition"] for row in done)
    assert (await job_row(connection, "second"))["status"] == "pending"

    await connection.execute("UPDATE batch_job_chunks SET kinds_left = 0 WHERE job_id = 'first'")
    assert await dispatch(connection, publisher, AHEAD) == AHEAD * PARTITIONS
    assert (await job_row(connection, "second"))["status"] == "running"


async def test_a_cancelled_job_is_not_sent_and_holds_no_place(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher
) -> None:
    await plan_job(connection, settings, "gone", "hazard")
    assert await dispatch(connection, publisher, 1) == 3
    await connection.execute("UPDATE batch_job_logs SET status = 'cancelled'")
    await plan_job(connection, settings, "unsent", "hazard")
    await connection.execute("UPDATE batch_job_logs SET status = 'cancelled'")
    await widen_grid(connection, 20)
    await plan_job(connection, settings, "next", "hazard")
    assert await dispatch(connection, publisher, 1) == PARTITIONS
    keys = Counter(
        record.key.decode().split(":")[0] for record in await read_topic(settings, GRID_CHUNKS.name)
    )
    assert keys == {"gone": 3, "next": PARTITIONS}


async def test_a_repeat_asks_only_for_the_kinds_that_are_missing(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher
) -> None:
    await plan_job(connection, settings, "job")
    await connection.execute(
        "INSERT INTO batch_job_outcomes (job_id, chunk, kind) VALUES ('job', 2, 'probability')"
    )
    await connection.execute("UPDATE batch_job_chunks SET kinds_left = 1 WHERE chunk = 2")
    await dispatch(connection, publisher, AHEAD)
    kinds = {
        record.key.decode(): orjson.loads(record.value)["kinds"]
        for record in await read_topic(settings, GRID_CHUNKS.name)
    }
    assert kinds == {
        "job:1": ["probability", "hazard"],
        "job:2": ["hazard"],
        "job:3": ["probability", "hazard"],
    }


async def test_two_dispatchers_send_each_chunk_once_and_wake_by_themselves(
    connection: asyncpg.Connection,
    settings: Settings,
    publisher: Publisher,
    offsets: OffsetReader,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dispatcher_module, "POLL_SECONDS", 0.2)
    both = [Dispatcher(settings, publisher, offsets) for _ in range(2)]

    async def sent(count: int) -> bool:
        return sum((await in_flight(connection)).values()) == count

    async with running(*(each.run for each in both)):
        await plan_job(connection, settings, "first", "hazard")
        await until(lambda: sent(3), "the first job's chunks")
        await connection.execute("SELECT pg_terminate_backend($1)", await connection.fetchval(LEADER))
        await plan_job(connection, settings, "second", "hazard")
        await until(lambda: sent(6), "the second job's chunks")
    keys = Counter(record.key for record in await read_topic(settings, GRID_CHUNKS.name))
    assert set(keys.values()) == {1}
    assert len(keys) == 6


async def test_a_dispatcher_that_is_stopped_loses_its_place(
    connection: asyncpg.Connection,
    settings: Settings,
    publisher: Publisher,
    offsets: OffsetReader,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # With a poll that never comes, it says as little to PostgreSQL as one that is stopped.
    monkeypatch.setattr(dispatcher_module, "POLL_SECONDS", 600)
    monkeypatch.setattr(dispatcher_module, "PATIENT_IDLE_LIMIT", "300ms")

    async def leads() -> bool:
        return await connection.fetchval(LEADER) is not None

    async def cut() -> bool:
        return not await leads()

    async with running(Dispatcher(settings, publisher, offsets).run):
        await until(leads, "a leader")
        await until(cut, "the end of its session", limit=5)


def test_each_chunk_goes_to_the_partition_with_the_fewest_in_flight() -> None:
    assert spread({0: 2, 1: 0, 2: 1}, 5) == [1, 1, 2, 0, 1]
