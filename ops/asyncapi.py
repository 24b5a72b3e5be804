"""docs/asyncapi.yaml: the topics and messages, generated from the table of topics and the pydantic models.

`python -m ops.asyncapi docs/asyncapi.yaml` writes it anew.
"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from pydantic.json_schema import models_json_schema

from schemas import topics
from schemas.topics import Topic

HEADERS = (
    "content-type",
    "ce_specversion",
    "ce_id",
    "ce_type",
    "ce_source",
    "ce_time",
    "job-id",
    "traceparent",
)


def document() -> dict[str, Any]:
    """The AsyncAPI 3.0 document of this version."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "riskflow",
            "version": metadata.version("riskflow"),
            "description": "Messages are JSON objects with a UTF-8 key and text headers.",
        },
        "defaultContentType": "application/json",
        "channels": {_name(topic): _channel(topic) for topic in topics.ALL_TOPICS},
        "operations": _operations(),
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def text() -> str:
    """The document as YAML."""
    return yaml.safe_dump(document(), sort_keys=False, allow_unicode=True, width=110)


def _name(topic: Topic) -> str:
    return re.sub(r"[^A-Za-z0-9]", "_", topic.name)


def _channel(topic: Topic) -> dict[str, Any]:
    message = topic.model.__name__ if topic.model is not None else "DeadLetter"
    kafka = {
        "topic": topic.name,
        "partitions": topic.partitions,
        "topicConfiguration": {
            "cleanup.policy": ["delete"],
            "retention.ms": topic.retention_ms,
            "max.message.bytes": topic.max_message_bytes,
        },
    }
    return {
        "address": topic.name,
        "description": f"key: {topic.key}; written by {', '.join(topic.written_by)}; "
        f"read by {', '.join(topic.read_by)}",
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": {"kafka": kafka},
    }


def _operations() -> dict[str, Any]:
    return {
        f"{action}_{_name(topic)}": {
            "action": action,
            "channel": {"$ref": f"#/channels/{_name(topic)}"},
            "description": f"{'written' if action == 'send' else 'read'} by {', '.join(who)}",
        }
        for topic in topics.ALL_TOPICS
        for action, who in (("send", topic.written_by), ("receive", topic.read_by))
    }


def _messages() -> dict[str, Any]:
    headers = {"type": "object", "properties": {name: {"type": "string"} for name in HEADERS}}
    messages: dict[str, Any] = {
        topic.model.__name__: {
            "contentType": "application/json",
            "headers": headers,
            "payload": {"$ref": f"#/components/schemas/{topic.model.__name__}"},
        }
        for topic in topics.SOURCES
        if topic.model is not None
    }
    added = ("dlq-reason", "dlq-exception", "dlq-topic", "dlq-partition", "dlq-offset", "dlq-time")
    messages["DeadLetter"] = {
        "description": "The original key, bytes and headers of what could not be handled, and why.",
        "headers": {"type": "object", "properties": {name: {"type": "string"} for name in added}},
        "payload": {},
    }
    return messages


def _schemas() -> dict[str, Any]:
    models = [(topic.model, "validation") for topic in topics.SOURCES if topic.model is not None]
    _, schemas = models_json_schema(models, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    return dict(schemas["$defs"])


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), encoding="utf-8")
