"""Parts of tenants travel on a lane of their own: sent, bounded and proved lost apart from grid chunks."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import asyncpg
import orjson
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import MessageSizeTooLargeError
from flow_samples import accept, as_read, chunk_rows, commit, job_row, plan_job, read_topic, running
from waiting import until
from weekly_rows import REPORT_DATE, TRACEPARENT, tenant_of, weekly_job

from producers.dispatcher import Dispatcher, dispatch
from producers.lanes import GRID, TENANTS
from producers.losses import MAX_LOSSES, LossProof
from producers.offsets import OffsetReader
from producers.publisher import Publisher
from schemas.codec import Record, header
from schemas.messages import Trigger
from schemas.settings import Settings
from schemas.tenant_messages import TenantChunk, TenantMetrics
from schemas.topics import (
    GRID_CHUNKS,
    SINK_GROUP,
    TENANT_CHUNKS,
    TENANT_METRICS,
    TENANT_SINK_GROUP,
    WORKER_GROUP,
)

AHEAD = 2
PARTITIONS = TENANT_CHUNKS.partitions


@pytest.fixture
def proof(offsets: OffsetReader, publisher: Publisher) -> LossProof:
    return LossProof(offsets, publisher, TENANTS)


async def in_flight(connection: asyncpg.Connection, topic: str) -> int:
    return await connection.fetchval(
        "SELECT count(*) FROM batch_job_chunks WHERE topic = $1 AND sent_at IS NOT NULL AND kinds_left > 0",
        topic,
    )


async def pass_by(settings: Settings, *parts: asyncpg.Record) -> None:
    """Commit the workers' group past the parts' messages."""
    places = {TopicPartition(TENANT_CHUNKS.name, part["partition"]): part["offset"] + 1 for part in parts}
    await commit(settings, WORKER_GROUP, places)


async def test_a_part_says_all_that_a_worker_needs(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher
) -> None:
    seoul = tenant_of("seoul-hs", irt_scaling=1.0, thresholds={"omit": {"warn": 0.1}})
    busan = tenant_of("busan-ms", timezone="Europe/Lisbon")
    await weekly_job(connection, "job", (seoul, 3), (busan, 1))
    assert await dispatch(connection, publisher, AHEAD) == 4

    records = await read_topic(settings, TENANT_CHUNKS.name)
    parts = sorted((TenantChunk.model_validate_json(each.value) for each in records), key=lambda p: p.chunk)
    assert [(each.chunk_id, each.org_id, each.part, each.parts) for each in parts] == [
        ("job:1", "seoul-hs", 1, 3),
        ("job:2", "seoul-hs", 2, 3),
        ("job:3", "seoul-hs", 3, 3),
        ("job:4", "busan-ms", 1, 1),
    ]
    assert [(each.first_student, each.before_student) for each in parts] == [
        (None, "s2"),
        ("s2", "s3"),
        ("s3", None),
        (None, None),
    ]
    assert {(each.job_id, each.job_seq, each.report_date) for each in parts} == {("job", 1, REPORT_DATE)}
    assert (parts[0].timezone, parts[0].irt_scaling, parts[0].thresholds.omit.warn) == (
        "Asia/Seoul",
        1.0,
        0.1,
    )
    assert (parts[3].timezone, parts[3].irt_scaling, parts[3].thresholds.omit.warn) == (
        "Europe/Lisbon",
        1.7,
        0.08,
    )
    assert {(each.key, header(each.headers, "job-id")) for each in records} == {
        (b"seoul-hs", "job"),
        (b"busan-ms", "job"),
    }
    assert {header(each.headers, "traceparent").split("-")[1] for each in records} == {
        TRACEPARENT.split("-")[1]
    }
    assert len({each.partition for each in records}) == 4, "parts of one tenant share the workers"
    for row in await chunk_rows(connection, "job"):
        record = next(each for each in records if orjson.loads(each.value)["chunk_id"] == row["chunk_id"])
        assert (row["partition"], row["offset"], row["sends"]) == (record.partition, record.offset, 1)
    assert (await job_row(connection, "job"))["status"] == "running"


async def test_the_parts_that_the_acceptor_plans_cover_every_student_id(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher, tmp_path: Path
) -> None:
    file = tmp_path / "tenants.yaml"
    file.write_text("tenants:\n  - {org_id: seoul-hs, name: Seoul, timezone: Asia/Seoul, language: ko}\n")
    settings = settings.model_copy(update={"tenants_file": file, "students_per_part": 2})
    await connection.execute(
        "INSERT INTO attendance (org_id, student_id, class_date, session, status) "
        "SELECT 'seoul-hs', 's' || n, '2024-11-11', '1', 'present' FROM generate_series(1, 5) AS n"
    )
    trigger = Trigger(job_type="weekly", job_id="week", report_date=date(2024, 11, 18))
    await accept(connection, settings, as_read(trigger))
    assert await dispatch(connection, publisher, AHEAD) == 3
    records = await read_topic(settings, TENANT_CHUNKS.name)
    parts = sorted((TenantChunk.model_validate_json(each.value) for each in records), key=lambda p: p.part)
    assert [(each.part, each.parts, each.first_student, each.before_student) for each in parts] == [
        (1, 3, None, "s3"),
        (2, 3, "s3", "s5"),
        (3, 3, "s5", None),
    ]


async def test_a_long_climate_job_never_holds_a_weekly_one_back_nor_the_reverse(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher
) -> None:
    await connection.execute(
        "INSERT INTO grid_cells (latitude, longitude) "
        "SELECT 40 + n * 0.01, 130 FROM generate_series(1, 35) AS n"
    )
    await plan_job(connection, settings, "long", "hazard")
    assert await dispatch(connection, publisher, AHEAD) == AHEAD * PARTITIONS
    await weekly_job(connection, "weekly", ("large", 17), ("small", 1))
    assert await dispatch(connection, publisher, AHEAD) == AHEAD * PARTITIONS
    assert await dispatch(connection, publisher, AHEAD) == 0
    assert await in_flight(connection, TENANT_CHUNKS.name) == AHEAD * PARTITIONS

    await connection.execute("UPDATE batch_job_chunks SET kinds_left = 0 WHERE job_id = 'long' AND chunk < 4")
    assert await dispatch(connection, publisher, AHEAD) == 3
    await connection.execute(
        "UPDATE batch_job_chunks SET kinds_left = 0 WHERE job_id = 'weekly' AND chunk < 3"
    )
    assert await dispatch(connection, publisher, AHEAD) == 2
    assert await in_flight(connection, GRID_CHUNKS.name) == AHEAD * PARTITIONS
    assert len(await read_topic(settings, GRID_CHUNKS.name)) == AHEAD * PARTITIONS + 3
    assert len(await read_topic(settings, TENANT_CHUNKS.name)) == AHEAD * PARTITIONS + 2


async def test_a_lane_whose_sends_fail_does_not_stop_the_other(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    await plan_job(connection, settings, "grid", "hazard")
    await weekly_job(connection, "weekly", ("seoul-hs", 1))
    enqueue = Publisher._enqueue

    async def refuse_grid(self: Publisher, record: Record, partition: int | None):
        if record.topic == GRID_CHUNKS.name:
            raise MessageSizeTooLargeError
        return await enqueue(self, record, partition)

    monkeypatch.setattr(Publisher, "_enqueue", refuse_grid)
    with pytest.raises(MessageSizeTooLargeError):
        await dispatch(connection, publisher, AHEAD)
    assert await in_flight(connection, GRID_CHUNKS.name) == 0
    assert await in_flight(connection, TENANT_CHUNKS.name) == 1


async def test_parts_of_a_tenant_that_has_ended_and_of_a_cancelled_job_are_not_sent(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher
) -> None:
    await weekly_job(connection, "job", ("busan-ms", 2), ("seoul-hs", 1))
    await weekly_job(connection, "cancelled", ("seoul-hs", 1), status="cancelled")
    await connection.execute(
        "UPDATE batch_job_tenants SET state = 'failed', ended_at = now() WHERE org_id = 'busan-ms'"
    )
    assert await dispatch(connection, publisher, AHEAD) == 1
    assert [each.key for each in await read_topic(settings, TENANT_CHUNKS.name)] == [b"seoul-hs"]


async def test_a_lost_part_is_sent_again_by_the_proof_of_its_own_lane_and_sink(
    connection: asyncpg.Connection,
    settings: Settings,
    publisher: Publisher,
    offsets: OffsetReader,
    proof: LossProof,
) -> None:
    await plan_job(connection, settings, "grid", "hazard")
    await weekly_job(connection, "weekly", ("large", 3))
    await dispatch(connection, publisher, AHEAD)
    parts = await chunk_rows(connection, "weekly")
    result = await publisher.send(Record(TENANT_METRICS.name, b"", b"{}", []))
    assert await proof.check(connection) == 0, "a long queue"
    await pass_by(settings, parts[1])
    assert await LossProof(offsets, publisher, GRID).check(connection) == 0
    passed = {TopicPartition(TENANT_METRICS.name, result.partition): result.offset + 1}
    await commit(settings, SINK_GROUP, passed)
    assert await proof.check(connection) == 0, "its sink has not read the results"
    await commit(settings, TENANT_SINK_GROUP, passed)
    assert await proof.check(connection) == 1
    rows = await connection.fetch("SELECT chunk_id, losses FROM batch_job_chunks WHERE sent_at IS NULL")
    assert [tuple(row) for row in rows] == [("weekly:2", 1)]
    assert await dispatch(connection, publisher, AHEAD) == 1
    assert (await chunk_rows(connection, "weekly"))[1]["sends"] == 2


async def test_the_dispatcher_sends_lost_parts_of_tenants_again_too(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher, offsets: OffsetReader
) -> None:
    await weekly_job(connection, "job", ("seoul-hs", 2))
    await dispatch(connection, publisher, AHEAD)
    await pass_by(settings, (await chunk_rows(connection, "job"))[0])

    async def sends() -> bool:
        return [part["sends"] for part in await chunk_rows(connection, "job")] == [2, 1]

    async with running(Dispatcher(settings, publisher, offsets).run):
        await until(sends, "the second send of the first part")


async def test_five_losses_fail_the_part_with_that_reason(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher, proof: LossProof
) -> None:
    await weekly_job(connection, "job", ("seoul-hs", 2))
    await dispatch(connection, publisher, AHEAD)
    await connection.execute("UPDATE batch_job_chunks SET losses = $1 WHERE chunk = 2", MAX_LOSSES - 1)
    await pass_by(settings, (await chunk_rows(connection, "job"))[1])
    assert await proof.check(connection) == 1
    (record,) = await read_topic(settings, TENANT_METRICS.name)
    failed = TenantMetrics.model_validate_json(record.value)
    assert (record.key, failed.chunk_id, failed.chunk, failed.part, failed.parts) == (
        b"seoul-hs",
        "job:2",
        2,
        2,
        2,
    )
    assert (failed.org_id, failed.report_date, failed.job_seq) == ("seoul-hs", REPORT_DATE, 1)
    assert failed.failure == "lost 5 times: the workers passed it without a result"
    assert failed.students is None
    assert await dispatch(connection, publisher, AHEAD) == 0, "it is not sent again"
