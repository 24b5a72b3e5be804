"""The one table of what is measured, as Prometheus reads it; docs/operations.md says what is worth an alert.

Labels are bounded: topics, tables, groups and parts of the program; job ids only of open jobs, and at most
MAX_JOBS of them.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from schemas.version import riskflow_version

REGISTRY = CollectorRegistry()
"""Of this process, and with nothing in it that a library has put into the default one."""
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

MAX_JOBS = 100
"""Open jobs that have series of their own, the oldest first (expert assumption)."""
# From a chunk of a few cells to one that is about to be thought dead.
_SHORT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

MESSAGES_READ = Counter(
    "riskflow_messages_read_total", "Messages read and stored or computed", ["topic"], registry=REGISTRY
)
MESSAGES_WRITTEN = Counter(
    "riskflow_messages_written_total", "Messages that the broker acknowledged", ["topic"], registry=REGISTRY
)
ROWS_WRITTEN = Counter(
    "riskflow_rows_written_total", "Rows inserted or updated and committed", ["table"], registry=REGISTRY
)
DEAD_LETTERS = Counter(
    "riskflow_dead_letters_total", "Messages put to the dead letters", ["topic"], registry=REGISTRY
)
ERRORS = Counter(
    "riskflow_errors_total", "Errors after which a loop tried again or gave up", ["loop"], registry=REGISTRY
)
DELIVERIES = Counter(
    "riskflow_deliveries_total",
    "Tries of a delivery by how they ended",
    ["channel", "state"],
    registry=REGISTRY,
)
CHUNKS_LOST = Counter(
    "riskflow_chunks_lost_total",
    "Chunks that were proved lost and sent again or failed",
    ["topic"],
    registry=REGISTRY,
)

CHUNK_SECONDS = Histogram(
    "riskflow_chunk_seconds",
    "Seconds of a chunk's steps: read, compute, send",
    ["agent", "step"],
    buckets=_SHORT,
    registry=REGISTRY,
)
STORE_SECONDS = Histogram(
    "riskflow_batch_store_seconds",
    "Seconds of a batch's transaction, commit included",
    ["handler"],
    buckets=_SHORT,
    registry=REGISTRY,
)
RENDER_SECONDS = Histogram(
    "riskflow_report_render_seconds",
    "Seconds of a report, its wait for a process included",
    buckets=_SHORT,
    registry=REGISTRY,
)
DELIVERY_SECONDS = Histogram(
    "riskflow_delivery_seconds",
    "Seconds that a mail server or Slack took",
    ["channel"],
    buckets=_SHORT,
    registry=REGISTRY,
)

LEADER = Gauge(
    "riskflow_leader", "1 where this process leads, 0 where it stands by", ["role"], registry=REGISTRY
)
CONSUMER_LAG = Gauge(
    "riskflow_consumer_lag",
    "Messages of a partition that the group has not finished",
    ["group", "topic", "partition"],
    registry=REGISTRY,
)
OUTBOX_WAITING = Gauge(
    "riskflow_outbox_waiting", "Rows of the outbox that are not published", registry=REGISTRY
)
JOBS = Gauge("riskflow_jobs", "Jobs by status", ["status"], registry=REGISTRY)
JOB_CELLS = Gauge(
    "riskflow_job_cells",
    "Cells or tenants of an open job: total, processed, failed",
    ["job_id", "state"],
    registry=REGISTRY,
)
JOB_IDLE_SECONDS = Gauge(
    "riskflow_job_idle_seconds",
    "Seconds since an open job was accepted, sent or recorded something; 0 behind another",
    ["job_id"],
    registry=REGISTRY,
)
BUILD_INFO = Gauge("riskflow_build_info", "1; which version runs", ["version"], registry=REGISTRY)
BUILD_INFO.labels(riskflow_version()).set(1)

Written = Tally[tuple[Counter, str]]
_WRITTEN: ContextVar[Written | None] = ContextVar("riskflow_written", default=None)


@contextmanager
def counted_with_commit() -> Iterator[None]:
    """Hold back what `count` is told in the block until it ends well, as a transaction does.

    A block inside another is a savepoint: what it counted goes with it when it fails.
    """
    outer, own = _WRITTEN.get(), Written()
    token = _WRITTEN.set(own)
    try:
        yield
    finally:
        _WRITTEN.reset(token)
    if outer is not None:
        outer.update(own)
        return
    for (counter, label), amount in own.items():
        counter.labels(label).inc(amount)


def count(counter: Counter, label: str, amount: int = 1) -> None:
    """Add to a counter of one label, with the commit where a block of `counted_with_commit` is open."""
    written = _WRITTEN.get()
    if written is None:
        counter.labels(label).inc(amount)
    else:
        written[counter, label] += amount


@contextmanager
def leading(role: str) -> Iterator[None]:
    """Show for the length of a block that this process leads."""
    LEADER.labels(role).set(1)
    try:
        yield
    finally:
        LEADER.labels(role).set(0)


def stands_by(role: str) -> None:
    """Show that this process may lead and does not, so that nobody's lead is seen from the start."""
    LEADER.labels(role).set(0)


def count_rows(table: str, status: str) -> None:
    """Count the rows of a statement by what PostgreSQL said of it, such as "INSERT 0 64"."""
    count(ROWS_WRITTEN, table, int(status.rpartition(" ")[2]))
