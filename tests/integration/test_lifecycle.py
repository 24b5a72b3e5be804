"""Cancelling and resuming climate jobs: what is counted, what is sent again, and who comes first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from io import StringIO

import asyncpg
import pytest
from flow_samples import RISKS, as_read, chunk_rows, job_row, open_sink, plan_job, result_of, sink
from ledger_recount import counted
from rich.console import Console
from waiting import until

from consumers.sink import Sink
from ops import job_commands, lifecycle
from producers import chunks
from schemas.errors import RiskflowError
from schemas.messages import JobEvent
from schemas.settings import Settings

KINDS = ("probability", "hazard")
FAILURE = {"failure": "chunk 1: no weather", "risks": []}


@pytest.fixture
async def writer(flow_settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    writer = await open_sink(flow_settings)
    yield writer
    await writer.close()


@pytest.fixture
async def person(flow_settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """The session of somebody at the command line."""
    person = await asyncpg.connect(flow_settings.dsn)
    yield person
    await person.close()


def results(chunk: asyncpg.Record, *kinds: str, **changes: object) -> list:
    return [as_read(result_of(chunk, kind, **changes)) for kind in kinds or KINDS]


async def events(connection: asyncpg.Connection, job_id: str = "job") -> list[str]:
    rows = await connection.fetch("SELECT value FROM outbox WHERE topic = 'risk.job-events.v1' ORDER BY id")
    found = [JobEvent.model_validate_json(row["value"]) for row in rows]
    return [event.state for event in found if event.job_id == job_id]


async def test_a_cancelled_job_counts_what_still_comes_and_stays_cancelled(
    connection: asyncpg.Connection, writer: asyncpg.Connection, flow_settings: Settings
) -> None:
    first, second, third = await plan_job(connection, flow_settings, "job")
    await sink(writer, flow_settings, *results(first))
    await lifecycle.cancel(connection, "job", "operator")
    job = await job_row(connection, "job")
    assert (job["status"], job["cancelled_by"], job["processed_grids"]) == ("cancelled", "operator", 2)
    assert await chunks.unsent(connection, 10) == []

    ended = job["completed_at"]
    await sink(writer, flow_settings, *results(second), *results(third))
    job = await job_row(connection, "job")
    assert (job["status"], job["processed_grids"], job["chunks_done"]) == ("cancelled", 5, 3)
    assert job["completed_at"] == ended
    assert (await events(connection))[-1] == "cancelled"
    assert await connection.fetchval("SELECT count(*) FROM hazard_results") == 5 * len(RISKS)

    resumed = await lifecycle.resume(connection, "job", "lee")
    assert (resumed.status, resumed.chunks_left) == ("completed", 0)
    job = await job_row(connection, "job")
    assert (job["status"], job["resumed_by"], job["resumes"]) == ("completed", "lee", 1)
    assert job["completed_at"] > ended
    assert (await events(connection))[-1] == "completed"


async def test_a_resumed_job_sends_only_what_is_missing_under_a_new_place_in_the_order(
    connection: asyncpg.Connection, writer: asyncpg.Connection, flow_settings: Settings
) -> None:
    first, second, _ = await plan_job(connection, flow_settings, "job")
    await connection.execute(
        'UPDATE batch_job_chunks SET sent_at = now(), partition = 1, "offset" = 7, starts = 4, losses = 3'
    )
    await sink(writer, flow_settings, *results(first), *results(second, "hazard"))
    await lifecycle.cancel(connection, "job", "operator")
    await plan_job(connection, flow_settings, "other")
    await lifecycle.resume(connection, "job", "operator")

    waiting = [chunk for chunk in await chunks.unsent(connection, 10) if chunk.job_id == "job"]
    assert [(chunk.message.chunk, chunk.message.kinds) for chunk in waiting] == [
        (2, ["probability"]),
        (3, ["probability", "hazard"]),
    ]
    seqs = {row["job_id"]: row["job_seq"] for row in await connection.fetch("SELECT * FROM batch_job_logs")}
    assert seqs["job"] > seqs["other"]
    assert {chunk.message.job_seq for chunk in waiting} == {seqs["job"]}
    again = await connection.fetch(
        "SELECT sent_at, starts, losses FROM batch_job_chunks WHERE chunk_id ~ 'job:[23]'"
    )
    assert [tuple(row) for row in again] == [(None, 0, 0)] * 2

    # What workers had begun for the run before comes too late; what they do now counts once.
    await sink(writer, flow_settings, *results(second, "probability"))
    assert (await job_row(connection, "job"))["chunks_done"] == 1
    for chunk in (await chunk_rows(connection, "job"))[1:]:
        await sink(writer, flow_settings, *results(chunk), *results(chunk))
    assert (await job_row(connection, "job"))["status"] == "completed"
    assert await connection.fetchval("SELECT DISTINCT job_id FROM hazard_results") == "job"
    assert (await counted(connection, "job"))["risks"] == dict.fromkeys(RISKS, (10, 0, 0))


async def test_failed_chunks_of_a_job_that_has_ended_are_computed_again(
    connection: asyncpg.Connection, writer: asyncpg.Connection, flow_settings: Settings
) -> None:
    first, second, third = await plan_job(connection, flow_settings, "job")
    await sink(writer, flow_settings, *results(first, "hazard", **FAILURE), *results(first, "probability"))
    await sink(writer, flow_settings, *results(second), *results(third))
    assert (await job_row(connection, "job"))["status"] == "completed_with_failures"

    resumed = await lifecycle.resume(connection, "job", "operator")
    assert (resumed.status, resumed.reopened, resumed.chunks_left) == ("running", 1, 1)
    job = await job_row(connection, "job")
    assert (job["processed_grids"], job["failed_grids"], job["error_message"]) == (3, 0, None)
    assert job["completed_at"] is None
    (waiting,) = await chunks.unsent(connection, 10)
    assert (waiting.message.chunk, waiting.message.kinds) == (1, ["hazard"])

    # The failure that the sink reads once more is of the run before.
    await sink(writer, flow_settings, *results(first, "hazard", **FAILURE))
    assert (await job_row(connection, "job"))["status"] == "running"
    (present, *_) = await chunk_rows(connection, "job")
    await sink(writer, flow_settings, *results(present, "hazard"))
    assert (await job_row(connection, "job"))["status"] == "completed"
    assert (await events(connection))[-3:] == ["completed_with_failures", "progress", "completed"]


async def test_failures_recorded_before_counts_were_kept_have_the_whole_job_computed_anew(
    connection: asyncpg.Connection, writer: asyncpg.Connection, flow_settings: Settings
) -> None:
    first, second, third = await plan_job(connection, flow_settings, "job")
    await sink(writer, flow_settings, *results(first, **FAILURE), *results(second), *results(third))
    await connection.execute("UPDATE batch_job_outcomes SET counts = NULL")

    resumed = await lifecycle.resume(connection, "job", "operator")
    assert (resumed.from_start, resumed.chunks_left) == (True, 3)
    assert (await counted(connection, "job")) == {
        "processed_grids": 0,
        "failed_grids": 0,
        "chunks_done": 0,
        "risks": dict.fromkeys(RISKS, (0, 0, 0)),
        "has_error": False,
    }
    for chunk in await chunk_rows(connection, "job"):
        await sink(writer, flow_settings, *results(chunk))
    assert (await job_row(connection, "job"))["status"] == "completed"
    assert (await counted(connection, "job"))["risks"] == dict.fromkeys(RISKS, (10, 0, 0))


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ("completed", "job job has ended: completed; nothing was cancelled"),
        ("completed_with_failures", "job job has ended: completed with failures; nothing was cancelled"),
        ("failed", "job job has ended: failed; nothing was cancelled"),
    ],
)
async def test_what_has_ended_cannot_be_cancelled(
    connection: asyncpg.Connection, flow_settings: Settings, status: str, sentence: str
) -> None:
    await plan_job(connection, flow_settings, "job")
    await connection.execute("UPDATE batch_job_logs SET status = $1", status)
    with pytest.raises(RiskflowError) as error:
        await lifecycle.cancel(connection, "job", "operator")
    assert str(error.value) == sentence


async def refusal(work: Awaitable[object]) -> str:
    with pytest.raises(RiskflowError) as error:
        await work
    return str(error.value)


async def test_each_refusal_says_what_is_the_matter_and_what_to_do(
    connection: asyncpg.Connection, flow_settings: Settings
) -> None:
    await plan_job(connection, flow_settings, "job")
    assert (await refusal(lifecycle.resume(connection, "job", "operator"))).startswith(
        "job job is pending: it goes on"
    )
    await lifecycle.cancel(connection, "job", "operator")
    assert (await refusal(lifecycle.cancel(connection, "job", "lee"))).startswith(
        "job job is cancelled already, by operator at 20"
    )
    unknown = "there is no job nobody; riskflow jobs lists the latest"
    assert await refusal(lifecycle.cancel(connection, "nobody", "operator")) == unknown
    assert await refusal(lifecycle.resume(connection, "nobody", "operator")) == unknown
    await connection.execute("UPDATE batch_job_logs SET status = 'completed'")
    assert (
        await refusal(lifecycle.resume(connection, "job", "operator"))
        == "job job is completed: nothing of it is missing"
    )
    await connection.execute(
        "INSERT INTO batch_job_logs (job_id, job_type, status, error_message) "
        "VALUES ('refused', 'hazard', 'failed', 'no such risk')"
    )
    assert await refusal(lifecycle.cancel(connection, "refused", "operator")) == (
        "job refused was refused and never ran; nothing was cancelled"
    )
    assert "no such risk" in await refusal(lifecycle.resume(connection, "refused", "operator"))


async def waiting_for_gate(connection: asyncpg.Connection) -> bool:
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)"
        )
    )


async def test_a_result_that_is_being_stored_while_its_job_is_cancelled_is_counted_and_ends_nothing(
    connection: asyncpg.Connection,
    writer: asyncpg.Connection,
    person: asyncpg.Connection,
    flow_settings: Settings,
) -> None:
    *before, last = await plan_job(connection, flow_settings, "job")
    for chunk in before:
        await sink(writer, flow_settings, *results(chunk))
    # The job was cancelled before its last result was stored, or it has completed; nothing between.
    transaction = writer.transaction()
    await transaction.start()
    await Sink().store(writer, results(last))
    cancelling = asyncio.create_task(lifecycle.cancel(person, "job", "operator"))
    await until(lambda: waiting_for_gate(connection))
    await transaction.commit()
    assert await refusal(cancelling) == "job job has ended: completed; nothing was cancelled"
    assert (await events(connection))[-1] == "completed"


async def test_a_failure_that_is_being_stored_while_its_job_is_resumed_is_taken_back(
    connection: asyncpg.Connection,
    writer: asyncpg.Connection,
    person: asyncpg.Connection,
    flow_settings: Settings,
) -> None:
    chunk, *_ = await plan_job(connection, flow_settings, "job")
    await lifecycle.cancel(connection, "job", "operator")
    transaction = writer.transaction()
    await transaction.start()
    await Sink().store(writer, results(chunk, **FAILURE))
    resuming = asyncio.create_task(lifecycle.resume(person, "job", "operator"))
    await until(lambda: waiting_for_gate(connection))
    await transaction.commit()
    assert (await resuming).reopened == 2
    assert await connection.fetchval("SELECT count(*) FROM batch_job_outcomes") == 0
    assert len(await chunks.unsent(connection, 10)) == 3


async def test_a_failure_of_the_run_before_that_waits_for_a_resumption_is_left_out(
    connection: asyncpg.Connection,
    writer: asyncpg.Connection,
    person: asyncpg.Connection,
    flow_settings: Settings,
) -> None:
    chunk, *_ = await plan_job(connection, flow_settings, "job")
    await lifecycle.cancel(connection, "job", "operator")
    transaction = person.transaction()
    await transaction.start()
    await lifecycle.resume(person, "job", "operator")
    bad = as_read(result_of(chunk, "hazard", scenario="x\x00y"))
    storing = asyncio.create_task(sink(writer, flow_settings, *results(chunk, **FAILURE), bad))
    await until(lambda: waiting_for_gate(connection))
    await transaction.commit()
    await storing
    assert await connection.fetchval("SELECT count(*) FROM batch_job_outcomes") == 0
    assert (await counted(connection, "job"))["risks"] == dict.fromkeys(RISKS, (0, 0, 0))


async def test_of_two_who_resume_a_job_at_once_one_does(
    connection: asyncpg.Connection, person: asyncpg.Connection, flow_settings: Settings
) -> None:
    await plan_job(connection, flow_settings, "job")
    await lifecycle.cancel(connection, "job", "operator")
    both = await asyncio.gather(
        lifecycle.resume(connection, "job", "operator"),
        lifecycle.resume(person, "job", "lee"),
        return_exceptions=True,
    )
    (refused,) = [each for each in both if isinstance(each, RiskflowError)]
    assert str(refused).startswith("job job is running: it goes on by itself")
    assert (await job_row(connection, "job"))["resumes"] == 1


async def test_the_commands_say_how_far_the_job_is(
    connection: asyncpg.Connection, writer: asyncpg.Connection, flow_settings: Settings
) -> None:
    first, *_ = await plan_job(connection, flow_settings, "job")
    await sink(writer, flow_settings, *results(first, "hazard", **FAILURE), *results(first, "probability"))
    out = Console(file=StringIO(), width=200)
    await job_commands.cancel(flow_settings, "job", out)
    await job_commands.resume(flow_settings, "job", out)
    cancelled, resumed = out.file.getvalue().splitlines()
    assert cancelled.startswith("job is cancelled: 2 of 5 cells were done, their rows stay.")
    assert cancelled.endswith("To go on: riskflow jobs resume job")
    assert resumed.startswith("job runs again: 3 chunks are computed, failed results taken back: 1.")
    with pytest.raises(RiskflowError, match="there is no job nobody"):
        await job_commands.cancel(flow_settings, "nobody", out)
