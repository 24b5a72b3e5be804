"""Triggers of the outbox whose message was lost before the acceptor answered it."""

from __future__ import annotations

import asyncpg
import structlog
from aiokafka import TopicPartition

from producers.offsets import OffsetReader
from schemas.topics import ACCEPTOR_GROUP, TRIGGERS

log = structlog.get_logger(__name__)

_UNANSWERED = """
    SELECT id, partition, "offset" AS position FROM outbox
    WHERE job_id IS NOT NULL AND answered_at IS NULL AND published_at IS NOT NULL
"""
_PUBLISH_AGAIN = """
    UPDATE outbox SET published_at = NULL, partition = NULL, "offset" = NULL
    WHERE id = ANY ($1::bigint[]) AND answered_at IS NULL RETURNING job_id
"""


async def publish_lost_again(connection: asyncpg.Connection, offsets: OffsetReader) -> int:
    """Unmark triggers that the acceptor has passed without an answer, or that lay on an older broker.

    Returns:
        How many the bridge will publish again.

    Raises:
        KafkaError: The broker did not say its offsets; nothing was changed.
    """
    rows = await connection.fetch(_UNANSWERED)
    if not rows:
        return 0
    places = await offsets.partitions([TRIGGERS.name])
    passed, ends = await offsets.passed(ACCEPTOR_GROUP, places), await offsets.ends(places)
    lost = []
    for row in rows:
        place = TopicPartition(TRIGGERS.name, row["partition"])
        if row["position"] < passed.get(place, 0) or row["position"] >= ends.get(place, 0):
            lost.append(row["id"])
    # Asked again here: the acceptor answers before it commits, so what is still unanswered was lost.
    again = await connection.fetch(_PUBLISH_AGAIN, lost)
    for row in again:
        log.warning("trigger was lost; it is published again", job_id=row["job_id"])
    return len(again)
