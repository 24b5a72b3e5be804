"""How far the groups are behind and the jobs have come, read here so that it shows with every worker dead."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import asyncpg
import structlog
from aiokafka.errors import KafkaError

from producers.offsets import OffsetReader
from schemas.database import session
from schemas.faults import is_passing
from schemas.metrics import (
    CONSUMER_LAG,
    ERRORS,
    JOB_CELLS,
    JOB_IDLE_SECONDS,
    JOBS,
    MAX_JOBS,
    OUTBOX_WAITING,
)
from schemas.pauses import pause
from schemas.pulse import Pulse
from schemas.settings import Settings
from schemas.topics import (
    ACCEPTOR_GROUP,
    DELIVERY_GROUP,
    GRID_CHUNKS,
    HAZARDS,
    JOB_EVENTS,
    PROBABILITIES,
    RENDERER_GROUP,
    REPORTS,
    SINK_GROUP,
    TENANT_CHUNKS,
    TENANT_METRICS,
    TENANT_SINK_GROUP,
    TRIGGERS,
    WORKER_GROUP,
    Topic,
)

READ_BY: dict[str, tuple[Topic, ...]] = {
    ACCEPTOR_GROUP: (TRIGGERS,),
    WORKER_GROUP: (GRID_CHUNKS, TENANT_CHUNKS),
    SINK_GROUP: (PROBABILITIES, HAZARDS),
    TENANT_SINK_GROUP: (TENANT_METRICS,),
    RENDERER_GROUP: (JOB_EVENTS,),
    DELIVERY_GROUP: (REPORTS,),
}
"""Topics of each group."""
LOOK_SECONDS = 5.0
"""How often is looked (expert assumption)."""
ANSWER_SECONDS = 10.0
"""How long broker or database may take for a look (expert assumption)."""

log = structlog.get_logger(__name__)

_JOBS = "SELECT status, count(*) FROM batch_job_logs GROUP BY status"
_OPEN = """
    SELECT j.job_id, j.total_grids AS total, j.processed_grids AS processed, j.failed_grids AS failed,
           CASE WHEN EXISTS (
               SELECT FROM batch_job_logs a JOIN batch_job_chunks c USING (job_id)
               WHERE a.status IN ('pending', 'running') AND a.job_seq < j.job_seq AND c.kinds_left > 0
                 AND (a.job_type = 'weekly') = (j.job_type = 'weekly'))
           THEN 0 ELSE extract(epoch FROM clock_timestamp() - greatest(
               j.started_at, j.resumed_at,
               (SELECT max(c.sent_at) FROM batch_job_chunks c WHERE c.job_id = j.job_id),
               (SELECT max(o.recorded_at) FROM batch_job_outcomes o WHERE o.job_id = j.job_id),
               (SELECT max(t.changed_at) FROM batch_job_tenants t WHERE t.job_id = j.job_id)
           ))::float8 END AS idle
    FROM batch_job_logs j WHERE j.status IN ('pending', 'running') AND j.job_seq > 0
    ORDER BY j.job_seq LIMIT $1
"""
_OUTBOX = "SELECT count(*) FROM outbox WHERE published_at IS NULL"
STATUSES = ("pending", "running", "completed", "completed_with_failures", "failed", "cancelled")


class Lag:
    """Keeps the gauges of offsets and jobs; any number may run, each shows the same."""

    def __init__(self, settings: Settings, offsets: OffsetReader, pulse: Pulse | None = None) -> None:
        self._settings = settings
        self._offsets = offsets
        pulse = pulse or Pulse()
        self._broker = pulse.loop("offsets")
        self._database = pulse.loop("job gauges")

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop`; what cannot be read is shown as absent, never as it was."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_offsets(stop))
            tasks.create_task(self._watch_jobs(stop))

    async def _watch_offsets(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    lags = await read_lags(self._offsets)
            except (KafkaError, OSError, TimeoutError) as error:
                CONSUMER_LAG.clear()
                ERRORS.labels("offsets").inc()
                log.debug("offsets not read", error=repr(error))
                self._broker.waiting(f"broker {self._settings.kafka_bootstrap_servers}")
            else:
                for place, lag in lags.items():
                    CONSUMER_LAG.labels(*place).set(lag)
                self._broker.ready()
            await pause(stop, LOOK_SECONDS)

    async def _watch_jobs(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                async with session(self._settings.dsn, application="gauges") as connection:
                    while not stop.is_set():
                        async with asyncio.timeout(ANSWER_SECONDS):
                            await read_jobs(connection)
                        self._database.ready()
                        await pause(stop, LOOK_SECONDS)
            except Exception as error:
                if not is_passing(error):
                    raise
                for gauge in (JOBS, JOB_CELLS, JOB_IDLE_SECONDS):
                    gauge.clear()
                ERRORS.labels("job gauges").inc()
                self._database.waiting(f"database {self._settings.database_label}")
                await pause(stop, LOOK_SECONDS)


async def read_lags(offsets: OffsetReader) -> dict[tuple[str, str, str], int]:
    """Messages that each group has not finished, by group, topic and partition.

    A group that has never committed has everything before it.

    Raises:
        KafkaError: The broker does not answer, or lacks a topic.
    """
    lags = {}
    for group, topics in READ_BY.items():
        places = await offsets.partitions(topic.name for topic in topics)
        # Committed first: what comes between the two reads counts as lag, and never below 0.
        passed = await offsets.passed(group, places)
        ends = await offsets.ends(places)
        for place in places:
            # An in-memory broker that is new has fewer messages than a group has committed.
            lag = max(0, ends[place] - passed[place])
            lags[group, place.topic, str(place.partition)] = lag
    return lags


async def read_jobs(connection: asyncpg.Connection) -> None:
    """Set the gauges of jobs and of the outbox."""
    counts = dict(await connection.fetch(_JOBS))
    opened = await connection.fetch(_OPEN, MAX_JOBS)
    for status in {*STATUSES, *counts}:
        JOBS.labels(status).set(counts.get(status, 0))
    _show_open(opened)
    OUTBOX_WAITING.set(await connection.fetchval(_OUTBOX))


def _show_open(jobs: Iterable[asyncpg.Record]) -> None:
    # What has ended since the last look must go, and its series with it.
    JOB_CELLS.clear()
    JOB_IDLE_SECONDS.clear()
    for job in jobs:
        for state in ("total", "processed", "failed"):
            JOB_CELLS.labels(job["job_id"], state).set(job[state] or 0)
        JOB_IDLE_SECONDS.labels(job["job_id"]).set(max(0.0, job["idle"]))
