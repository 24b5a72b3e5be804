"""Triggers become jobs with frozen chunks, or refusals that say what is allowed."""

from __future__ import annotations

from types import SimpleNamespace

import asyncpg
import orjson
import pytest
from flow_samples import GRID, RISKS, accept, as_read, chunk_rows, job_row, plan_job, running
from waiting import until

from consumers.acceptor import Acceptor, plan
from consumers.reader import Reader
from producers.publisher import Publisher
from schemas.codec import Record, encode
from schemas.errors import RefusedTrigger
from schemas.messages import Bbox, Trigger, Window
from schemas.settings import Settings
from schemas.topics import TRIGGERS


def raw(value: bytes, **changes: object) -> SimpleNamespace:
    return as_read(Trigger(job_type="hazard"), **({"value": value, "key": b"", "headers": ()} | changes))


async def letters(connection: asyncpg.Connection) -> list[tuple[bytes, str]]:
    rows = await connection.fetch("SELECT * FROM outbox WHERE topic = 'risk.triggers.v1.dlq' ORDER BY id")
    return [
        (
            row["value"],
            dict(zip(row["header_names"], row["header_values"], strict=True))["dlq-reason"].decode(),
        )
        for row in rows
    ]


async def test_a_trigger_becomes_a_job_with_frozen_chunks(
    connection: asyncpg.Connection, flow_settings: Settings
) -> None:
    trigger = Trigger(
        job_id="job",
        job_type="climate",
        window=Window(start=2001, end=2020),
        risks=["typhoon", "drought", "typhoon"],
        uncertainty=True,
        requested_by="tests",
    )
    await accept(connection, flow_settings, as_read(trigger))

    job = await job_row(connection, "job")
    assert (job["status"], job["total_grids"], job["chunks_total"], job["processed_grids"]) == (
        "pending",
        5,
        3,
        0,
    )
    assert (job["kinds"], job["risks"]) == (["probability", "hazard"], ["drought", "typhoon"])
    assert (job["scenario"], job["window_start"], job["window_end"]) == ("historical", 2001, 2020)
    assert (job["baseline_start"], job["baseline_end"], job["uncertainty"]) == (1991, 2020, True)
    assert (job["requested_by"], job["job_seq"]) == ("tests", 1)
    assert orjson.loads(job["trigger"])["risks"] == ["typhoon", "drought", "typhoon"]
    chunks = await chunk_rows(connection, "job")
    assert [chunk["chunk_id"] for chunk in chunks] == ["job:1", "job:2", "job:3"]
    assert [chunk["kinds_left"] for chunk in chunks] == [2, 2, 2]
    cells = [cell for chunk in chunks for cell in zip(chunk["latitudes"], chunk["longitudes"], strict=True)]
    assert cells == GRID
    # The months that another system had written by plain SQL were packed on the way.
    assert await connection.fetchval("SELECT count(*) FROM climate_packed") == 5
    event = orjson.loads(
        await connection.fetchval("SELECT value FROM outbox WHERE topic = 'risk.job-events.v1'")
    )
    assert (event["state"], event["total_grids"]) == ("accepted", 5)


async def test_a_bbox_takes_its_edges_and_nothing_else(
    connection: asyncpg.Connection, flow_settings: Settings
) -> None:
    bbox = Bbox(min_latitude=36, min_longitude=127.5, max_latitude=38, max_longitude=127.5)
    chunks = await plan_job(connection, flow_settings, "job", bbox=bbox)
    assert [latitude for chunk in chunks for latitude in chunk["latitudes"]] == [36, 37, 38]


async def test_what_a_trigger_leaves_out_comes_from_the_settings(
    connection: asyncpg.Connection, flow_settings: Settings
) -> None:
    settings = flow_settings.model_copy(update={"window_start": 1995, "window_end": 2010})
    planned = await plan(connection, Trigger(job_type="hazard"), settings)
    assert (planned.kinds, planned.risks, planned.scenario) == (("hazard",), RISKS, "historical")
    assert (planned.window.start, planned.window.end, planned.cells) == (1995, 2010, 5)


async def test_the_same_request_again_is_nothing_new_and_another_is_a_dead_letter(
    connection: asyncpg.Connection, flow_settings: Settings
) -> None:
    first = as_read(
        Trigger(job_id="job", job_type="hazard", risks=["drought", "typhoon"], requested_by="one")
    )
    again = as_read(
        Trigger(job_id="job", job_type="hazard", risks=["typhoon", "drought"], requested_by="two")
    )
    other = as_read(Trigger(job_id="job", job_type="probability"))
    await accept(connection, flow_settings, first)
    before = await job_row(connection, "job")
    await accept(connection, flow_settings, again)
    assert await letters(connection) == []
    await accept(connection, flow_settings, other)

    assert await letters(connection) == [
        (other.value, "job_id job belongs to another request; choose another id, or leave it out")
    ]
    assert await job_row(connection, "job") == before
    assert await connection.fetchval("SELECT count(*) FROM batch_job_logs") == 1


