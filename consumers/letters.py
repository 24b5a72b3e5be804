"""What consumers have to say: outbox rows in the transaction of what they say it about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from schemas.codec import Record, dead_letter_headers, dead_letter_value
from schemas.storable import plain, storable
from schemas.topics import BY_NAME, dead_letters

_PUT = """
    INSERT INTO outbox (topic, key, value, header_names, header_values) VALUES ($1, $2, $3, $4, $5)
"""


async def put(connection: asyncpg.Connection, records: Sequence[Record]) -> None:
    """Leave records for the bridge to publish after the commit."""
    rows = []
    for record in records:
        headers = storable(record.headers)
        names, values = [name for name, _ in headers], [value for _, value in headers]
        rows.append((record.topic, record.key, record.value, names, values))
    if rows:
        await connection.executemany(_PUT, rows)


def dead_letter(record: Any, error: BaseException) -> Record:
    """The record for the dead-letter topic: original key, value and headers, and why.

    Args:
        record: ConsumerRecord as read.
        error: Why it cannot be used; its text is the reason.
    """
    headers = dead_letter_headers(
        list(record.headers or ()),
        reason=plain(str(error)),
        error=error,
        source=(record.topic, record.partition, record.offset),
        timestamp=record.timestamp,
    )
    topic = dead_letters(BY_NAME[record.topic])
    return Record(topic.name, record.key, dead_letter_value(record.key, record.value), headers)
