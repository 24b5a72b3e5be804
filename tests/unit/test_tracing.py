"""Which job and trace a line belongs to."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import structlog

from schemas.tracing import MAX_ID, trace_id, traced, tracing, tracing_headers, tracing_records

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
OTHER = f"00-{'ab' * 16}-00f067aa0ba902b7-01"


def bound() -> dict[str, object]:
    return dict(structlog.contextvars.get_contextvars())


def headers(job_id: str | None, parent: str | None) -> list[tuple[str, bytes]]:
    told = {"job-id": job_id, "traceparent": parent}
    return [(name, value.encode()) for name, value in told.items() if value is not None]


@pytest.mark.parametrize(
    "parent", [None, "", "00-1-2-3", f"00-{'z' * 32}-00f067aa0ba902b7-01", PARENT + "-x"]
)
def test_a_malformed_trace_is_none_and_a_new_one_takes_its_place(parent: str | None) -> None:
    assert trace_id(parent) is None
    assert trace_id(traced(parent)) is not None
    assert traced(PARENT) == PARENT


def test_lines_of_a_message_carry_its_job_and_trace_and_those_after_it_nothing() -> None:
    with tracing_headers(headers("yearly", PARENT)):
        assert bound() == {"job_id": "yearly", "trace_id": TRACE}
    assert bound() == {}


def test_a_message_without_headers_does_not_inherit_those_of_the_batch() -> None:
    batch = [SimpleNamespace(headers=headers(job, PARENT)) for job in ("a", "b")]
    with tracing_records(batch):
        assert bound() == {"job_id": "a, b", "trace_id": TRACE}
        with tracing_headers(None):
            assert bound() == {}
        with tracing("b", OTHER):
            assert bound() == {"job_id": "b", "trace_id": "ab" * 16}
        assert bound() == {"job_id": "a, b", "trace_id": TRACE}


def test_a_batch_of_many_jobs_names_the_first_few() -> None:
    with tracing_records([SimpleNamespace(headers=headers(f"job-{n}", None)) for n in range(12)]):
        assert bound() == {"job_id": "job-0, job-1, job-2, job-3, job-4 and 7 more"}


def test_a_foreign_id_can_neither_break_a_line_nor_flood_the_log() -> None:
    with tracing_headers(headers("a\n2026-01-01 [info] all is well\x1b[31m" + "x" * 500, None)):
        told = str(bound()["job_id"])
    assert told.isprintable()
    assert len(told) == MAX_ID
