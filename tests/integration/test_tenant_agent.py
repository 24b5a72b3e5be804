"""The tenant agent in a real worker process, beside the climate agent, on a real broker and database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import orjson
import pytest
from climate_stage import Stage, Worker
from tenant_stage import (
    answer,
    assess,
    attend,
    day,
    list_students,
    metrics,
    noon,
    part,
    plan_parts,
    send_part,
    snapshot,
)

from ops.stack.servers import EmbeddedBroker, EmbeddedPostgres
from schemas.codec import encode, header
from schemas.settings import Settings
from schemas.tenant_messages import TenantMetrics
from schemas.tenants import OmitThresholds, Thresholds
from schemas.topics import GRID_CHUNKS, TENANT_CHUNKS, TENANT_METRICS, dead_letters

LETTERS = dead_letters(TENANT_CHUNKS).name

LSAT7 = [(0.9876, 1.8559), (1.0808, 0.808), (1.7075, 1.8052), (0.765, 0.486), (0.7357, 1.8545)]
"""Slope and intercept of the five items under the 2PL with D = 1 (METHODS, section 3)."""


@pytest.fixture(scope="module")
async def stage(postgres: EmbeddedPostgres, migrated_template: str, server_home: Any) -> AsyncIterator[Stage]:
    server = await asyncpg.connect(postgres.database_url("postgres"))
    broker = EmbeddedBroker(server_home / "tenant-agent-broker.log")
    try:
        await server.execute(f"CREATE DATABASE tenant_agent TEMPLATE {migrated_template}")
        await broker.start()
        await broker.wait_ready()
        built = await Stage.build(broker, postgres.database_url("tenant_agent"))
        await fill(built.database)
        yield built
        await built.close()
        await server.execute("DROP DATABASE tenant_agent WITH (FORCE)")
    finally:
        await broker.stop()
        await server.close()


@pytest.fixture(scope="module")
async def worker(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worker]:
    process = await Worker.start(tmp_path_factory.mktemp("worker"), stage)
    await process.wait_for("worker ready")
    yield process
    assert await process.stop() == 0


async def fill(database: asyncpg.Connection) -> None:
    """A school of four: ann in every table, bob declining, cy with item responses, and one listed only."""
    await list_students(database, "school", ["ann", "가을"])
    school = database, "school", "ann"
    # Half past midnight of the report date in Seoul: none of this may count.
    await assess(*school, datetime(2026, 11, 15, 15, 30, tzinfo=UTC), theta=5, items=9, omitted=9, c_hat=1)
    await assess(*school, noon(3), theta=0.10, items=20, omitted=3, c_hat=0.2)
    await assess(*school, noon(8), theta=0.50, items=20, omitted=1, c_hat=0.4)
    await assess(*school, noon(17), theta=0.35, items=10, omitted=10, c_hat=0.9)
    await snapshot(*school, day(2), 0.05)
    await snapshot(*school, day(8), 0.90)
    await attend(*school, day(10), "present", "late")
    await attend(*school, day(4), "absent", "absent")
    await attend(*school, day(3), "absent", "excused")
    await attend(*school, day(0), "absent", "absent")
    for back, theta in ((3, 0.0), (10, 0.05), (17, 0.08), (24, 0.1)):
        await snapshot(database, "school", "bob", day(back), theta)
    items = [(slope, -intercept / slope, 0.0) for slope, intercept in LSAT7]
    wrong = [(0, *item) for item in items]
    await answer(database, "school", "cy", noon(2), [*wrong, (None, *items[0]), (1, None, 0.0, 0.0)])
    await answer(database, "school", "cy", noon(9), [*wrong[:4], (1, *items[4])])


@pytest.mark.usefixtures("worker")
async def test_metrics_and_levels_are_those_worked_out_by_hand(stage: Stage) -> None:
    (chunk,) = await plan_parts(stage, "by-hand", "school", irt_scaling=1.0)
    await send_part(stage, chunk)
    result = await metrics(stage, chunk)

    students = result["students"]
    assert students["student_id"] == ["ann", "bob", "cy", "가을"]
    expected: dict[str, list[Any]] = {
        # cy: all five wrong, in the week before only item 5 right; METHODS gives both thetas.
        "theta": [0.05, 0.0, -1.869798, None],
        "delta_theta_7d": [0.05 - 0.50, 0.0 - 0.05, -1.869798 + 1.527265, None],
        "delta_theta_14d": [0.05 - 0.35, 0.0 - 0.08, None, None],
        "omit_rate": [4 / 40, None, None, None],
        "c_hat": [0.3, None, None, None],
        "absence_rate_7d": [3 / 4, None, None, None],
        "absence_rate_14d": [3 / 6, None, None, None],
        "consecutive_absences": [0, None, None, None],
        "decline_weeks": [1, 3, None, None],
    }
    for name, values in expected.items():
        assert students[name] == [value and pytest.approx(value, abs=1e-6) for value in values], name
    assert students["theta_basis"] == ["estimate", "estimate", "eap", None]
    assert students["theta_level"] == ["CRIT", "WARN", "CRIT", "NO_DATA"]
    assert students["omit_level"] == ["WARN", "NO_DATA", "NO_DATA", "NO_DATA"]
    assert students["guess_level"] == ["WARN", "NO_DATA", "NO_DATA", "NO_DATA"]
    assert students["attendance_level"] == ["CRIT", "NO_DATA", "NO_DATA", "NO_DATA"]
    assert students["level"] == ["CRIT", "WARN", "CRIT", "NO_DATA"]


@pytest.mark.usefixtures("worker")
async def test_a_result_is_a_valid_message_that_names_its_part(stage: Stage) -> None:
    _, chunk = await plan_parts(stage, "named", "school", [(None, "b"), ("b", None)])
    await stage.database.execute("UPDATE batch_job_logs SET job_seq = job_seq + 99 WHERE job_id = 'named'")
    await send_part(stage, chunk)
    await send_part(stage, chunk.model_copy(update={"job_seq": chunk.job_seq + 99}))
    result = TenantMetrics.model_validate(await metrics(stage, chunk))

    assert result.students is not None
    assert result.students.student_id == ["bob", "cy", "가을"]
    assert (result.job_id, result.chunk_id, result.chunk) == ("named", "named:2", 2)
    assert (result.org_id, result.part, result.parts) == ("school", 2, 2)
    # A resumed job has a new sequence: the message of the run before is left to the one that follows.
    assert (result.report_date, result.job_seq) == (chunk.report_date, chunk.job_seq + 99)
    record = stage.found(TENANT_METRICS.name, "school")[-1]
    assert header(record.headers, "job-id") == "named"
    assert header(record.headers, "ce_source") == "riskflow/tenant-agent"


@pytest.mark.usefixtures("worker")
async def test_thresholds_and_excused_absence_are_the_messages(stage: Stage) -> None:
    thresholds = Thresholds(omit=OmitThresholds(warn=0.05, crit=0.1))
    excused = thresholds.attendance.model_copy(update={"excused_is_absent": True})
    (chunk,) = await plan_parts(
        stage, "strict", "school", thresholds=thresholds.model_copy(update={"attendance": excused})
    )
    await send_part(stage, chunk)
    students = (await metrics(stage, chunk))["students"]

    assert (students["omit_rate"][0], students["omit_level"][0]) == (0.1, "CRIT")
    assert (students["absence_rate_7d"][0], students["consecutive_absences"][0]) == (1.0, 2)


@pytest.mark.usefixtures("worker")
async def test_a_tenant_without_students_gets_empty_columns(stage: Stage) -> None:
    (chunk,) = await plan_parts(stage, "nobody", "empty-school")
    await send_part(stage, chunk)
    result = await metrics(stage, chunk)

    assert result.get("failure") is None
    assert set(map(tuple, result["students"].values())) == {()}


@pytest.mark.usefixtures("worker")
async def test_a_part_of_a_cancelled_job_or_with_an_outcome_is_not_computed(stage: Stage) -> None:
    (cancelled,) = await plan_parts(stage, "cancelled", "school", status="cancelled")
    (done,) = await plan_parts(stage, "done", "school")
    await stage.database.execute("UPDATE batch_job_chunks SET kinds_left = 0 WHERE job_id = 'done'")
    (following,) = await plan_parts(stage, "after-cancelled", "school")
    for chunk in (cancelled, done, following):
        await send_part(stage, chunk)
    await metrics(stage, following)

    computed = [orjson.loads(record.value)["job_id"] for record in stage.found(TENANT_METRICS.name, "school")]
    assert not {"cancelled", "done"} & set(computed)
    assert await starts(stage, "cancelled:1") == await starts(stage, "done:1") == 0
    assert await starts(stage, "after-cancelled:1") == 1


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"timezone": "Asia/Seol"}, "time zone Asia/Seol is not in the IANA database"),
        ({"timezone": "Seoul9"}, "time zone Seoul9 is not in the IANA database"),
        ({"thresholds": {"omit": {"warn": 0.2, "crit": 0.1}}}, "crit 0.1 must not be below warn 0.2"),
        ({"first_student": "nul\0"}, "invalid byte sequence"),
        ({"report_date": None}, "report_date: Input should be a valid date"),
        ({"report_date": "0001-01-01"}, "report_date: Input should be greater than or equal to 1900-01-01"),
        ({"irt_scaling": 1e300}, "irt_scaling: Input should be less than or equal to 2"),
    ],
)
async def test_a_part_that_asks_for_what_cannot_be_fails_and_the_next_is_computed(
    stage: Stage, fault: dict[str, Any], reason: str
) -> None:
    number = len(stage.seen)
    faulty, following = await plan_parts(stage, f"faulty-{number}", "school", [(None, "b"), ("b", None)])
    record = encode(TENANT_CHUNKS, faulty, source="dispatcher")
    value = orjson.dumps(orjson.loads(record.value) | fault)
    await stage.send_raw(f"letter-{number}".encode(), value, record.headers, topic=TENANT_CHUNKS)
    await send_part(stage, following)

    result = await metrics(stage, faulty)
    assert result["failure"].startswith("part 1 of 2: ")
    assert reason in result["failure"]
    assert (result["part"], result["parts"], result.get("students")) == (1, 2, None)
    assert (await metrics(stage, following))["students"]["student_id"] == ["bob", "cy", "가을"]
    (letter,) = await stage.records(LETTERS, f"letter-{number}")
    assert letter.value == value
    assert reason in (header(letter.headers, "dlq-reason") or "")
    assert header(letter.headers, "dlq-topic") == TENANT_CHUNKS.name


@pytest.mark.usefixtures("worker")
async def test_a_failure_of_the_run_before_a_resumption_does_not_fail_the_present_one(stage: Stage) -> None:
    (chunk,) = await plan_parts(stage, "outrun", "school")
    await stage.database.execute("UPDATE batch_job_logs SET job_seq = job_seq + 99 WHERE job_id = 'outrun'")
    record = encode(TENANT_CHUNKS, chunk, source="dispatcher")
    value = orjson.dumps(orjson.loads(record.value) | {"timezone": "Seoul9"})
    await stage.send_raw(b"outrun", value, record.headers, topic=TENANT_CHUNKS)
    await send_part(stage, chunk.model_copy(update={"job_seq": chunk.job_seq + 99}))

    result = await metrics(stage, chunk)
    assert (result["job_seq"], result.get("failure")) == (chunk.job_seq + 99, None)
    assert len(await stage.records(LETTERS, "outrun")) == 1


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(("key", "value"), [("torn", b'{"job_id": "torn", "chunk'), ("empty", None)])
async def test_an_unreadable_part_is_a_dead_letter_and_the_next_is_computed(
    stage: Stage, key: str, value: bytes | None
) -> None:
    (following,) = await plan_parts(stage, f"after-{key}", "school")
    await stage.send_raw(key.encode(), value, [], topic=TENANT_CHUNKS)
    await send_part(stage, following)

    assert (await metrics(stage, following)).get("failure") is None
    (letter,) = await stage.records(LETTERS, key)
    assert letter.value == value


@pytest.mark.usefixtures("worker")
async def test_the_ledger_knows_a_part_only_among_the_chunks_of_its_topic(stage: Stage) -> None:
    (cells,) = await stage.plan("cells", [[(35.0, 129.0)]])
    await send_part(stage, part("grid-school", job_id="cells", chunk_id=cells.chunk_id))

    (letter,) = await stage.records(LETTERS, "grid-school")
    assert header(letter.headers, "dlq-reason") == "chunk cells:1 is not in batch_job_chunks"
    assert await starts(stage, "cells:1") == 0


@pytest.mark.usefixtures("worker")
async def test_a_part_too_large_for_a_message_says_what_to_do(stage: Stage) -> None:
    await stage.database.execute(
        "INSERT INTO students SELECT 'large', lpad(n::text, 500, 'x') FROM generate_series(1, 1500) n"
    )
    (chunk,) = await plan_parts(stage, "large", "large")
    await send_part(stage, chunk)

    failure = (await metrics(stage, chunk))["failure"]
    assert "bytes for 1500 students; at most 700000 are sent: lower STUDENTS_PER_PART" in failure


@pytest.mark.usefixtures("worker")
async def test_a_part_over_which_the_worker_died_five_times_alone_is_failed(stage: Stage) -> None:
    deadly, again = await plan_parts(stage, "deadly", "school", [(None, "b"), ("b", None)])
    await stage.database.execute(
        "UPDATE batch_job_chunks SET starts = CASE chunk WHEN 1 THEN 6 ELSE 1 END WHERE job_id = 'deadly'"
    )
    await send_part(stage, deadly)
    await send_part(stage, again)

    assert (await metrics(stage, deadly))["failure"] == "part 1 of 2: the worker died 5 times over this chunk"
    assert (await metrics(stage, again)).get("failure") is None
    assert await starts(stage, "deadly:2") == 2


async def test_dead_letters_of_one_agent_do_not_count_for_the_other(stage: Stage, worker: Worker) -> None:
    each = Settings.model_fields["dead_letters_in_a_row"].default - 5
    for number in range(each):
        await stage.send_raw(f"grid-{number}".encode(), b"no json", [])
        await stage.send_raw(b"in-a-row", b"no json", [], topic=TENANT_CHUNKS)
    (following,) = await plan_parts(stage, "after-many", "school")
    await send_part(stage, following)

    assert (await metrics(stage, following)).get("failure") is None
    await stage.records(LETTERS, "in-a-row", each)
    await stage.records(dead_letters(GRID_CHUNKS).name, f"grid-{each - 1}")
    assert worker.process.returncode is None


async def starts(stage: Stage, chunk_id: str) -> int:
    return int(
        await stage.database.fetchval("SELECT starts FROM batch_job_chunks WHERE chunk_id = $1", chunk_id)
    )
