"""Triggers that are too large, too deep or no text: refused in bounded words, and the next is accepted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import asyncpg
import orjson
import pytest
from flow_samples import as_read

from consumers.acceptor import Acceptor
from consumers.reader import Reader
from ops import trigger as triggers
from schemas.codec import MAX_REASON
from schemas.errors import RefusedTrigger
from schemas.messages import Trigger
from schemas.settings import Settings
from schemas.topics import TRIGGERS, dead_letters

LONG = "x" * 900_000
DEEP = b"[" * 450_000 + b"]" * 450_000
NESTED = b'{"job_type": "hazard", "more": ' + b"[" * 900 + b"]" * 900 + b"}"

HOSTILE = {
    "deep": DEEP,
    "nested below the parser's limit": NESTED,
    "id": orjson.dumps({"job_type": "hazard", "job_id": LONG}),
    "unknown field": orjson.dumps({"job_type": "hazard", LONG: 1}),
    "many unknown fields": orjson.dumps({"job_type": "hazard"} | {f"f{place}": 1 for place in range(50_000)}),
    "job type": orjson.dumps({"job_type": LONG}),
    "scenario": orjson.dumps({"job_type": "hazard", "scenario": LONG}),
    "requested by": orjson.dumps({"job_type": "hazard", "requested_by": LONG}),
    "risks": orjson.dumps({"job_type": "hazard", "risks": [f"risk{place}" for place in range(50_000)]}),
    "tenants": orjson.dumps({"job_type": "weekly", "tenants": [f"t{place}" for place in range(80_000)]}),
    "number": b'{"job_type": "hazard", "window": {"start": 1e400, "end": 2020}}',
    "year": b'{"job_type": "hazard", "window": {"start": ' + b"9" * 4000 + b', "end": 2020}}',
    "not a number": b'{"job_type": "hazard", "bbox": {"min_latitude": NaN}}',
    "no text": b"\xff\xfe\x00\x01",
    "nul": orjson.dumps({"job_type": "haz\x00ard", "requested_by": "\x00"}),
    "surrogate": b'{"job_type": "hazard", "scenario": "\\ud800"}',
}


def raw(value: bytes, offset: int, **changes: Any) -> SimpleNamespace:
    return as_read(Trigger(job_type="hazard"), **({"value": value, "offset": offset} | changes))


@pytest.fixture
def reader(flow_settings: Settings) -> Reader:
    return Reader(flow_settings, Acceptor(flow_settings))


async def test_every_hostile_trigger_is_refused_in_bounded_words(
    connection: asyncpg.Connection, reader: Reader
) -> None:
    records = [raw(value, place) for place, value in enumerate(HOSTILE.values())]
    records.append(raw(b"{", 90, key=LONG.encode()))
    records.append(raw(b"{", 91, headers=(("job-id", LONG.encode()), ("x", b"\xff" * 500_000))))
    await reader._store(connection, [*records, raw(b'{"job_type": "hazard"}', 99)])

    jobs = await connection.fetch("SELECT job_id, status, error_message FROM batch_job_logs")
    states = [job["status"] for job in jobs]
    assert states.count("pending") == 1
    assert states.count("failed") == len(states) - 1
    assert max(len(job["error_message"] or "") for job in jobs) <= MAX_REASON
    assert max(len(job["job_id"]) for job in jobs) <= 200

    letters = await connection.fetch("SELECT * FROM outbox WHERE topic = 'risk.triggers.v1.dlq' ORDER BY id")
    assert [letter["value"] for letter in letters] == [record.value for record in records]
    limit = dead_letters(TRIGGERS).max_message_bytes
    for letter in letters:
        headers = dict(zip(letter["header_names"], letter["header_values"], strict=True))
        assert 0 < len(headers["dlq-reason"].decode()) <= MAX_REASON
        size = len(letter["value"]) + len(letter["key"] or b"") + sum(map(len, headers.values()))
        assert size < limit


async def test_a_trigger_that_is_no_message_is_refused_before_it_is_sent(flow_settings: Settings) -> None:
    tenants = [f"t{place:0190}" for place in range(9000)]
    large = Trigger(job_type="weekly", job_id="large", tenants=tenants)
    # No broker is there, so that nothing can have been sent.
    with pytest.raises(RefusedTrigger, match=r"the trigger has 17\d{5} bytes and a message at most 1048576"):
        await triggers.send(flow_settings, large)
