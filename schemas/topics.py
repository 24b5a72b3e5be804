"""The one table of topics: who writes what, under which key, for how long, and who reads it."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.messages import (
    GridChunk,
    HazardResult,
    JobEvent,
    Message,
    ProbabilityResult,
    Trigger,
)
from schemas.tenant_messages import ReportReady, TenantChunk, TenantMetrics

FOREVER = -1
DAY_MS = 86_400_000
MIB = 1 << 20

DEAD_LETTER_SUFFIX = ".dlq"
DEAD_LETTER_DAYS = 90
WORK_PARTITIONS = 8
"""Partitions of the topics that carry work; they bound the number of workers that share it."""

ACCEPTOR_GROUP = "riskflow-acceptor"
WORKER_GROUP = "riskflow-worker"
SINK_GROUP = "riskflow-sink"
TENANT_SINK_GROUP = "riskflow-tenant-sink"
RENDERER_GROUP = "riskflow-renderer"
DELIVERY_GROUP = "riskflow-delivery"


@dataclass(frozen=True, slots=True)
class Topic:
    """One row of the table; `key` names the field of the model that is the record's key."""

    name: str
    key: str
    model: type[Message] | None
    partitions: int
    retention_ms: int
    max_message_bytes: int
    written_by: tuple[str, ...]
    read_by: tuple[str, ...]

    @property
    def config(self) -> dict[str, str]:
        """Topic settings as Kafka names them."""
        return {
            "cleanup.policy": "delete",
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(self.max_message_bytes),
        }


TRIGGERS = Topic(
    "risk.triggers.v1",
    "job_id",
    Trigger,
    1,
    FOREVER,
    MIB,
    ("cli", "bridge", "scheduler", "any"),
    ("acceptor",),
)
GRID_CHUNKS = Topic(
    "risk.grid-chunks.v1",
    "chunk_id",
    GridChunk,
    WORK_PARTITIONS,
    14 * DAY_MS,
    MIB,
    ("dispatcher",),
    ("climate agent",),
)
PROBABILITIES = Topic(
    "risk.probabilities.v1",
    "chunk_id",
    ProbabilityResult,
    WORK_PARTITIONS,
    14 * DAY_MS,
    2 * MIB,
    ("climate agent", "dispatcher"),
    ("sink",),
)
HAZARDS = Topic(
    "risk.hazards.v1",
    "chunk_id",
    HazardResult,
    WORK_PARTITIONS,
    14 * DAY_MS,
    2 * MIB,
    ("climate agent", "dispatcher"),
    ("sink",),
)
TENANT_CHUNKS = Topic(
    "risk.tenant-chunks.v1",
    "org_id",
    TenantChunk,
    WORK_PARTITIONS,
    14 * DAY_MS,
    MIB,
    ("dispatcher",),
    ("tenant agent",),
)
TENANT_METRICS = Topic(
    "risk.tenant-metrics.v1",
    "org_id",
    TenantMetrics,
    WORK_PARTITIONS,
    14 * DAY_MS,
    2 * MIB,
    ("tenant agent", "dispatcher"),
    ("sink",),
)
JOB_EVENTS = Topic(
    "risk.job-events.v1",
    "job_id",
    JobEvent,
    1,
    14 * DAY_MS,
    MIB,
    ("sink", "acceptor", "renderer", "delivery", "bridge", "scheduler", "cli"),
    ("renderer", "cli"),
)
REPORTS = Topic(
    "risk.reports.v1", "org_id", ReportReady, WORK_PARTITIONS, 14 * DAY_MS, MIB, ("renderer",), ("delivery",)
)

SOURCES = (
    TRIGGERS,
    GRID_CHUNKS,
    PROBABILITIES,
    HAZARDS,
    TENANT_CHUNKS,
    TENANT_METRICS,
    JOB_EVENTS,
    REPORTS,
)
RESULT_TOPICS = {"probability": PROBABILITIES, "hazard": HAZARDS}


def dead_letters(topic: Topic) -> Topic:
    """Dead-letter topic of a topic; it takes twice the bytes, so that headers never push a letter out."""
    return Topic(
        topic.name + DEAD_LETTER_SUFFIX,
        topic.key,
        None,
        1,
        DEAD_LETTER_DAYS * DAY_MS,
        2 * topic.max_message_bytes,
        topic.read_by,
        ("replay",),
    )


ALL_TOPICS = SOURCES + tuple(dead_letters(topic) for topic in SOURCES)
BY_NAME = {topic.name: topic for topic in ALL_TOPICS}
