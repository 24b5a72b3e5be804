"""The one codec: a JSON object, a UTF-8 key and text headers that any Kafka UI shows."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import orjson
from pydantic import ValidationError

from schemas.errors import InvalidMessage
from schemas.messages import Message, now
from schemas.topics import Topic

Headers = Sequence[tuple[str, bytes]]
M = TypeVar("M", bound=Message)

CONTENT_TYPE = "application/json"
SPEC_VERSION = "1.0"
"""Version of CloudEvents whose attribute names the ce_ headers carry."""


@dataclass(frozen=True, slots=True)
class Record:
    """A message ready for the broker."""

    topic: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def new_traceparent(parent: str | None = None) -> str:
    """W3C trace context: the trace of `parent` with a new span, or a new trace."""
    fields = (parent or "").split("-")
    trace = fields[1] if len(fields) == 4 and len(fields[1]) == 32 else secrets.token_hex(16)  # noqa: PLR2004 - the W3C layout
    return f"00-{trace}-{secrets.token_hex(8)}-01"


def encode(  # noqa: PLR0913 - the headers' parts, each named at the call
    topic: Topic,
    message: Message,
    *,
    source: str,
    job_id: str | None = None,
    traceparent: str | None = None,
    at: datetime | None = None,
) -> Record:
    """Make the record of a message.

    Args:
        topic: Row of the table of topics; names the key's field.
        message: Instance of the topic's model.
        source: Who says it ("acceptor", "climate-agent"), for ce_source.
        job_id: Header job-id; the message's own where left out.
        traceparent: Trace context of what caused the message.
        at: Time for ce_time; the present where left out.

    Raises:
        TypeError: The message is not of the topic's model.
    """
    if topic.model is None or not isinstance(message, topic.model):
        raise TypeError(f"{topic.name} carries {topic.model}, not {type(message).__name__}")
    job = job_id if job_id is not None else getattr(message, "job_id", None)
    key = getattr(message, topic.key) or ""
    return Record(
        topic=topic.name,
        key=str(key).encode(),
        value=orjson.dumps(message.model_dump(mode="json", exclude_none=True)),
        headers=text_headers(topic, source=source, job_id=job, traceparent=traceparent, at=at),
    )


def text_headers(
    topic: Topic,
    *,
    source: str,
    job_id: str | None,
    traceparent: str | None = None,
    at: datetime | None = None,
) -> list[tuple[str, bytes]]:
    """The headers of every record of a topic; arguments as in `encode`."""
    headers = {
        "content-type": CONTENT_TYPE,
        "ce_specversion": SPEC_VERSION,
        "ce_id": str(uuid.uuid4()),
        "ce_type": topic.name,
        "ce_source": f"riskflow/{source}",
        "ce_time": (at or now()).isoformat(),
        "job-id": job_id or "",
        "traceparent": new_traceparent(traceparent),
    }
    return [(name, value.encode()) for name, value in headers.items()]


def decode(model: type[M], value: bytes | None) -> M:
    """Read a record's value as its topic's model.

    Raises:
        InvalidMessage: Says which field is wrong and why, or that the value is no JSON object.
    """
    if not value:
        raise InvalidMessage(f"{model.__name__}: the value is empty; expected a JSON object")
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise InvalidMessage(f"{model.__name__}: not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidMessage(f"{model.__name__}: expected a JSON object, got {type(document).__name__}")
    return validated(model, document)


def validated(model: type[M], document: object) -> M:
    """Read a parsed JSON object as `model`; errors name the field.

    Raises:
        InvalidMessage: Names every wrong field and the reason.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise InvalidMessage(f"{model.__name__}: {'; '.join(field_faults(error))}") from error


def field_faults(error: ValidationError) -> list[str]:
    """One sentence per wrong field of a pydantic error, without the values."""
    faults = []
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        field = ".".join(str(part) for part in fault["loc"])
        text = fault["msg"].removeprefix("Value error, ")
        faults.append(f"{field}: {text}" if field else text)
    return faults


def header(headers: Iterable[tuple[str, bytes]] | None, name: str) -> str | None:
    """Text of the first header with this name, None where it is absent or no UTF-8."""
    for key, value in headers or ():
        if key == name:
            try:
                return bytes(value).decode()
            except UnicodeDecodeError:
                return None
    return None


def dead_letter_headers(
    headers: Headers | None, *, reason: str, error: BaseException | None, source: tuple[str, int, int]
) -> list[tuple[str, bytes]]:
    """Original headers plus why, which exception and from where (topic, partition, offset)."""
    topic, partition, offset = source
    added = {
        "dlq-reason": reason,
        "dlq-exception": type(error).__name__ if error is not None else "",
        "dlq-topic": topic,
        "dlq-partition": str(partition),
        "dlq-offset": str(offset),
        "dlq-time": now().isoformat(),
    }
    return [*(headers or ()), *((name, value.encode()) for name, value in added.items())]
