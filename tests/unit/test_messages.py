"""The messages say no to what must not pass, and yes to what an older or newer peer sends."""

import orjson
import pytest

from schemas import topics
from schemas.codec import dead_letter_headers, decode, encode, header, new_traceparent
from schemas.errors import InvalidMessage
from schemas.messages import GridChunk, ProbabilityColumns, ProbabilityResult, Trigger, Window

CHUNK = {
    "job_id": "job-1",
    "job_seq": 7,
    "chunk_id": "job-1:1",
    "chunk": 1,
    "chunks": 3,
    "kinds": ["probability"],
    "risks": ["drought"],
    "scenario": "historical",
    "window": {"start": 1991, "end": 2020},
    "baseline": {"start": 1991, "end": 2020},
    "cells": [[37.5, 127.0], [33.51, 126.53]],
}


OUTSIDE = orjson.dumps(
    {
        "job_type": "hazard",
        "bbox": {"min_latitude": 95, "min_longitude": 0, "max_latitude": 96, "max_longitude": 1},
    }
)


def refusal(value: bytes | None, model: type = Trigger) -> str:
    with pytest.raises(InvalidMessage) as caught:
        decode(model, value)
    return str(caught.value)


def test_a_trigger_needs_only_its_job_type():
    trigger = decode(Trigger, b'{"job_type": "hazard"}')
    assert (trigger.job_type, trigger.window, trigger.risks, trigger.uncertainty) == (
        "hazard",
        None,
        None,
        False,
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"", "the value is empty"),
        (None, "the value is empty"),
        (b'{"job_type": "hazard"', "not JSON"),
        (b'{"job_type": NaN}', "not JSON"),
        (b"[1, 2]", "expected a JSON object, got list"),
        (b'"probability"', "expected a JSON object, got str"),
        (b'{"job_type": "floods"}', "job_type: Input should be 'probability', 'hazard', 'climate' or"),
        (b'{"job_type": "hazard", "scenaro": "x"}', "scenaro: Extra inputs are not permitted"),
        (b'{"job_type": "hazard", "uncertainty": "perhaps"}', "uncertainty: Input should be a valid boolean"),
        (
            b'{"job_type": "hazard", "window": {"start": 2050, "end": 2021}}',
            "window: window 2050-2021 ends before",
        ),
        (
            b'{"job_type": "hazard", "window": {"start": 1990, "end": 2020}}',
            "has 31 years; allowed are 1 to 30",
        ),
        (b'{"job_type": "hazard", "risks": []}', "risks: List should have at least 1 item"),
        (OUTSIDE, "bbox.min_latitude: Input should be less than or equal to 90"),
        (b"\xff\xfe", "not JSON"),
    ],
)
def test_a_bad_trigger_is_refused_with_its_field_and_reason(value, said):
    assert said in refusal(value)


def test_internal_messages_ignore_what_they_do_not_know():
    newer = b'{"job_id": "j", "job_type": "hazard", "state": "progress", "colour": "blue"}'
    assert decode(topics.JOB_EVENTS.model, newer).state == "progress"


def result(**changes):
    columns = {
        "risk_type": "drought",
        "unit": "-SPEI",
        "edges": [1.0, 1.5, 2.0],
        "base_damage_rate": [0, 0.002, 0.007, 0.02],
        "probability": [[0.8, 0.1, 0.05, 0.05], None],
        "aal": [0.0015, None],
        "reason": [None, "no_data: months"],
        "basis": ["et0: hargreaves", None],
        "failure": [None, None],
    } | changes
    common = {
        key: CHUNK[key] for key in ("job_id", "job_seq", "chunk_id", "chunk", "scenario", "window", "cells")
    }
    return ProbabilityResult(**common, risk_table="built-in", risks=[ProbabilityColumns(**columns)])


def test_a_result_survives_the_wire():
    sent = result()
    record = encode(topics.PROBABILITIES, sent, source="climate-agent")
    assert decode(ProbabilityResult, record.value) == sent
    assert record.key == b"job-1:1"


def test_a_result_with_a_column_too_short_is_refused():
    with pytest.raises(ValueError, match=r"drought\.aal has 1 values for 2 cells"):
        result(aal=[0.0])


def test_nan_never_enters_a_message():
    with pytest.raises(ValueError, match="finite number"):
        result(aal=[float("nan"), None])


def test_headers_are_text_that_any_kafka_ui_shows():
    record = encode(
        topics.GRID_CHUNKS, GridChunk(**CHUNK), source="dispatcher", traceparent=new_traceparent()
    )
    texts = {name: value.decode() for name, value in record.headers}
    assert texts["content-type"] == "application/json"
    assert texts["ce_type"] == "risk.grid-chunks.v1"
    assert texts["ce_source"] == "riskflow/dispatcher"
    assert texts["job-id"] == "job-1"
    assert {"ce_id", "ce_time", "ce_specversion", "traceparent"} <= set(texts)


def test_a_message_of_the_wrong_topic_is_a_fault_of_the_program():
    with pytest.raises(TypeError, match=r"risk\.triggers\.v1"):
        encode(topics.TRIGGERS, GridChunk(**CHUNK), source="test")


def test_the_trace_goes_on_and_the_span_is_new():
    parent = new_traceparent()
    child = new_traceparent(parent)
    assert child.split("-")[1] == parent.split("-")[1]
    assert child.split("-")[2] != parent.split("-")[2]


def test_a_dead_letter_keeps_its_headers_and_says_why_and_from_where():
    original = [("job-id", b"job-1"), ("odd", b"\xff")]
    headers = dead_letter_headers(
        original, reason="not JSON", error=ValueError("x"), source=("risk.triggers.v1", 0, 12)
    )
    assert headers[:2] == original
    assert header(headers, "dlq-reason") == "not JSON"
    assert header(headers, "dlq-exception") == "ValueError"
    assert (header(headers, "dlq-topic"), header(headers, "dlq-offset")) == ("risk.triggers.v1", "12")
    assert header(headers, "odd") is None


def test_every_topic_has_a_dead_letter_topic_that_takes_twice_its_bytes():
    for topic in topics.SOURCES:
        letters = topics.BY_NAME[topic.name + ".dlq"]
        assert letters.max_message_bytes == 2 * topic.max_message_bytes
        assert letters.retention_ms == 90 * topics.DAY_MS
    assert topics.TRIGGERS.retention_ms == topics.FOREVER


def test_a_key_is_a_field_of_the_topics_model():
    for topic in topics.SOURCES:
        assert topic.key in topic.model.model_fields


def test_a_window_of_thirty_years_is_the_longest():
    assert Window(start=2021, end=2050).end == 2050
