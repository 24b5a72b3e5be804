"""How open jobs stand: their place in the queue, when they moved last, and how long they may still take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from ops.jobs import WEEKLY, Job

RECENT = 200
"""Latest outcomes that the speed of a job is taken from (expert assumption)."""
ENOUGH = 3
"""Moments at which outcomes came, below which nothing is said of the time left (expert assumption)."""

# A lane is what the dispatcher sends on one topic: weekly jobs on one, all others on the other. What an
# earlier job still has to wait for at its end is no work of the lane.
_STANDING = """
    SELECT j.job_id, clock_timestamp() AS seen_at,
        (SELECT count(*) FROM batch_job_logs a
         WHERE a.status IN ('pending', 'running') AND a.job_seq > 0 AND a.job_seq < j.job_seq
           AND (a.job_type = $2) = (j.job_type = $2)
           AND EXISTS (SELECT FROM batch_job_chunks c LEFT JOIN batch_job_tenants t USING (job_id, org_id)
                       WHERE c.job_id = a.job_id AND c.kinds_left > 0 AND t.ended_at IS NULL)) AS ahead,
        greatest(
            j.started_at, j.resumed_at,
            (SELECT max(c.sent_at) FROM batch_job_chunks c WHERE c.job_id = j.job_id),
            (SELECT max(o.recorded_at) FROM batch_job_outcomes o WHERE o.job_id = j.job_id),
            (SELECT max(t.changed_at) FROM batch_job_tenants t WHERE t.job_id = j.job_id),
            (SELECT max(d.changed_at) FROM report_deliveries d
             JOIN batch_job_tenants t USING (org_id, report_date)
             WHERE t.job_id = j.job_id AND t.ended_at IS NULL),
            (SELECT max(e.completed_at) FROM batch_job_logs e
             WHERE e.job_seq > 0 AND e.job_seq < j.job_seq AND (e.job_type = $2) = (j.job_type = $2))
        ) AS moved_at
    FROM batch_job_logs j WHERE j.job_id = ANY ($1::text[])
"""
_CELLS_LEFT = "SELECT sum(cells * kinds_left)::float8 FROM batch_job_chunks WHERE job_id = $1"
_CELLS_DONE = """
    SELECT o.recorded_at AS at, sum(c.cells)::float8 AS amount
    FROM (SELECT job_id, chunk, recorded_at FROM batch_job_outcomes
          WHERE job_id = $1 AND recorded_at >= coalesce($3::timestamptz, '-infinity')
          ORDER BY recorded_at DESC LIMIT $2) AS o
    JOIN batch_job_chunks c USING (job_id, chunk) GROUP BY o.recorded_at ORDER BY o.recorded_at
"""
_TENANTS_LEFT = "SELECT count(*)::float8 FROM batch_job_tenants WHERE job_id = $1 AND ended_at IS NULL"
_TENANTS_DONE = """
    SELECT ended_at AS at, count(*)::float8 AS amount
    FROM (SELECT ended_at FROM batch_job_tenants
          WHERE job_id = $1 AND ended_at >= coalesce($3::timestamptz, '-infinity')
          ORDER BY ended_at DESC LIMIT $2) AS t
    GROUP BY ended_at ORDER BY ended_at
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """Of one open job.

    Attributes:
        ahead: Jobs accepted earlier that still have work on the same lane.
        stalled_since: When it was last sent or recorded, where that is too long ago and no job is ahead.
        seconds_left: At the speed of its latest outcomes [s]; None while a job is ahead, or too little is
            known.
    """

    job_id: str
    ahead: int
    stalled_since: datetime | None
    seconds_left: float | None


async def standings(
    connection: asyncpg.Connection, jobs: Sequence[Job], stalled_after_minutes: float
) -> dict[str, Standing]:
    """How those of the jobs stand that have not ended, by job_id."""
    asked = {job.job_id: job for job in jobs if not job.ended}
    found: dict[str, Standing] = {}
    limit = timedelta(minutes=stalled_after_minutes)
    for row in await connection.fetch(_STANDING, list(asked), WEEKLY):
        is_stalled = not row["ahead"] and row["seen_at"] - row["moved_at"] >= limit
        left = None
        if not row["ahead"] and not is_stalled:
            left = await _seconds_left(connection, asked[row["job_id"]], row["seen_at"])
        since = row["moved_at"] if is_stalled else None
        found[row["job_id"]] = Standing(row["job_id"], row["ahead"], since, left)
    return found


async def _seconds_left(connection: asyncpg.Connection, job: Job, seen_at: datetime) -> float | None:
    done, left = (_TENANTS_DONE, _TENANTS_LEFT) if job.is_weekly else (_CELLS_DONE, _CELLS_LEFT)
    first, *later = await connection.fetch(done, job.job_id, RECENT, job.resumed_at) or [None]
    if len(later) + 1 < ENOUGH or first is None:
        return None
    seconds = (seen_at - first["at"]).total_seconds()
    speed = float(sum(row["amount"] for row in later)) / seconds
    remaining = float(await connection.fetchval(left, job.job_id) or 0)
    return remaining / float(speed)