async def test_a_trigger_without_an_id_is_named_by_its_place(
    connection: asyncpg.Connection, flow_settings: Settings
) -> None:
    record = as_read(Trigger(job_type="hazard"), offset=7, partition=0)
    await accept(connection, flow_settings, record)
    await accept(connection, flow_settings, record)
    rows = await connection.fetch("SELECT job_id, status FROM batch_job_logs")
    assert [tuple(row) for row in rows] == [("risk.triggers.v1-0-7-1700000000000", "pending")]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"risks": ["drought", "floods"]}, "unknown risk floods; allowed: drought, typhoon"),
        (
            {"scenario": "ssp119"},
            "scenario ssp119 has no data; scenarios with data: historical, ssp245, ssp585",
        ),
        (
            {"bbox": Bbox(min_latitude=10, min_longitude=20, max_latitude=11.5, max_longitude=21)},
            (
                "bbox 10,20,11.5,21 holds no cell; "
                "the grid's 5 cells lie in latitude 35 to 39, longitude 127.5 to 127.5"
            ),
        ),
        (
            {"tenants": ["school"]},
            (
                "tenants and report_date belong to job type weekly; "
                "hazard takes scenario, window, risks, bbox, uncertainty"
            ),
        ),
    ],
)
async def test_a_refusal_names_what_is_allowed(
    connection: asyncpg.Connection, flow_settings: Settings, fields: dict[str, object], sentence: str
) -> None:
    await connection.execute(
        "INSERT INTO climate_extremes (latitude, longitude, scenario, year) "
        "VALUES (35, 127.5, 'ssp245', 2030)"
    )
    await connection.execute(
        "INSERT INTO sea_level_rise (station, scenario, year, rise_mm) VALUES ('busan', 'ssp585', 2030, 100)"
    )
    trigger = Trigger(**({"job_type": "hazard", "job_id": "job"} | fields))
    with pytest.raises(RefusedTrigger) as refusal:
        await plan(connection, trigger, flow_settings)
    assert str(refusal.value) == sentence

    record = as_read(trigger)
    await accept(connection, flow_settings, record)
    await accept(connection, flow_settings, record)
    job = await job_row(connection, "job")
    assert (job["status"], job["error_message"]) == ("failed", sentence)
    assert job["completed_at"] is not None
    assert await letters(connection) == [(record.value, sentence)]
    states = await connection.fetch("SELECT value FROM outbox WHERE topic = 'risk.job-events.v1'")
    assert [orjson.loads(row["value"])["state"] for row in states] == ["refused"]
    assert await chunk_rows(connection, "job") == []


async def test_a_scenario_of_the_sea_alone_is_not_refused(
    connection: asyncpg.Connection, flow_settings: Settings
) -> None:
    await connection.execute(
        "INSERT INTO sea_level_rise (station, scenario, year, rise_mm) VALUES ('busan', 'ssp585', 2030, 100)"
    )
    await connection.execute("INSERT INTO grid_cells (latitude, longitude, coast_km) VALUES (33, 126, 0.5)")
    planned = await plan(connection, Trigger(job_type="hazard", scenario="ssp585"), flow_settings)
    assert (planned.scenario, planned.cells) == ("ssp585", 6)


async def test_an_empty_database_says_what_to_do(database_url: str, flow_settings: Settings) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("DELETE FROM riskflow.risk_types")
        with pytest.raises(RefusedTrigger, match="the database knows no risks; run `riskflow migrate`"):
            await plan(connection, Trigger(job_type="hazard"), flow_settings)
        await connection.execute("INSERT INTO riskflow.risk_types VALUES ('drought', '', '', '', 0)")
        with pytest.raises(
            RefusedTrigger, match=r"has no data; no scenario has data; load some first .riskflow load."
        ):
            await plan(connection, Trigger(job_type="hazard"), flow_settings)
        await connection.execute("INSERT INTO sea_level_stations VALUES ('busan', 35, 129, 0.9, 0.1, 0.05)")
        with pytest.raises(RefusedTrigger, match="the grid has no cells; load climate data or sites first"):
            await plan(connection, Trigger(job_type="hazard"), flow_settings)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"probabilty", "Trigger: not JSON"),
        (b"", "Trigger: the value is empty; expected a JSON object"),
        (b"[1, 2]", "Trigger: expected a JSON object, got list"),
        (b'{"job_type": "hazard", "scenaro": "x"}', "Trigger: scenaro: Extra inputs are not permitted"),
        (b'{"job_type": "hazard", "uncertainty": NaN}', "Trigger: not JSON"),
        (b'{"job_type": "flood"}', "Trigger: job_type: Input should be"),
        (b"\xff\xfe\x00", "Trigger: not JSON"),
    ],
)
async def test_a_broken_trigger_is_a_dead_letter_and_a_failed_job(
    connection: asyncpg.Connection, flow_settings: Settings, value: bytes, reason: str
) -> None:
    told = raw(value, headers=(("job-id", b"notify-1"),))
    await accept(connection, flow_settings, told)
    await accept(connection, flow_settings, told)

    [(kept, said)] = await letters(connection)
    assert bytes(kept) == value
    assert said.startswith(reason)
    [job] = await connection.fetch("SELECT * FROM batch_job_logs")
    assert (job["job_id"], job["status"], job["error_message"]) == ("notify-1", "failed", said)


