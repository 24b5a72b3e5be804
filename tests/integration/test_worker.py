"""The worker as a process: how it starts, dies, comes back and stops."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from climate_stage import SCENARIO, Stage, Worker, columns, fill
from tenant_stage import REPORT_DATE, metrics, plan_parts, send_part

from ops.stack.servers import EmbeddedBroker
from schemas.topics import GRID_CHUNKS, PROBABILITIES, TENANT_CHUNKS, WORK_PARTITIONS, WORKER_GROUP, Topic
from streams.agent import WINDOW
from streams.cells import read_cells, read_tracks
from streams.models.assess import assess
from streams.models.inputs import Years
from streams.models.risks import RISKS
from streams.models.tables import builtin_tables

CELLS = [(33.0 + step / 4, 126.0) for step in range(8)]


@pytest.fixture
async def stage(database_url: str, server_home: Path, tmp_path: Path) -> AsyncIterator[Stage]:
    broker = EmbeddedBroker(server_home / f"{tmp_path.name}-broker.log")
    try:
        await broker.start()
        await broker.wait_ready()
        built = await Stage.build(broker, database_url)
        await fill(built.database, CELLS)
        yield built
        await built.close()
    finally:
        await broker.stop()


async def test_after_kill_9_in_the_middle_every_chunk_has_the_results_of_an_undisturbed_run(
    stage: Stage, tmp_path: Path
) -> None:
    chunks = await stage.plan("killed", [[cell] * 24 for cell in CELLS * 2])
    first = await Worker.start(tmp_path / "first", stage)
    await first.wait_for("worker ready")
    for chunk in chunks:
        await stage.send(chunk, partition=chunk.chunk % WORK_PARTITIONS)
    await stage.records(PROBABILITIES.name, chunks[0].chunk_id)
    first.process.kill()
    assert await first.exit_code() == -9
    begun = await stage.database.fetchval("SELECT count(*) FROM batch_job_chunks WHERE starts > 0")
    assert 0 < begun < len(chunks)

    second = await Worker.start(tmp_path / "second", stage)
    results = [await stage.results(chunk) for chunk in chunks]
    assert await second.stop() == 0

    window, baseline = Years(2021, 2050), Years(1991, 2020)
    inputs = await read_cells(
        stage.database,
        CELLS,
        scenario=SCENARIO,
        window=window,
        baseline=baseline,
        risks=list(RISKS),
        tracks=await read_tracks(stage.database, window, baseline),
    )
    expected = assess(inputs, list(RISKS), builtin_tables())
    for number, result in enumerate(results):
        for name, assessment in expected.items():
            aal = columns(result["probability"], name)["aal"]
            assert aal == pytest.approx([assessment.aal[number % len(CELLS)]] * 24, abs=1e-15), name
            score = columns(result["hazard"], name)["hazard_score"]
            assert score == pytest.approx([assessment.hazard_score[number % len(CELLS)]] * 24, abs=1e-15)


async def test_a_stop_finishes_and_commits_what_both_agents_hold(stage: Stage, tmp_path: Path) -> None:
    chunks = await stage.plan("stopped", [[cell] * 24 for cell in CELLS])
    await stage.database.execute(
        "INSERT INTO attendance SELECT 'school', lpad(n::text, 4, '0'), $1::date - d, '1', 'absent' "
        "FROM generate_series(1, 14) d, generate_series(0, 7999) n",
        REPORT_DATE,
    )
    borders = [None, "1000", "2000", "3000", "4000", "5000", "6000", "7000", None]
    parts = await plan_parts(stage, "stopped-weekly", "school", list(itertools.pairwise(borders)))
    worker = await Worker.start(tmp_path / "worker", stage)
    await worker.wait_for("worker ready")
    for chunk, part in zip(chunks, parts, strict=True):
        await send_part(stage, part)
        await stage.send(chunk)
    await metrics(stage, parts[0])
    await stage.records(PROBABILITIES.name, chunks[0].chunk_id)
    assert await worker.stop() == 0

    cells, students = [await committed_offset(stage, 0, topic) for topic in (GRID_CHUNKS, TENANT_CHUNKS)]
    for job_id, committed in (("stopped", cells), ("stopped-weekly", students)):
        started = await stage.database.fetchval(
            "SELECT count(*) FROM batch_job_chunks WHERE starts > 0 AND job_id = $1", job_id
        )
        assert 0 < committed == started, job_id
    for chunk in chunks[:cells]:
        await stage.results(chunk)
    for part in parts[:students]:
        columns = (await metrics(stage, part))["students"]
        assert (len(columns["level"]), set(columns["consecutive_absences"])) == (1000, {14})


async def test_a_fault_beside_the_agents_ends_the_worker_for_a_new_start(
    stage: Stage, tmp_path: Path
) -> None:
    fault = (
        "from streams import service\n"
        "async def watch(*_):\n"
        "    raise RuntimeError('a thread is gone')\n"
        "service.watch = watch\n"
    )
    worker = await Worker.start(tmp_path / "worker", stage, before=fault)
    assert await worker.exit_code() == 3
    assert "a thread is gone" in worker.text


async def test_a_run_of_dead_letters_ends_the_worker_for_a_person_to_look(
    stage: Stage, tmp_path: Path
) -> None:
    worker = await Worker.start(tmp_path / "worker", stage, DEAD_LETTERS_IN_A_ROW="7")
    for _ in range(7):
        await stage.send_raw(b"poison", b"no json", [])

    assert await worker.exit_code() == 78
    last = worker.text.splitlines()[-1]
    assert "the worker ends: 7 messages of risk.grid-chunks.v1 in a row could not be computed" in last
    assert "the last because: GridChunk: not JSON" in last
    assert "riskflow dlq list --topic risk.grid-chunks.v1" in last
    letters = await stage.records(f"{GRID_CHUNKS.name}.dlq", "poison", 7)
    assert {letter.value for letter in letters} == {b"no json"}
    # The last ones of a full window may be refused without being acknowledged.
    assert await committed_offset(stage, partition=0) >= 7 - WINDOW


async def test_the_group_is_joined_only_when_the_kernels_are_compiled(stage: Stage, tmp_path: Path) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=stage.broker.address)
    await admin.start()
    worker = await Worker.start(tmp_path / "worker", stage, NUMBA_CACHE_DIR=str(tmp_path / "empty"))
    looks = 0
    while "kernels ready" not in worker.text:
        members = await group_members(admin)
        # Ready may have been said while the broker answered.
        assert members == 0 or "kernels ready" in worker.text
        looks += 1
    await worker.wait_for("worker ready")
    assert looks > 1
    assert await group_members(admin) == 1
    await admin.close()
    assert await worker.stop() == 0


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"NO_CYTHON": "1"}, "Faust's compiled stream iterator is not there"),
        (
            {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "START_TIMEOUT": "1"},
            "broker 127.0.0.1:1 does not answer; retrying for 1 s",
        ),
        (
            {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing", "START_TIMEOUT": "1"},
            "database 127.0.0.1:1/nothing does not answer; retrying for 1 s",
        ),
        ({"RISKS_FILE": "missing.toml"}, "RISKS_FILE: [Errno 2] No such file or directory: 'missing.toml'"),
    ],
)
async def test_a_worker_that_cannot_start_says_why_and_fails(
    stage: Stage, tmp_path: Path, environment: dict[str, str], sentence: str
) -> None:
    worker = await Worker.start(tmp_path / "worker", stage, **environment)

    assert await worker.exit_code() == 1
    assert sentence in worker.text


async def committed_offset(stage: Stage, partition: int, topic: Topic = GRID_CHUNKS) -> int:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=stage.broker.address, group_id=WORKER_GROUP, enable_auto_commit=False
    )
    await consumer.start()
    try:
        return await consumer.committed(TopicPartition(topic.name, partition)) or 0
    finally:
        await consumer.stop()


async def group_members(admin: AIOKafkaAdminClient) -> int:
    (answer,) = await admin.describe_consumer_groups([WORKER_GROUP])
    return sum(len(group[5]) for group in answer.groups)
