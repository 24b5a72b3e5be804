"""The trigger that a bare NOTIFY asks for."""

from __future__ import annotations

import uuid

import orjson

from schemas.codec import Record, encode, text_headers, validated
from schemas.errors import InvalidMessage
from schemas.messages import Identifier, Message, Trigger
from schemas.topics import TRIGGERS

SOURCE = "bridge"


class _Named(Message):
    """The one field of a refused payload that counts."""

    job_id: Identifier


def trigger_of(payload: str) -> tuple[str, Record]:
    """Job id and record of a payload: a job type, or a JSON object with Trigger's fields.

    What is neither goes on as it is, so that the acceptor records it as a failed job with its text.
    """
    job_id = f"notify-{uuid.uuid4()}"
    try:
        trigger = validated(Trigger, _document(payload))
    except InvalidMessage:
        job_id = _named(payload) or job_id
        headers = text_headers(TRIGGERS, source=SOURCE, job_id=job_id)
        return job_id, Record(TRIGGERS.name, job_id.encode(), _as_it_is(payload), headers)
    defaults = {"job_id": trigger.job_id or job_id, "requested_by": trigger.requested_by or "NOTIFY"}
    trigger = trigger.model_copy(update=defaults)
    return defaults["job_id"], encode(TRIGGERS, trigger, source=SOURCE)


def _named(payload: str) -> str | None:
    """The id under which the acceptor will refuse the payload, where it names one."""
    try:
        return validated(_Named, _document(payload)).job_id
    except InvalidMessage:
        return None


def _as_it_is(payload: str) -> bytes:
    """The payload for the acceptor's refusal; a single word as the job type that it was meant to be."""
    if payload.strip().startswith("{"):
        return payload.encode()
    return orjson.dumps({"job_type": payload, "requested_by": "NOTIFY"})


def _document(payload: str) -> object:
    text = payload.strip()
    if text.startswith("{"):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise InvalidMessage(f"not JSON: {error}") from error
    return {"job_type": text}
