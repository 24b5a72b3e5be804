"""Dead letters on a broker: kept as they were, listed, shown, replayed, dropped; jobs complete after all."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from itertools import product
from types import SimpleNamespace
from typing import Any

import asyncpg
import orjson
import pytest
from flow_samples import (
    accept,
    as_read,
    chunk_rows,
    job_row,
    open_sink,
    plan_job,
    read_topic,
    result_of,
    sink,
)
from rich.console import Console

from ops import dead_letters, lifecycle
from ops.context import BUSY
from ops.dead_letters import Dropping, Filter, Replaying
from ops.letters import letter_of, read_all, read_one
from producers import chunks
from producers.outbox import Outbox
from producers.publisher import Publisher
from schemas.codec import TRUE_NAMES, Record, dead_letter_headers, encode
from schemas.database import SESSION
from schemas.errors import RiskflowError
from schemas.messages import Trigger
from schemas.settings import Settings
from schemas.topics import GRID_CHUNKS, HAZARDS, TENANT_METRICS, TRIGGERS
from schemas.topics import dead_letters as letters_of

KINDS = ("probability", "hazard")
ODD = [("twice", b"1"), ("twice", b"\xff\xfe"), ("none", None), ("nul\x00name", b"2")]
TRIGGER = {"job_type": "hazard", "risks": ["flood of words"], "job_id": "worded"}


def page() -> Console:
    return Console(file=StringIO(), width=200)


def text(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


async def act(settings: Settings, action: Any, *names: str, **wanted: Any) -> str:
    """What `dlq replay` or `dlq drop` prints, its error at the end."""
    out = page()
    chosen = Filter.of(*(wanted.get(name) for name in ("topic", "reason", "job", "since")))
    try:
        await dead_letters.act(settings, out, names, chosen, action, lambda _: None)
    except RiskflowError as error:
        return f"{text(out)}! {error}"
    return text(out)


async def publish(connection: asyncpg.Connection, publisher: Publisher) -> None:
    """What the bridge does once."""
    await Outbox(publisher).publish(connection)


async def test_a_letter_holds_key_value_and_headers_as_they_were(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher
) -> None:
    told = list(product([None, b"", b"\xff key"], [None, b"", b"\x00\xff no json"]))
    trigger = Trigger(job_type="hazard")
    records = [as_read(trigger, key=key, value=value, headers=ODD) for key, value in told]
    await accept(connection, settings, *records)
    await publish(connection, publisher)

    letters = await read_all(settings, [TRIGGERS.name])
    # aiokafka sends no record that has neither key nor value.
    kept = [(key, b"" if key is None and value is None else value) for key, value in told]
    assert [(letter.key, letter.value) for letter in letters] == kept
    for letter, record in zip(letters, records, strict=True):
        assert letter.headers == ODD
        assert (letter.topic, letter.source) == (TRIGGERS.name, (0, record.offset))
        assert (letter.exception, letter.timestamp) == ("InvalidMessage", record.timestamp)
        assert letter.reason.startswith("Trigger: ")
    assert await read_one(settings, "risk.triggers.v1/0/8") == letters[8]


async def test_a_refused_trigger_is_accepted_once_its_cause_is_mended(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher
) -> None:
    await connection.execute(
        'SELECT riskflow.request(\'hazard\', \'{"risks": ["flood of words"], "job_id": "worded"}\')'
    )
    await publish(connection, publisher)
    (trigger,) = await read_topic(settings, TRIGGERS.name)
    await accept(connection, settings, trigger)
    await publish(connection, publisher)
    out = page()
    await dead_letters.show_list(settings, out, Filter.of(None, "FLOOD", "worded", "1h"), 40)
    assert text(out).startswith("risk.triggers.v1/0/0  20")
    assert "job worded" in text(out)
    assert "unknown risk flood of words" in text(out)

    await connection.execute(
        "INSERT INTO riskflow.risk_types (risk_type, title, intensity, unit, position) "
        "VALUES ('flood of words', '', '', '', 9)"
    )
    said = await act(settings, Replaying("operator"), "risk.triggers.v1/0/0")
    assert said == "risk.triggers.v1/0/0: asked for again as job worded\n"
    await publish(connection, publisher)
    *_, again = await read_topic(settings, TRIGGERS.name)
    assert (again.key, again.value, again.headers) == (trigger.key, trigger.value, trigger.headers)
    await accept(connection, settings, again)
    job = await job_row(connection, "worded")
    assert (job["status"], job["risks"]) == ("pending", ["flood of words"])
    assert await connection.fetchval(
        "SELECT bool_and(answered_at IS NOT NULL) FROM outbox WHERE job_id = 'worded'"
    )

    assert "was replayed by operator at" in await act(settings, Replaying("another"), "risk.triggers.v1/0/0")
    said = await act(settings, Replaying("another", again=True), "risk.triggers.v1/0/0")
    assert "job_id worded belongs to a job that was accepted" in said
    assert "was replayed by operator" in await act(settings, Dropping("another"), "risk.triggers.v1/0/0")
    for marked, shown in ((False, "no dead letters\n"), (True, "replayed by operator")):
        out = page()
        await dead_letters.show_list(settings, out, Filter.of(None, None, None, None, marked=marked), 40)
        assert shown in text(out)


async def test_replayed_results_turn_a_job_with_failures_into_a_completed_one(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher
) -> None:
    planned = await plan_job(connection, settings, "job")
    writer = await open_sink(settings)
    # Somebody has forbidden a level that the models give.
    await connection.execute("ALTER TABLE hazard_results ADD CONSTRAINT own CHECK (hazard_level <> 'Medium')")
    await sink(writer, settings, *(as_read(result_of(chunk, kind)) for chunk in planned for kind in KINDS))
    job = await job_row(connection, "job")
    assert (job["status"], job["failed_grids"]) == ("failed", 5)
    await publish(connection, publisher)
    assert len(await read_all(settings, [HAZARDS.name])) == 3

    await connection.execute("ALTER TABLE hazard_results DROP CONSTRAINT own")
    said = await act(
        settings, Replaying("operator"), topic="risk.hazards.v1.dlq", job="job", reason="CONSTRAINT"
    )
    assert said.splitlines() == [
        f"risk.hazards.v1/0/{offset}: put back on risk.hazards.v1" for offset in range(3)
    ]
    job = await job_row(connection, "job")
    assert (job["status"], job["processed_grids"], job["failed_grids"]) == ("running", 0, 0)
    assert (job["completed_at"], job["error_message"], job["chunks_done"]) == (None, None, 0)

    await publish(connection, publisher)
    await sink(writer, settings, *await read_topic(settings, HAZARDS.name))
    await writer.close()
    job = await job_row(connection, "job")
    assert (job["status"], job["processed_grids"], job["success_rate"]) == ("completed", 5, 100.0)
    assert await connection.fetchval("SELECT count(*) FROM hazard_results") == 10
    risks = await connection.fetch("SELECT reported, without_number, failed FROM batch_job_risks")
    assert [tuple(row) for row in risks] == [(10, 0, 0)] * 2
    said = await act(settings, Replaying("operator", again=True), "risk.hazards.v1/0/0")
    assert "the hazard of chunk job:1 has come since; drop the letter" in said


async def write_letter(publisher: Publisher, topic: Any, key: bytes | None, value: bytes) -> None:
    """A letter as an agent or another reader writes it."""
    headers = dead_letter_headers(
        [("job-id", b"job")], reason="it was so", error=ValueError(), source=(topic.name, 3, 4), timestamp=5
    )
    await publisher.send(Record(letters_of(topic).name, key, value, headers), 0)


async def test_a_replayed_chunk_is_sent_anew_and_whatever_cannot_be_replayed_says_why(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher
) -> None:
    first, second, *_ = await plan_job(connection, settings, "job")
    writer = await open_sink(settings)
    await connection.execute(
        'UPDATE batch_job_chunks SET sent_at = now(), partition = 0, "offset" = 1, starts = 6'
    )
    await sink(
        writer, settings, *(as_read(result_of(first, kind, failure="deadly", risks=[])) for kind in KINDS)
    )
    for key, value in ((b"job:1", b"{}"), (b"job:2", b"{}"), (b"gone:1", b"{}"), (None, b"no json")):
        await write_letter(publisher, GRID_CHUNKS, key, value)
    old = encode(HAZARDS, result_of(second, "hazard", job_seq=first["job_seq"] - 1), source="test")
    await write_letter(publisher, HAZARDS, old.key, old.value)

    names = [*(f"risk.grid-chunks.v1/0/{offset}" for offset in range(4)), "risk.hazards.v1/0/0"]
    said = (await act(settings, Replaying("operator"), *names)).splitlines()
    assert [line.partition(": ")[2] for line in said[:-1]] == [
        "chunk job:1 is computed again",
        "not replayed: chunk job:2 has not failed: it is still to be computed; drop the letter",
        "not replayed: tells of chunk gone:1, which is not in the database; drop the letter",
        "not replayed: tells of a chunk that is not in the database; drop the letter",
        "not replayed: job job was resumed since, and computes this chunk anew; drop the letter",
    ]
    assert said[-1] == "! 4 of 5 letters were left as they are"
    (waiting,) = await chunks.unsent(connection, 10)
    assert (waiting.message.chunk, waiting.message.kinds) == (1, ["probability", "hazard"])
    row = (await chunk_rows(connection, "job"))[0]
    assert (row["starts"], row["losses"], row["kinds_left"]) == (0, 0, 2)
    # The whole transaction of a letter that cannot be replayed is undone, its mark too.
    assert await connection.fetchval("SELECT count(*) FROM dead_letter_marks") == 1

    await lifecycle.cancel(connection, "job", "operator")
    said = await act(settings, Replaying("operator", again=True), "risk.grid-chunks.v1/0/0")
    assert "job job is cancelled; what it lacks is computed by: riskflow jobs resume job" in said
    await connection.execute("UPDATE batch_job_logs SET status = 'failed'")
    await sink(
        writer, settings, *(as_read(result_of(second, kind, failure="deadly", risks=[])) for kind in KINDS)
    )
    await connection.execute("UPDATE batch_job_outcomes SET counts = NULL")
    said = await act(settings, Replaying("operator"), "risk.grid-chunks.v1/0/1")
    assert "recorded by an older version" in said
    assert "riskflow jobs resume job" in said
    await writer.close()


async def test_a_dropped_letter_is_listed_no_more_and_shown_all_the_same(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher
) -> None:
    del connection
    await write_letter(
        publisher, TENANT_METRICS, "학교".encode(), orjson.dumps({"chunk_id": "x", "evil": "\x1b[31m"})
    )
    assert "dropped" in await act(settings, Dropping("operator"), topic="risk.tenant-metrics.v1")
    out = page()
    await dead_letters.show_list(settings, out, Filter.of("risk.tenant-metrics.v1", None, None, None), 40)
    assert text(out) == "no dead letters of this kind\n"
    out = page()
    await dead_letters.show_one(settings, out, "risk.tenant-metrics.v1/0/0")
    shown = text(out)
    for words in (
        "dropped by operator",
        "partition 3, offset 4",
        "ValueError",
        "it was so",
        "학교",
        '"chunk_id": "x"',
    ):
        assert words in shown
    assert "\x1b" not in shown


async def test_hostile_letters_end_no_list_and_steer_no_terminal(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher
) -> None:
    del connection
    evil = "\x9b31m\u202e\nrisk.triggers.v1/0/9"
    headers = [("job-id", evil.encode()), (evil, b"")]
    letter = dead_letter_headers(
        headers, reason=evil, error=ValueError(evil), source=(TRIGGERS.name, 3, 4), timestamp=5
    )
    for number in ("--5", "9" * 5000):
        told = [(name, number.encode() if name == "dlq-partition" else value) for name, value in letter]
        await publisher.send(Record(letters_of(TRIGGERS).name, b"k", evil.encode(), told), 0)
    out = page()
    await dead_letters.show_list(settings, out, Filter.of(None, None, None, None), 40)
    assert len(text(out).splitlines()) == 4
    for offset in (0, 1):
        await dead_letters.show_one(settings, out, f"risk.triggers.v1/0/{offset}")
    assert "came from  risk.triggers.v1\n" in text(out)
    assert "\\x9b31m\\u202e" in text(out)
    assert all(each.isprintable() or each == "\n" for each in text(out))


@pytest.mark.parametrize("timestamp", [2**63 - 1, -(2**63), None])
def test_a_letter_whose_time_no_calendar_has_is_read_all_the_same(timestamp: int | None) -> None:
    record = SimpleNamespace(
        topic="risk.hazards.v1.dlq",
        partition=0,
        offset=2,
        timestamp=timestamp,
        key=None,
        value=b"",
        headers=(),
    )
    letter = letter_of(record)
    assert (letter.written_at, letter.place[3]) == (None, datetime(1970, 1, 1, tzinfo=UTC))
    assert Filter.of(None, None, None, None).lets(letter)
    assert not Filter.of(None, None, None, "1d").lets(letter)


async def test_a_trigger_with_an_odd_header_is_asked_for_again_with_it(
    connection: asyncpg.Connection, settings: Settings, publisher: Publisher
) -> None:
    headers = [("nul\x00name", b"1"), (TRUE_NAMES, b"garbage")]
    record = as_read(Trigger.model_validate(TRIGGER), headers=headers)
    await accept(connection, settings, record)
    await publish(connection, publisher)
    assert "as job worded" in await act(settings, Replaying("operator"), "risk.triggers.v1/0/0")
    await publish(connection, publisher)
    [again] = await read_topic(settings, TRIGGERS.name)
    assert (again.value, list(again.headers)) == (record.value, headers)


async def test_a_letter_whose_rows_are_held_is_named_and_the_others_are_replayed(
    connection: asyncpg.Connection,
    settings: Settings,
    publisher: Publisher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    triggers = [Trigger.model_validate(TRIGGER | {"job_id": name}) for name in ("held", "free")]
    await accept(connection, settings, *map(as_read, triggers))
    await publish(connection, publisher)
    monkeypatch.setitem(SESSION, "lock_timeout", "100ms")
    async with connection.transaction():
        await connection.execute("SELECT FROM batch_job_logs WHERE job_id = 'held' FOR UPDATE")
        said = await act(settings, Replaying("operator"), topic=TRIGGERS.name)
    assert said.splitlines() == [
        f"risk.triggers.v1/0/0: not replayed: the database {BUSY}",
        "risk.triggers.v1/0/1: asked for again as job free",
        "! 1 of 2 letters were left as they are",
    ]


async def test_a_name_that_leads_nowhere_is_told(settings: Settings) -> None:
    for name, sentence in (
        ("risk.triggers.v1/0/7", "there is no dead letter risk.triggers.v1/0/7"),
        ("risk.triggers.v1/9/7", "has no partition 9"),
        ("nonsense", "names no dead letter"),
        ("other/0/1", "there is no topic other"),
    ):
        with pytest.raises(RiskflowError, match=sentence):
            await read_one(settings, name)
    for names, wanted in (((), {}), (("risk.triggers.v1/0/0",), {"topic": "risk.triggers.v1"})):
        assert "name letters, or filter them" in await act(settings, Replaying("operator"), *names, **wanted)


def test_a_letter_of_another_program_has_no_reason_and_is_read_all_the_same() -> None:
    record = SimpleNamespace(
        topic="risk.hazards.v1.dlq",
        partition=0,
        offset=2,
        timestamp=1000,
        key=b"job:1",
        value=b"",
        headers=(),
    )
    letter = letter_of(record)
    assert (letter.id, letter.reason, letter.source, letter.job_id) == (
        "risk.hazards.v1/0/2",
        "not told",
        None,
        "job",
    )