async def test_a_value_that_the_database_cannot_take_is_a_dead_letter(
    connection: asyncpg.Connection, flow_settings: Settings
) -> None:
    record = as_read(Trigger(job_id="job", job_type="hazard", scenario="a\x00b"))
    await accept(connection, flow_settings, record)
    job = await job_row(connection, "job")
    assert job["status"] == "failed"
    assert "0x00" in job["error_message"]
    assert [bytes(value) for value, _ in await letters(connection)] == [record.value]


async def test_the_id_of_a_broken_trigger_is_searched_in_value_header_key_and_place(
    connection: asyncpg.Connection, flow_settings: Settings
) -> None:
    header = (("job-id", b"from-header"),)
    await accept(
        connection,
        flow_settings,
        raw(b'{"job_id": "from-value", "job_type": 3, "requested_by": "me"}', key=b"key", headers=header),
        raw(b"1", key=b"key", headers=header),
        raw(b"2", key=b"from-key"),
        raw(b"3", key=b"no id at all", offset=9),
    )
    rows = await connection.fetch(
        "SELECT job_id, job_type, requested_by, trigger FROM batch_job_logs ORDER BY id"
    )
    assert [tuple(row)[:3] for row in rows] == [
        ("from-value", "3", "me"),
        ("from-header", "unknown", None),
        ("from-key", "unknown", None),
        ("risk.triggers.v1-0-9-1700000000000", "unknown", None),
    ]
    assert orjson.loads(rows[1]["trigger"]) == "1"


async def test_good_triggers_beside_a_broken_one_are_accepted(
    connection: asyncpg.Connection, flow_settings: Settings
) -> None:
    good = [as_read(Trigger(job_id=f"job-{n}", job_type="hazard")) for n in range(2)]
    await accept(connection, flow_settings, good[0], raw(b"{", key=b"bad"), good[1])
    rows = await connection.fetch("SELECT job_id, status, chunks_total FROM batch_job_logs ORDER BY job_id")
    assert [tuple(row) for row in rows] == [
        ("bad", "failed", 0),
        ("job-0", "pending", 3),
        ("job-1", "pending", 3),
    ]


async def test_an_answered_trigger_of_the_outbox_is_marked(
    connection: asyncpg.Connection, flow_settings: Settings
) -> None:
    good = await connection.fetchval("SELECT riskflow.request('hazard')")
    bad = await connection.fetchval("SELECT riskflow.request('hazard', '{\"risks\": [\"floods\"]}')")
    for row in await connection.fetch("SELECT * FROM outbox WHERE job_id IS NOT NULL"):
        headers = tuple(zip(row["header_names"], row["header_values"], strict=True))
        await accept(connection, flow_settings, raw(row["value"], key=row["key"], headers=headers))
    rows = await connection.fetch(
        "SELECT job_id, answered_at IS NOT NULL FROM outbox WHERE job_id IS NOT NULL ORDER BY id"
    )
    assert [tuple(row) for row in rows] == [(good, True), (bad, True)]
    assert (await job_row(connection, good))["requested_by"].startswith("request by ")


async def test_a_request_with_an_id_that_no_message_may_have_is_refused_at_once(
    connection: asyncpg.Connection,
) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError, match="job_id two words is not allowed"):
        await connection.fetchval("SELECT riskflow.request('hazard', '{\"job_id\": \"two words\"}')")


async def test_any_client_of_the_topic_gets_a_job(connection: asyncpg.Connection, settings: Settings) -> None:
    async with Publisher(settings) as publisher, running(Reader(settings, Acceptor(settings)).run):
        await publisher.send(Record(TRIGGERS.name, b"", b'{"job_type":"hazard","job_id":"mine"}', []))
        await publisher.send(Record(TRIGGERS.name, b"theirs", b"{", []))
        await publisher.send(encode(TRIGGERS, Trigger(job_id="ours", job_type="climate"), source="test"))

        async def answered() -> bool:
            return await connection.fetchval("SELECT count(*) FROM batch_job_logs") == 3

        await until(answered, "three jobs")
    rows = await connection.fetch("SELECT job_id, status FROM batch_job_logs ORDER BY id")
    assert [tuple(row) for row in rows] == [("mine", "pending"), ("theirs", "failed"), ("ours", "pending")]
