"""The one codec: a JSON object, a UTF-8 key and text headers that any Kafka UI shows."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import orjson
from pydantic import ValidationError

from schemas.errors import InvalidMessage
from schemas.messages import Message, now
from schemas.topics import Topic

Headers = Sequence[tuple[str, bytes]]
M = TypeVar("M", bound=Message)

CONTENT_TYPE = "application/json"
FIRST_ADDED = "dlq-reason"
"""First of the headers that a dead letter has beside those of the record."""
TRUE_NAMES = "riskflow-header-names"
"""Header of an outbox row with all the record's names as JSON, where one holds a NUL; never published."""
MAX_REASON = 2000
"""Characters of a reason that are kept, so that a letter fits its topic (expert assumption)."""
MAX_FAULTS = 20
"""Wrong fields that an error spells out; the rest is counted."""
MAX_FIELD = 200
"""Characters of a field's name that an error shows: an unknown one has whatever name its writer gave it."""
SPEC_VERSION = "1.0"
"""Version of CloudEvents whose attribute names the ce_ headers carry."""


@dataclass(frozen=True, slots=True)
class Record:
    """A message ready for the broker; no key and no value are not the same as empty ones."""

    topic: str
    key: bytes | None
    value: bytes | None
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
    key = getattr(message, topic.key)
    return Record(
        topic=topic.name,
        key=str(key).encode() if key else None,
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


def json_object(value: bytes | None) -> dict[str, Any]:
    """The JSON object of a value, empty where it is none."""
    try:
        document = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def validated(model: type[M], document: object) -> M:
    """Read a parsed JSON object as `model`; errors name the field.

    Raises:
        InvalidMessage: Names the wrong fields, of many the first, and the reasons.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise InvalidMessage(f"{model.__name__}: {'; '.join(field_faults(error))}") from error


def field_faults(error: ValidationError) -> list[str]:
    """One sentence per wrong field of a pydantic error, without the values; of many only the first."""
    faults = []
    told = error.errors(include_url=False, include_context=False, include_input=False)
    for fault in told[:MAX_FAULTS]:
        field = ".".join(str(part) for part in fault["loc"])[:MAX_FIELD]
        text = fault["msg"].removeprefix("Value error, ")
        faults.append(f"{field}: {text}" if field else text)
    if len(told) > MAX_FAULTS:
        faults.append(f"and {len(told) - MAX_FAULTS} more")
    return faults


def header(headers: Iterable[tuple[str, bytes | None]] | None, name: str) -> str | None:
    """Text of the first header with this name, None where it is absent or no UTF-8."""
    for key, value in headers or ():
        if key == name:
            # Kafka knows headers without a value.
            try:
                return None if value is None else bytes(value).decode()
            except UnicodeDecodeError:
                return None
    return None


def dead_letter_headers(
    headers: Headers | None,
    *,
    reason: str,
    error: BaseException | None,
    source: tuple[str, int, int],
    timestamp: int | None = None,
) -> list[tuple[str, bytes]]:
    """Original headers plus why, which exception and from where.

    Args:
        headers: Of the record.
        reason: One sentence.
        error: What was raised.
        source: Topic, partition and offset of the record.
        timestamp: Of the record [ms since 1970]; a trigger without job_id is known by it.
    """
    topic, partition, offset = source
    added = {
        # A letter must fit its topic, whatever the message made the reason say.
        FIRST_ADDED: reason[:MAX_REASON],
        "dlq-exception": type(error).__name__ if error is not None else "",
        "dlq-topic": topic,
        "dlq-partition": str(partition),
        "dlq-offset": str(offset),
        "dlq-timestamp": "" if timestamp is None else str(timestamp),
        "dlq-time": now().isoformat(),
    }
    return [*(headers or ()), *((name, value.encode()) for name, value in added.items())]


def dead_letter_value(key: bytes | None, value: bytes | None) -> bytes | None:
    """The record's value; empty where it has neither key nor value, because aiokafka sends no such record."""
    return b"" if key is None and value is None else value
