"""What is said of a message with very many faults stays small, so that its dead letter fits its topic."""

from __future__ import annotations

import orjson
import pytest

from schemas.codec import MAX_REASON, dead_letter_headers, decode
from schemas.errors import InvalidMessage
from schemas.messages import GridChunk, Trigger
from schemas.topics import GRID_CHUNKS, dead_letters

CHUNK = {"job_id": "job", "chunk_id": "job:1", "cells": [["north", "east"]] * 20_000}


@pytest.mark.parametrize(
    ("model", "document"),
    [
        (GridChunk, CHUNK | {"latitudes": ["north"] * 40_000, "longitudes": ["east"] * 40_000}),
        (Trigger, {"job_type": "hazard"} | {f"field{place}" * 9: 0 for place in range(9_000)}),
        (Trigger, {"job_type": "hazard", "x" * 900_000: 0}),
    ],
)
def test_many_faults_are_counted_and_not_spelled_out(model: type, document: dict[str, object]) -> None:
    value = orjson.dumps(document)
    with pytest.raises(InvalidMessage) as refused:
        decode(model, value)
    reason = str(refused.value)
    assert len(reason) < 10_000
    headers = dead_letter_headers([], reason=reason, error=refused.value, source=("topic", 0, 1))
    assert len(dict(headers)["dlq-reason"]) <= MAX_REASON
    assert len(value) <= GRID_CHUNKS.max_message_bytes
    size = len(value) + sum(len(name) + len(text) for name, text in headers)
    assert size < dead_letters(GRID_CHUNKS).max_message_bytes


def test_a_few_faults_are_all_named() -> None:
    with pytest.raises(InvalidMessage) as refused:
        decode(Trigger, b'{"job_type": "hazard", "first": 1, "second": 2}')
    assert "first: " in str(refused.value)
    assert "second: " in str(refused.value)
    assert "more" not in str(refused.value)


def test_more_than_twenty_faults_say_how_many_there_are() -> None:
    document = {"job_type": "hazard"} | {f"field{place}": 0 for place in range(25)}
    with pytest.raises(InvalidMessage, match=r"field19: .*; and 5 more$"):
        decode(Trigger, orjson.dumps(document))
