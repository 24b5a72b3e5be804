"""docs/reference/topics.md: the table of topics and the fields of their messages."""

from __future__ import annotations

from ops import asyncapi
from ops.reference.json_schema import described
from ops.reference.markdown import code, page, table
from schemas import topics
from schemas.topics import FOREVER, Topic

ABOUT = """What the messages mean, who writes and reads them, headers and dead letters:
[messages](../messages.md). The same as [AsyncAPI 3.0](../asyncapi.yaml), for tools that generate clients.
Every value is a JSON object."""


def text() -> str:
    """The page."""
    document = asyncapi.document()["components"]["schemas"]
    parts = [
        f"## {name}\n\n{described(schema)}" for name, schema in document.items() if "properties" in schema
    ]
    head = ("topic", "key", "message", "partitions", "kept", "largest message", "written by", "read by")
    every = table(head, [_topic(topic) for topic in topics.ALL_TOPICS])
    return page("Topics and messages", ABOUT, f"## Topics\n\n{every}", *parts)


def _topic(topic: Topic) -> list[str]:
    message = topic.model.__name__ if topic.model else ""
    return [
        code(topic.name),
        code(topic.key),
        f"[{message}](#{message.lower()})" if message else "as it was",
        str(topic.partitions),
        "for ever" if topic.retention_ms == FOREVER else f"{topic.retention_ms // topics.DAY_MS} days",
        f"{topic.max_message_bytes // topics.MIB} MiB",
        ", ".join(topic.written_by),
        ", ".join(topic.read_by),
    ]
