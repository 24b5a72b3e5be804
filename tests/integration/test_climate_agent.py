"""The climate agent in a real worker process, on a real broker and a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import numpy as np
import orjson
import pytest
from climate_stage import FUTURE, Stage, Worker, columns, fill

from ops.stack.servers import EmbeddedBroker, EmbeddedPostgres
from schemas.codec import header
from schemas.messages import HazardResult, ProbabilityResult, Window
from schemas.topics import GRID_CHUNKS, HAZARDS, PROBABILITIES, dead_letters
from streams.cells import read_cells, read_tracks
from streams.models.assess import assess
from streams.models.inputs import Years
from streams.models.risks import RISKS
from streams.models.tables import builtin_tables

CELLS = [(33.51, 126.53), (35.1, 129.03), (35.87, 128.6), (37.571, 126.966), (37.75, 128.9)]
MONTH_RISKS = {"drought", "wildfire", "water_scarcity"}
LETTERS = dead_letters(GRID_CHUNKS).name


@pytest.fixture(scope="module")
async def stage(
    postgres: EmbeddedPostgres, migrated_template: str, server_home: Path
) -> AsyncIterator[Stage]:
    server = await asyncpg.connect(postgres.database_url("postgres"))
    broker = EmbeddedBroker(server_home / "climate-agent-broker.log")
    try:
        await server.execute(f"CREATE DATABASE climate_agent TEMPLATE {migrated_template}")
        await broker.start()
        await broker.wait_ready()
        built = await Stage.build(broker, postgres.database_url("climate_agent"))
        await fill(built.database, CELLS)
        yield built
        await built.close()
        await server.execute("DROP DATABASE climate_agent WITH (FORCE)")
    finally:
        await broker.stop()
        await server.close()


@pytest.fixture(scope="module")
async def worker(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worker]:
    process = await Worker.start(tmp_path_factory.mktemp("worker"), stage)
    await process.wait_for("worker ready")
    yield process
    assert await process.stop() == 0


@pytest.mark.usefixtures("worker")
async def test_the_results_are_those_of_the_models_called_directly(stage: Stage) -> None:
    (chunk,) = await stage.plan("direct", [CELLS], uncertainty=True)
    await stage.send(chunk)
    results = await stage.results(chunk)

    window, baseline = Years(2021, 2050), Years(1991, 2020)
    inputs = await read_cells(
        stage.database,
        CELLS,
        scenario="ssp585",
        window=window,
        baseline=baseline,
        risks=list(RISKS),
        tracks=await read_tracks(stage.database, window, baseline),
    )
    expected = assess(inputs, list(RISKS), builtin_tables(), uncertainty=True)
    assert [one["risk_type"] for one in results["probability"]["risks"]] == list(RISKS)
    for name, assessment in expected.items():
        assert assessment.reason.tolist() == [None] * len(CELLS), name
        probability = columns(results["probability"], name)
        np.testing.assert_allclose(probability["probability"], assessment.probability, atol=1e-15)
        np.testing.assert_allclose(probability["aal"], assessment.aal, atol=1e-15)
        np.testing.assert_allclose(
            np.array(probability["aal_p95"], float), np.asarray(assessment.aal_p95), atol=1e-15
        )
        hazard = columns(results["hazard"], name)
        np.testing.assert_allclose(hazard["hazard_score"], assessment.hazard_score, atol=1e-15)
        assert hazard["hazard_level"] == assessment.hazard_level.tolist()


@pytest.mark.usefixtures("worker")
async def test_results_are_valid_messages_that_name_their_chunk(stage: Stage) -> None:
    (chunk,) = await stage.plan("named", [CELLS[:2]])
    await stage.send(chunk)
    results = await stage.results(chunk)

    probability = ProbabilityResult.model_validate(results["probability"])
    hazard = HazardResult.model_validate(results["hazard"])
    for result in (probability, hazard):
        assert (result.job_id, result.job_seq, result.chunk_id) == ("named", chunk.job_seq, "named:1")
        assert (result.scenario, result.window, result.risk_table) == ("ssp585", FUTURE, "built-in")
        assert (result.cells, result.failure) == (CELLS[:2], None)
    (record,) = stage.found(PROBABILITIES.name, "named:1")
    assert header(record.headers, "job-id") == "named"
    assert header(record.headers, "ce_type") == PROBABILITIES.name


@pytest.mark.usefixtures("worker")
async def test_a_job_of_one_kind_and_few_risks_gets_just_these(stage: Stage) -> None:
    (chunk,) = await stage.plan(
        "few", [CELLS[:1]], kinds=["hazard"], risks=["inland_flood"], scenario="historical",
        window=Window(start=1991, end=2020),
    )  # fmt: skip
    (following,) = await stage.plan("after-few", [CELLS[:1]])
    await stage.send(chunk)
    await stage.send(following)
    await stage.results(following)

    results = await stage.results(chunk)
    assert [one["risk_type"] for one in results["hazard"]["risks"]] == ["inland_flood"]
    # In its own baseline every cell has S 0.4333, times 1.0 for a river 3 km away (METHODS, inland flood).
    assert columns(results["hazard"], "inland_flood")["hazard_score"] == pytest.approx([0.433333], abs=1e-6)
    assert stage.found(PROBABILITIES.name, "few:1") == []


@pytest.mark.usefixtures("worker")
async def test_a_cell_without_data_gets_its_reason_and_the_others_their_numbers(stage: Stage) -> None:
    nowhere = (10.0, 10.0)
    (chunk,) = await stage.plan("nowhere", [[CELLS[0], nowhere]])
    await stage.send(chunk)
    results = await stage.results(chunk)

    for name in RISKS.keys() - {"typhoon"}:
        told = columns(results["probability"], name)
        assert told["reason"][0] is None, name
        assert told["reason"][1].startswith("no_data: "), name
        assert told["probability"][0] is not None, name
        assert told["probability"][1] is None, name
        assert told["failure"] == [None, None], name


@pytest.mark.usefixtures("worker")
async def test_one_cell_with_damaged_bytes_fails_alone(stage: Stage) -> None:
    damaged = CELLS[2]
    (sound,) = await stage.plan("sound", [CELLS])
    await stage.send(sound)
    before = await stage.results(sound)
    where = "(latitude, longitude, scenario) = (round($1::numeric, 6), round($2::numeric, 6), 'ssp585')"
    months = await stage.database.fetchval(f"SELECT months FROM climate_packed WHERE {where}", *damaged)  # noqa: S608
    await stage.database.execute(
        f"UPDATE climate_packed SET months = $3 WHERE {where}",  # noqa: S608
        *damaged,
        months[:-5],
    )
    try:
        (chunk,) = await stage.plan("damaged", [CELLS])
        await stage.send(chunk)
        after = await stage.results(chunk)
    finally:
        await stage.database.execute(
            f"UPDATE climate_packed SET months = $3 WHERE {where}",  # noqa: S608
            *damaged,
            months,
        )

    for kind, value in (("probability", "probability"), ("hazard", "hazard_score")):
        for name in RISKS:
            old, new = columns(before[kind], name), columns(after[kind], name)
            failed = [place for place, failure in enumerate(new["failure"]) if failure]
            assert failed == ([2] if name in MONTH_RISKS else []), name
            for place in set(range(len(CELLS))) - set(failed):
                assert new[value][place] == old[value][place], (name, place)
    told = columns(after["probability"], "drought")
    assert told["probability"][2] is None
    assert told["failure"][2].startswith("climate_packed.months has 23035 bytes")


@pytest.mark.usefixtures("worker")
async def test_a_cancelled_job_is_not_computed(stage: Stage) -> None:
    (cancelled,) = await stage.plan("cancelled", [CELLS], status="cancelled")
    (following,) = await stage.plan("after-cancelled", [CELLS])
    await stage.send(cancelled)
    await stage.send(following)
    await stage.results(following)

    assert stage.found(PROBABILITIES.name, "cancelled:1") == []
    assert stage.found(HAZARDS.name, "cancelled:1") == []
    assert await starts(stage, "cancelled:1") == 0
    assert await starts(stage, "after-cancelled:1") == 1


@pytest.mark.usefixtures("worker")
async def test_a_chunk_that_is_done_is_not_computed_again(stage: Stage) -> None:
    (done,) = await stage.plan("done", [CELLS])
    await stage.database.execute("UPDATE batch_job_chunks SET kinds_left = 0 WHERE job_id = 'done'")
    (following,) = await stage.plan("after-done", [CELLS])
    await stage.send(done)
    await stage.send(following)
    await stage.results(following)

    assert stage.found(PROBABILITIES.name, "done:1") == []


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("torn", b'{"job_id": "torn", "chunk', "GridChunk: not JSON"),
        ("empty", None, "GridChunk: the value is empty"),
        ("fieldless", b'{"job_id": "fieldless"}', "job_seq: Field required"),
        ("nan", b'{"cells": [[NaN, 1]]}', "GridChunk: not JSON"),
    ],
)
async def test_an_unreadable_chunk_becomes_a_dead_letter_and_fails_and_the_next_is_computed(
    stage: Stage, name: str, value: bytes | None, reason: str
) -> None:
    unreadable, following = await stage.plan(name, [CELLS[:3], CELLS[3:]])
    headers = [("job-id", name.encode()), ("twice", b"1"), ("twice", b"\xff")]
    await stage.send_raw(f"{name}:1".encode(), value, headers)
    await stage.send(following)

    (letter,) = await stage.records(LETTERS, f"{name}:1")
    assert letter.value == value
    assert list(letter.headers)[:3] == headers
    assert reason in (header(letter.headers, "dlq-reason") or "")
    assert header(letter.headers, "dlq-topic") == GRID_CHUNKS.name
    assert header(letter.headers, "dlq-exception") == "InvalidMessage"
    for result in (await stage.results(unreadable)).values():
        assert reason in result["failure"]
        assert result["risks"] == []
        assert [tuple(cell) for cell in result["cells"]] == CELLS[:3]
    assert (await stage.results(following))["hazard"].get("failure") is None


@pytest.mark.usefixtures("worker")
async def test_a_risk_that_this_worker_does_not_know_fails_the_chunk(stage: Stage) -> None:
    (chunk,) = await stage.plan("unknown-risk", [CELLS], risks=["drought", "hail"])
    await stage.send(chunk)
    results = await stage.results(chunk)

    assert results["probability"]["failure"].startswith("chunk 1: unknown risk hail; this worker knows")
    assert len(await stage.records(LETTERS, "unknown-risk:1")) == 1


@pytest.mark.usefixtures("worker")
async def test_a_chunk_that_the_ledger_does_not_know_is_a_dead_letter_only(stage: Stage) -> None:
    (chunk,) = await stage.plan("known", [CELLS[:1]])
    await stage.send(chunk.model_copy(update={"chunk_id": "stranger:1", "job_id": "stranger"}))
    await stage.send(chunk)
    await stage.results(chunk)

    (letter,) = await stage.records(LETTERS, "stranger:1")
    assert header(letter.headers, "dlq-reason") == "chunk stranger:1 is not in batch_job_chunks"
    assert orjson.loads(letter.value)["chunk_id"] == "stranger:1"
    assert stage.found(PROBABILITIES.name, "stranger:1") == []


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("largest", b'{"text": "' + b"x" * 1_040_000 + b'"}'),
        ("nul\0key", b"no json"),
        (
            "nul-id",
            (
                b'{"job_id": "j", "job_seq": 1, "chunk_id": "j:\\u0000", "chunk": 1, "chunks": 1, '
                b'"kinds": ["hazard"], "risks": ["drought"], "scenario": "s", "cells": [[1, 2]], '
                b'"window": {"start": 2000, "end": 2001}, "baseline": {"start": 2000, "end": 2001}}'
            ),
        ),
    ],
)
async def test_no_letter_is_too_large_or_too_odd_for_the_worker(stage: Stage, key: str, value: bytes) -> None:
    (following,) = await stage.plan(f"after-{key[:3]}-{len(value)}", [CELLS[:1]])
    await stage.send_raw(key.encode(), value, [])
    await stage.send(following)

    assert (await stage.results(following))["hazard"].get("failure") is None
    (letter,) = await stage.records(LETTERS, key)
    assert letter.value == value


async def test_a_chunk_taken_up_before_is_computed_alone(stage: Stage, worker: Worker) -> None:
    before, again, after = await stage.plan("again", [CELLS[:2], CELLS[2:4], CELLS[4:]])
    await stage.database.execute("UPDATE batch_job_chunks SET starts = 1 WHERE chunk_id = 'again:2'")
    for chunk in (before, again, after):
        await stage.send(chunk)
    for chunk in (before, again, after):
        assert (await stage.results(chunk))["probability"].get("failure") is None

    assert await starts(stage, "again:2") == 2
    assert "again:2" in next(line for line in worker.text.splitlines() if "taken up again, alone" in line)


@pytest.mark.usefixtures("worker")
async def test_a_chunk_over_which_the_worker_died_five_times_alone_is_failed(stage: Stage) -> None:
    deadly, following = await stage.plan("deadly", [CELLS[:2], CELLS[2:]])
    await stage.database.execute("UPDATE batch_job_chunks SET starts = 6 WHERE chunk_id = 'deadly:1'")
    await stage.send(deadly)
    await stage.send(following)

    results = await stage.results(deadly)
    assert results["hazard"]["failure"] == "chunk 1: the worker died 5 times over this chunk"
    assert results["hazard"]["risks"] == []
    assert len(await stage.records(LETTERS, "deadly:1")) == 1
    assert (await stage.results(following))["hazard"].get("failure") is None


@pytest.mark.usefixtures("worker")
async def test_a_message_of_the_run_before_a_resumption_is_left_to_the_one_that_follows(stage: Stage) -> None:
    (chunk,) = await stage.plan("resumed", [CELLS[:1]])
    await stage.database.execute("UPDATE batch_job_logs SET job_seq = job_seq + 99 WHERE job_id = 'resumed'")
    for _ in range(6):
        await stage.send(chunk)
    await stage.send(chunk.model_copy(update={"job_seq": chunk.job_seq + 99}))

    assert (await stage.results(chunk))["probability"]["job_seq"] == chunk.job_seq + 99
    assert await starts(stage, "resumed:1") == 1
    assert len(stage.found(PROBABILITIES.name, "resumed:1")) == 1


@pytest.mark.usefixtures("worker")
async def test_a_failure_of_the_run_before_a_resumption_does_not_fail_the_present_one(stage: Stage) -> None:
    (chunk,) = await stage.plan("outrun", [CELLS[:1]])
    await stage.database.execute("UPDATE batch_job_logs SET job_seq = job_seq + 99 WHERE job_id = 'outrun'")
    await stage.send(chunk.model_copy(update={"risks": ["hail"]}))
    await stage.send(chunk.model_copy(update={"job_seq": chunk.job_seq + 99}))

    assert (await stage.results(chunk))["probability"].get("failure") is None
    assert len(await stage.records(LETTERS, "outrun:1")) == 1
    assert len(stage.found(PROBABILITIES.name, "outrun:1")) == 1


@pytest.mark.usefixtures("worker")
async def test_a_database_that_drops_its_connections_costs_no_chunk(stage: Stage) -> None:
    chunks = await stage.plan("dropped", [[cell] * 20 for cell in CELLS])
    dropped = 0
    for chunk in chunks:
        await stage.send(chunk)
        dropped += len(
            await stage.database.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name LIKE 'riskflow worker %'"
            )
        )
    assert dropped > 0
    for chunk in chunks:
        for result in (await stage.results(chunk)).values():
            assert result.get("failure") is None


async def starts(stage: Stage, chunk_id: str) -> int:
    return int(
        await stage.database.fetchval("SELECT starts FROM batch_job_chunks WHERE chunk_id = $1", chunk_id)
    )
