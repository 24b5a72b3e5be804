"""The sink on a real PostgreSQL: rows, outcomes and counters, each counted once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from decimal import Decimal

import asyncpg
import orjson
import pytest
from flow_samples import (
    RISKS,
    as_read,
    chunk_rows,
    committed,
    hazard_columns,
    job_row,
    open_sink,
    plan_job,
    probability_columns,
    result_of,
    running,
    sink,
)
from pydantic import SecretStr
from waiting import until

import consumers.service
from consumers.reader import Reader
from consumers.sink import Sink
from producers.publisher import Publisher
from schemas.codec import Record, encode
from schemas.errors import Unavailable
from schemas.messages import JobEvent
from schemas.settings import Settings
from schemas.topics import HAZARDS, PROBABILITIES

KINDS = ("probability", "hazard")


@pytest.fixture
async def writer(flow_settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    writer = await open_sink(flow_settings)
    yield writer
    await writer.close()


async def events(connection: asyncpg.Connection, job_id: str) -> list[JobEvent]:
    rows = await connection.fetch("SELECT value FROM outbox WHERE topic = 'risk.job-events.v1' ORDER BY id")
    found = [JobEvent.model_validate_json(row["value"]) for row in rows]
    return [event for event in found if event.job_id == job_id]


async def dead_letters(connection: asyncpg.Connection) -> list[asyncpg.Record]:
    return await connection.fetch("SELECT * FROM outbox WHERE topic LIKE '%.dlq' ORDER BY id")


def counters(job: asyncpg.Record | None) -> tuple[str, int, int, int]:
    assert job is not None
    return job["status"], job["total_grids"], job["processed_grids"], job["failed_grids"]


async def test_a_whole_job_ends_completed_with_its_rows(
    connection: asyncpg.Connection, writer: asyncpg.Connection, flow_settings: Settings
) -> None:
    chunks = await plan_job(connection, flow_settings, "job")
    assert [chunk["cells"] for chunk in chunks] == [2, 2, 1]

    for chunk in chunks:
        assert counters(await job_row(connection, "job"))[0] == "pending"
        await sink(writer, flow_settings, *(as_read(result_of(chunk, kind)) for kind in KINDS))

    job = await job_row(connection, "job")
    assert counters(job) == ("completed", 5, 5, 0)
    assert (job["success_rate"], job["chunks_done"], job["error_message"]) == (100.0, 3, None)
    assert job["completed_at"] is not None
    rows = await connection.fetch("SELECT * FROM probability_results ORDER BY latitude, risk_type")
    assert len(rows) == 5 * len(RISKS)
    first = rows[0]
    assert (first["latitude"], first["longitude"]) == (Decimal("35.000000"), Decimal("127.500000"))
    assert (first["risk_type"], first["aal"], first["job_id"]) == ("drought", 0.0025, "job")
    assert orjson.loads(first["probability"]) == [0.75, 0.25, 0.0]
    assert orjson.loads(first["bin_data"]) == [
        {"bin": 1, "lower": None, "upper": 3.0, "unit": "days", "probability": 0.75, "base_damage_rate": 0.0},
        {"bin": 2, "lower": 3.0, "upper": 8.5, "unit": "days", "probability": 0.25, "base_damage_rate": 0.01},
        {"bin": 3, "lower": 8.5, "upper": None, "unit": "days", "probability": 0.0, "base_damage_rate": 0.5},
    ]
    scores = await connection.fetch(
        "SELECT DISTINCT hazard_score, hazard_score_100, hazard_level FROM hazard_results"
    )
    assert [tuple(row) for row in scores] == [(0.5, 50.0, "Medium")]
    assert await connection.fetch("SELECT reported, without_number, failed FROM batch_job_risks") == [
        (10, 0, 0),
        (10, 0, 0),
    ]


async def test_events_carry_totals_and_the_last_one_the_state(
    connection: asyncpg.Connection, writer: asyncpg.Connection, flow_settings: Settings
) -> None:
    chunks = await plan_job(connection, flow_settings, "job", "hazard")
    for chunk in chunks:
        await sink(writer, flow_settings, as_read(result_of(chunk, "hazard")))

    told = await events(connection, "job")
    assert [(event.state, event.processed_grids) for event in told] == [
        ("accepted", 0),
        ("progress", 2),
        ("progress", 4),
        ("completed", 5),
    ]
    assert [event.risks["typhoon"].reported for event in told[1:]] == [2, 4, 5]


async def test_a_replay_counts_nothing_twice(
    connection: asyncpg.Connection, writer: asyncpg.Connection, flow_settings: Settings
) -> None:
    chunks = await plan_job(connection, flow_settings, "job")
    records = [as_read(result_of(chunk, kind)) for chunk in chunks for kind in KINDS]
    await sink(writer, flow_settings, *records)
    before = await job_row(connection, "job")
    told = len(await events(connection, "job"))

    await sink(writer, flow_settings, *records)
    await sink(writer, flow_settings, records[0], records[0], records[3])

    assert await job_row(connection, "job") == before
    assert len(await events(connection, "job")) == told
    assert await connection.fetchval("SELECT count(*) FROM batch_job_outcomes") == 6
    assert await connection.fetchval("SELECT count(*) FROM hazard_results") == 10
    assert await connection.fetchval("SELECT max(reported) FROM batch_job_risks") == 10


async def test_duplicates_within_one_batch_count_once(
    connection: asyncpg.Connection, writer: asyncpg.Connection, flow_settings: Settings
) -> None:
    chunk, *_ = await plan_job(connection, flow_settings, "job", "probability")
    result = result_of(chunk, "probability")
    await sink(writer, flow_settings, *(as_read(result) for _ in range(3)))

    assert counters(await job_row(connection, "job")) == ("pending", 5, 2, 0)
    assert await connection.fetchval("SELECT count(*) FROM probability_results") == 4


async def test_an_older_job_never_overwrites_a_newer_one(
    connection: asyncpg.Connection, writer: asyncpg.Connection, flow_settings: Settings
) -> None:
    older = await plan_job(connection, flow_settings, "older", "hazard")
    newer = await plan_job(connection, flow_settings, "newer", "hazard")
    new = [hazard_columns(risk, 2, score=0.75) for risk in RISKS]
    await sink(writer, flow_settings, as_read(result_of(newer[0], "hazard", risks=new)))
    await sink(writer, flow_settings, *(as_read(result_of(chunk, "hazard")) for chunk in older))
    both = [as_read(result_of(newer[1], "hazard", risks=new)), as_read(result_of(older[1], "hazard"))]
    await sink(writer, flow_settings, *both)

    rows = await connection.fetch(
        "SELECT latitude::integer AS latitude, job_id, hazard_score FROM hazard_results "
        "WHERE risk_type = 'typhoon' ORDER BY latitude"
    )
    assert [tuple(row) for row in rows] == [
        (35, "newer", 0.75),
        (36, "newer", 0.75),
        (37, "newer", 0.75),
        (38, "newer", 0.75),
        (39, "older", 0.5),
    ]
    assert counters(await job_row(connection, "older")) == ("completed", 5, 5, 0)


async def test_newest_of_one_batch_wins_whatever_its_place(
    connection: asyncpg.Connection, writer: asyncpg.Connection, flow_settings: Settings
) -> None:
    older = await plan_job(connection, flow_settings, "older", "hazard")
    newer = await plan_job(connection, flow_settings, "newer", "hazard")
    new = [hazard_columns(risk, 2, score=0.75) for risk in RISKS]
    await sink(
        writer,
        flow_settings,
        as_read(result_of(newer[0], "hazard", risks=new)),
        as_read(result_of(older[0], "hazard")),
    )
    assert await connection.fetch("SELECT DISTINCT job_id, hazard_score FROM hazard_results") == [
        ("newer", 0.75)
    ]


async def test_a_failed_cell_keeps_its_row_and_a_reason_replaces_it(
    connection: asyncpg.Connection, writer: asyncpg.Connection, flow_settings: Settings
) -> None:
    first = await plan_job(connection, flow_settings, "first", "probability")
    await sink(writer, flow_settings, *(as_read(result_of(chunk, "probability")) for chunk in first))
    second = await plan_job(connection, flow_settings, "second", "probability")
    failing = probability_columns("drought", 2, first=0.5).model_copy(
        update={
            "failure": ["singular fit", None],
            "probability": [None, [0.5, 0.25, 0.25]],
            "aal": [None, 0.1],
        }
    )
    silent = probability_columns("typhoon", 2).model_copy(
        update={
            "reason": ["no_data: storms", None],
            "probability": [None, [0.75, 0.25, 0.0]],
            "aal": [None, 0.0025],
        }
    )
    await sink(writer, flow_settings, as_read(result_of(second[0], "probability", risks=[failing, silent])))
    await sink(writer, flow_settings, *(as_read(result_of(chunk, "probability")) for chunk in second[1:]))

    rows = await connection.fetch(
        "SELECT risk_type, job_id, aal, reason, bin_data IS NULL FROM probability_results "
        "WHERE latitude = 35 ORDER BY risk_type"
    )
    assert [tuple(row) for row in rows] == [
        ("drought", "first", 0.0025, None, False),
        ("typhoon", "second", None, "no_data: storms", True),
    ]
    job = await job_row(connection, "second")
    assert counters(job) == ("completed_with_failures", 5, 5, 1)
    assert (job["success_rate"], job["error_message"]) == (80.0, "drought at 35, 127.5: singular fit")
    assert await connection.fetch(
        "SELECT risk_type, reported, without_number, failed FROM batch_job_risks "
        "WHERE job_id = 'second' ORDER BY risk_type"
    ) == [("drought", 5, 0, 1), ("typhoon", 5, 1, 0)]


async def test_cells_that_fail_in_both_kinds_count_once(
    connection: asyncpg.Connection, writer: asyncpg.Connection, flow_settings: Settings
) -> None:
    chunk = (await plan_job(connection, flow_settings, "job"))[0]
    for kind, broken in (("probability", 0), ("hazard", 0), ("hazard", 1)):
        columns = (probability_columns if kind == "probability" else hazard_columns)("drought", 2)
        failure = [None, None]
        failure[0] = "broken" if broken == 0 else None
        failure[1] = "broken too" if kind == "hazard" else None
        other = (probability_columns if kind == "probability" else hazard_columns)("typhoon", 2)
        changed = columns.model_copy(update={"failure": failure})
        await sink(writer, flow_settings, as_read(result_of(chunk, kind, risks=[changed, other])))

    assert counters(await job_row(connection, "job")) == ("pending", 5, 2, 2)


async def test_a_chunk_that_failed_whole_fails_its_cells(
    connection: asyncpg.Connection, writer: asyncpg.Connection, flow_settings: Settings
) -> None:
    for chunk in await plan_job(connection, flow_settings, "job", "hazard"):
        await sink(
            writer,
            flow_settings,
            as_read(result_of(chunk, "hazard", risks=[], failure="the worker died five times")),
        )
    job = await job_row(connection, "job")
    assert counters(job) == ("failed", 5, 5, 5)
    assert (job["success_rate"], job["error_message"]) == (0.0, "the worker died five times")
    assert await connection.fetchval("SELECT count(*) FROM hazard_results") == 0
    assert await connection.fetch("SELECT reported, failed FROM batch_job_risks") == [(5, 5), (5, 5)]


async def test_two_sinks_that_commit_the_last_two_results_at_once_complete_the_job(
    connection: asyncpg.Connection, writer: asyncpg.Connection, flow_settings: Settings
) -> None:
    other = await open_sink(flow_settings)
    try:
        for turn in range(15):
            job_id = f"job-{turn}"
            *chunks, last = await plan_job(connection, flow_settings, job_id)
            await sink(
                writer,
                flow_settings,
                *(as_read(result_of(chunk, kind)) for chunk in chunks for kind in KINDS),
            )
            failing = hazard_columns("drought", 1).model_copy(update={"failure": ["broken"]})
            hazard = result_of(last, "hazard", risks=[failing, hazard_columns("typhoon", 1)])
            await asyncio.gather(
                sink(writer, flow_settings, as_read(result_of(last, "probability"))),
                sink(other, flow_settings, as_read(hazard)),
            )
            assert counters(await job_row(connection, job_id)) == ("completed_with_failures", 5, 5, 1)
            assert [event.state for event in await events(connection, job_id)][
                -1
            ] == "completed_with_failures"
            assert await connection.fetch(
                "SELECT reported FROM batch_job_risks WHERE job_id = $1", job_id
            ) == [(10,), (10,)]
    finally:
        await other.close()


async def test_a_sink_waiting_for_another_counts_what_that_one_committed(
    connection: asyncpg.Connection, writer: asyncpg.Connection, flow_settings: Settings
) -> None:
    *chunks, last = await plan_job(connection, flow_settings, "job")
    await sink(
        writer, flow_settings, *(as_read(result_of(chunk, kind)) for chunk in chunks for kind in KINDS)
    )
    slow = await open_sink(flow_settings)
    failing = hazard_columns("drought", 1).model_copy(update={"failure": ["broken"]})
    hazard = as_read(result_of(last, "hazard", risks=[failing, hazard_columns("typhoon", 1)]))
    transaction = slow.transaction()
    await transaction.start()
    await Sink().store(slow, [hazard])
    waiting = asyncio.create_task(sink(writer, flow_settings, as_read(result_of(last, "probability"))))

    async def blocked() -> bool:
        return bool(
            await connection.fetchval(
                "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock')"
            )
        )

    await until(blocked, "the second sink's wait")
    assert counters(await job_row(connection, "job")) == ("pending", 5, 4, 0)
    await transaction.commit()
    await waiting
    await slow.close()
    assert counters(await job_row(connection, "job")) == ("completed_with_failures", 5, 5, 1)


async def test_poison_among_good_records_is_isolated(
    connection: asyncpg.Connection, writer: asyncpg.Connection, flow_settings: Settings
) -> None:
    chunks = await plan_job(connection, flow_settings, "job", "hazard")
    good, wrong, broken = (as_read(result_of(chunk, "hazard")) for chunk in chunks)
    broken.value = b'{"job_id": "job", '
    poisoned = hazard_columns("drought", 2).model_copy(update={"basis": ["a\x00b", None]})
    wrong = as_read(result_of(chunks[1], "hazard", risks=[poisoned, hazard_columns("typhoon", 2)]))
    await sink(writer, flow_settings, wrong, broken, good)

    job = await job_row(connection, "job")
    assert counters(job) == ("completed_with_failures", 5, 5, 3)
    letters = await dead_letters(connection)
    assert [letter["topic"] for letter in letters] == ["risk.hazards.v1.dlq"] * 2
    assert [bytes(letter["value"]) for letter in letters] == [wrong.value, broken.value]
    headers = dict(zip(letters[1]["header_names"], letters[1]["header_values"], strict=True))
    assert headers["dlq-reason"].startswith(b"HazardResult: not JSON")
    assert headers["dlq-exception"] == b"InvalidMessage"
    assert headers["dlq-offset"] == str(broken.offset).encode()
    assert headers["job-id"] == b"job"
    assert await connection.fetchval("SELECT count(*) FROM hazard_results") == 4


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"risks": [hazard_columns("drought", 2)]}, "asks for drought, typhoon; its result has drought"),
        (
            {"cells": [(35.0, 127.5)], "risks": [hazard_columns(risk, 1) for risk in RISKS]},
            "has 2 cells, its result 1",
        ),
        (
            {
                "risks": [
                    hazard_columns("drought", 2),
                    hazard_columns("typhoon", 2).model_copy(update={"hazard_score": [None, 0.5]}),
                ]
            },
            "typhoon: cell 0 has no number, no reason and no failure",
        ),
    ],
)
async def test_a_result_that_does_not_fit_its_chunk_is_a_dead_letter(
    connection: asyncpg.Connection,
    writer: asyncpg.Connection,
    flow_settings: Settings,
    changes: dict[str, object],
    reason: str,
) -> None:
    chunk = (await plan_job(connection, flow_settings, "job", "hazard"))[0]
    await sink(writer, flow_settings, as_read(result_of(chunk, "hazard", **changes)))

    job = await job_row(connection, "job")
    assert counters(job) == ("pending", 5, 2, 2)
    assert reason in job["error_message"]
    assert len(await dead_letters(connection)) == 1
    assert await connection.fetchval("SELECT count(*) FROM hazard_results") == 0


async def test_bins_that_do_not_fit_the_damage_rates_are_a_dead_letter(
    connection: asyncpg.Connection, writer: asyncpg.Connection, flow_settings: Settings
) -> None:
    chunk = (await plan_job(connection, flow_settings, "job", "probability"))[0]
    short = probability_columns("drought", 2).model_copy(
        update={"probability": [[0.5, 0.5], [0.5, 0.25, 0.25]]}
    )
    record = as_read(result_of(chunk, "probability", risks=[short, probability_columns("typhoon", 2)]))
    await sink(writer, flow_settings, record)
    assert (await job_row(connection, "job"))["error_message"] == "drought: 2 probabilities for 3 bins"


async def test_edges_of_the_cell_stand_in_its_bins(
    connection: asyncpg.Connection, writer: asyncpg.Connection, flow_settings: Settings
) -> None:
    chunk = (await plan_job(connection, flow_settings, "job", "probability"))[0]
    own = probability_columns("drought", 2).model_copy(
        update={"edges": None, "cell_edges": [[10.5, 20.0], [100.0, 200.25]], "unit": '100 % "mm"'}
    )
    record = as_read(result_of(chunk, "probability", risks=[own, probability_columns("typhoon", 2)]))
    await sink(writer, flow_settings, record)
    rows = await connection.fetch(
        "SELECT bin_data FROM probability_results WHERE risk_type = 'drought' ORDER BY latitude"
    )
    bins = [orjson.loads(row["bin_data"]) for row in rows]
    assert [[each["upper"] for each in cell] for cell in bins] == [[10.5, 20.0, None], [100.0, 200.25, None]]
    assert bins[0][0]["unit"] == '100 % "mm"'


async def test_results_of_unknown_jobs_and_older_runs_are_left_out(
    connection: asyncpg.Connection, writer: asyncpg.Connection, flow_settings: Settings
) -> None:
    chunks = await plan_job(connection, flow_settings, "job", "hazard")
    seq = chunks[0]["job_seq"]
    unknown = result_of(chunks[0], "hazard", job_id="gone", chunk_id="gone:1", job_seq=seq + 100)
    late = result_of(chunks[0], "hazard", job_seq=seq - 1)
    uncalled = result_of(chunks[0], "probability")
    await sink(writer, flow_settings, as_read(unknown), as_read(late), as_read(uncalled))

    assert counters(await job_row(connection, "job")) == ("pending", 5, 0, 0)
    assert await connection.fetchval("SELECT count(*) FROM hazard_results") == 0
    assert await dead_letters(connection) == []

    no_key = as_read(result_of(chunks[0], "hazard"), key=b"gone:7", value=b"not json")
    await sink(writer, flow_settings, no_key)
    assert len(await dead_letters(connection)) == 1
    assert await connection.fetchval("SELECT count(*) FROM batch_job_outcomes") == 0


async def test_a_cancelled_job_keeps_its_status(
    connection: asyncpg.Connection, writer: asyncpg.Connection, flow_settings: Settings
) -> None:
    chunks = await plan_job(connection, flow_settings, "job", "hazard")
    await connection.execute("UPDATE batch_job_logs SET status = 'cancelled' WHERE job_id = 'job'")
    await sink(writer, flow_settings, *(as_read(result_of(chunk, "hazard")) for chunk in chunks))

    job = await job_row(connection, "job")
    assert counters(job) == ("cancelled", 5, 5, 0)
    assert job["completed_at"] is None
    assert await connection.fetchval("SELECT count(*) FROM hazard_results") == 10
    assert [event.state for event in await events(connection, "job")] == ["accepted"]


async def test_the_loop_stores_and_commits_behind_the_database(
    connection: asyncpg.Connection, settings: Settings
) -> None:
    chunks = await plan_job(connection, settings, "job")
    async with Publisher(settings) as publisher, running(Reader(settings, Sink()).run):
        for chunk in chunks:
            for kind, topic in (("probability", PROBABILITIES), ("hazard", HAZARDS)):
                await publisher.send(encode(topic, result_of(chunk, kind), source="test"))
        await publisher.send(Record(HAZARDS.name, chunks[0]["chunk_id"].encode(), b"", []))

        async def ended() -> bool:
            job = await job_row(connection, "job")
            return job is not None and job["status"] == "completed" and bool(await dead_letters(connection))

        await until(ended, "the end of the job")
    assert counters(await job_row(connection, "job")) == ("completed", 5, 5, 0)
    assert await committed(settings) == 7


async def test_the_loop_outlives_a_lost_database_session(
    connection: asyncpg.Connection, settings: Settings
) -> None:
    chunks = await plan_job(connection, settings, "job", "hazard")
    async with Publisher(settings) as publisher, running(Reader(settings, Sink()).run):

        async def stored(cells: int) -> bool:
            return counters(await job_row(connection, "job"))[2] == cells

        await publisher.send(encode(HAZARDS, result_of(chunks[0], "hazard"), source="test"))
        await until(lambda: stored(2), "the first chunk")
        killed = await connection.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE application_name = 'riskflow sink' AND datname = current_database()"
        )
        assert killed == 1
        for chunk in chunks[1:]:
            await publisher.send(encode(HAZARDS, result_of(chunk, "hazard"), source="test"))
        await until(lambda: stored(5), "the other chunks")
    assert counters(await job_row(connection, "job")) == ("completed", 5, 5, 0)


async def test_two_readers_share_the_results_and_count_them_once(
    connection: asyncpg.Connection, settings: Settings
) -> None:
    jobs = [f"job-{number}" for number in range(6)]
    for job in jobs:
        await plan_job(connection, settings, job)
    readers = (Reader(settings, Sink()).run, Reader(settings, Sink()).run)
    async with Publisher(settings) as publisher, running(*readers):
        for _ in range(2):
            for job in jobs:
                for chunk in await chunk_rows(connection, job):
                    await publisher.send(
                        encode(PROBABILITIES, result_of(chunk, "probability"), source="test")
                    )
                    await publisher.send(encode(HAZARDS, result_of(chunk, "hazard"), source="test"))

        async def read() -> bool:
            return await committed(settings) == 2 * 2 * 3 * len(jobs)

        await until(read, "the end of the results")
    for job in jobs:
        assert counters(await job_row(connection, job)) == ("completed", 5, 5, 0)
    assert await connection.fetchval("SELECT min(reported) = 10 AND max(reported) = 10 FROM batch_job_risks")
    assert await connection.fetchval("SELECT count(*) FROM hazard_results") == 10


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda dsn: dsn.replace(dsn.split("@")[1].split("/")[0], "127.0.0.1:1"),
            "did not answer within 0.5 s",
        ),
        (lambda dsn: dsn.replace("@", "x@"), "refuses the connection: password authentication failed"),
    ],
)
async def test_a_database_that_cannot_be_used_ends_the_start(
    flow_settings: Settings, change: Callable[[str], str], sentence: str
) -> None:
    dsn = flow_settings.dsn
    wrong = flow_settings.model_copy(update={"database_url": SecretStr(change(dsn)), "start_timeout": 0.5})
    with pytest.raises(Unavailable) as fault:
        await consumers.service.run(wrong, asyncio.Event())
    assert sentence in str(fault.value)
    assert str(fault.value).startswith("database 127.0.0.1:")
    assert dsn.split(":")[2].split("@")[0] not in str(fault.value)
