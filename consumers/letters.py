"""What consumers have to say: outbox rows in the transaction of what they say it about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from schemas.codec import Record, dead_letter_headers
from schemas.topics import BY_NAME, dead_letters

MAX_REASON = 2000
"""Characters of a reason that are kept, so that a letter fits its topic (expert assumption)."""
_NUL = "\N{SYMBOL FOR NULL}"

_PUT = """
    INSERT INTO outbox (topic, key, value, header_names, header_values) VALUES ($1, $2, $3, $4, $5)
"""


def plain(text: str) -> str:
    """Text that PostgreSQL takes: of bounded length and without the character NUL."""
    return text.replace("\x00", _NUL)[:MAX_REASON]


async def put(connection: asyncpg.Connection, records: Sequence[Record]) -> None:
    """Leave records for the bridge to publish after the commit."""
    rows = []
    for record in records:
        names = [plain(name) for name, _ in record.headers]
        rows.append((record.topic, record.key, record.value, names, [value for _, value in record.headers]))
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
    )
    topic = dead_letters(BY_NAME[record.topic])
    return Record(topic.name, record.key or b"", record.value or b"", headers)
