"""Which job and trace the lines of a piece of work belong to, told once by its message's headers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from schemas.codec import Headers, header, new_traceparent

MAX_ID = 200
"""Characters of a foreign id that a line shows (expert assumption)."""
MAX_NAMED = 5
"""Jobs of a mixed batch that a line names (expert assumption)."""
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def trace_id(traceparent: str | None) -> str | None:
    """The 32 hexadecimal digits of a W3C trace context; None where there is none."""
    found = _TRACEPARENT.fullmatch(traceparent or "")
    return found[1] if found else None


def traced(traceparent: str | None) -> str:
    """The trace context itself, or a new one in place of none or a malformed one."""
    return traceparent if traceparent is not None and trace_id(traceparent) else new_traceparent()


@contextmanager
def tracing(job_id: str | None, traceparent: str | None) -> Iterator[None]:
    """Let every line that is logged in the block carry the job and its trace; None leaves one out."""
    with _bound([job_id], [trace_id(traceparent)]):
        yield


@contextmanager
def tracing_headers(headers: Headers | None) -> Iterator[None]:
    """The same for the work on one message."""
    with tracing(header(headers, "job-id"), header(headers, "traceparent")):
        yield


@contextmanager
def tracing_records(records: Iterable[Any]) -> Iterator[None]:
    """The same for the work on several records at once: the first few jobs and traces, each once."""
    headers = [record.headers for record in records]
    jobs = [header(each, "job-id") for each in headers]
    with _bound(jobs, [trace_id(header(each, "traceparent")) for each in headers]):
        yield


@contextmanager
def _bound(jobs: Iterable[str | None], traces: Iterable[str | None]) -> Iterator[None]:
    told = {"job_id": _listed(jobs), "trace_id": _listed(traces)}
    before = structlog.contextvars.get_contextvars()
    outer = {name: before[name] for name in told if name in before}
    # What the work around it is about says nothing of this message.
    structlog.contextvars.unbind_contextvars(*told)
    structlog.contextvars.bind_contextvars(**{name: text for name, text in told.items() if text})
    try:
        yield
    finally:
        structlog.contextvars.unbind_contextvars(*told)
        structlog.contextvars.bind_contextvars(**outer)


def _listed(ids: Iterable[str | None]) -> str:
    """Each id once, unable to break the line or to flood the log."""
    unique = list(dict.fromkeys(_CONTROL.sub("?", text)[:MAX_ID] for text in ids if text))
    more = f" and {len(unique) - MAX_NAMED} more" if len(unique) > MAX_NAMED else ""
    return ", ".join(unique[:MAX_NAMED]) + more
