"""The kinds of work that the dispatcher sends, each on a topic of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from producers import chunks, tenant_chunks
from producers.work import Work
from schemas.topics import (
    GRID_CHUNKS,
    HAZARDS,
    PROBABILITIES,
    SINK_GROUP,
    TENANT_CHUNKS,
    TENANT_METRICS,
    TENANT_SINK_GROUP,
    WORKER_GROUP,
    Topic,
)


@dataclass(frozen=True, slots=True)
class Lane:
    """Work of one topic. Its bound, places and proofs are its own, so that no lane holds another back."""

    topic: Topic
    workers: str
    """Group that reads the topic."""
    sink: str
    """Group that reads the results."""
    results: tuple[Topic, ...]
    unsent: Callable[[asyncpg.Connection, int], Awaitable[Sequence[Work[Any]]]]
    """What waits to be sent, at most so many, in order of acceptance and place."""
    by_id: Callable[[asyncpg.Connection, Sequence[str]], Awaitable[Sequence[Work[Any]]]]
    """Those of the named chunks that still have to report."""


GRID = Lane(GRID_CHUNKS, WORKER_GROUP, SINK_GROUP, (PROBABILITIES, HAZARDS), chunks.unsent, chunks.by_id)
TENANTS = Lane(
    TENANT_CHUNKS,
    WORKER_GROUP,
    TENANT_SINK_GROUP,
    (TENANT_METRICS,),
    tenant_chunks.unsent,
    tenant_chunks.by_id,
)
LANES = (GRID, TENANTS)
