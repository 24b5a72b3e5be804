"""The ends of tenants of weekly jobs, and the jobs that they count for; nothing else ends either."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import asyncpg

from consumers.letters import put
from schemas.codec import Record, encode
from schemas.messages import JobEvent
from schemas.storable import plain
from schemas.topics import JOB_EVENTS

SOURCE = "tenant-ledger"
OPEN = ("pending", "running")
FINAL_DELIVERIES = ("sent", "refused", "failed", "unknown", "kept", "no_data")
"""States of a delivery that change no more by themselves."""
_COUNTERS = ("total_grids", "processed_grids", "failed_grids")
UNDELIVERED = ("refused", "failed", "unknown")

# Rows are locked in one order before they change, tenants before jobs; of several ends of one tenant
# the first counts.
_END = """
    WITH told AS (
        SELECT DISTINCT ON (job_id, org_id) job_id, org_id, state, error, place
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
            WITH ORDINALITY AS t (job_id, org_id, state, error, place)
        ORDER BY job_id, org_id, place
    ), locked AS (
        SELECT t.job_id, t.org_id FROM batch_job_tenants t JOIN told USING (job_id, org_id)
        WHERE t.ended_at IS NULL
        ORDER BY t.job_id, t.org_id FOR NO KEY UPDATE OF t
    )
    UPDATE batch_job_tenants t
    SET state = told.state, error = told.error, ended_at = clock_timestamp(), changed_at = clock_timestamp()
    FROM told JOIN locked USING (job_id, org_id)
    WHERE (t.job_id, t.org_id) = (told.job_id, told.org_id)
    RETURNING t.job_id, t.org_id, t.state, t.error, told.place
"""
_COUNT_JOBS = """
    WITH told AS (
        SELECT job_id, count(*) AS tenants, count(*) FILTER (WHERE failed) AS failed,
               (array_agg(error ORDER BY place) FILTER (WHERE failed))[1] AS error
        FROM unnest($1::text[], $2::boolean[], $3::text[])
            WITH ORDINALITY AS t (job_id, failed, error, place)
        GROUP BY job_id
    ), locked AS (
        SELECT j.job_id FROM batch_job_logs j JOIN told USING (job_id)
        ORDER BY j.job_id FOR NO KEY UPDATE OF j
    )
    UPDATE batch_job_logs j
    SET processed_grids = j.processed_grids + told.tenants,
        failed_grids = j.failed_grids + told.failed,
        error_message = coalesce(j.error_message, told.error),
        success_rate = 100.0 * (j.processed_grids + told.tenants - j.failed_grids - told.failed)
            / j.total_grids,
        status = CASE
            WHEN j.status <> ALL ($4::text[]) OR j.processed_grids + told.tenants < j.total_grids
            THEN j.status
            WHEN j.failed_grids + told.failed = 0 THEN 'completed'
            WHEN j.failed_grids + told.failed = j.total_grids THEN 'failed'
            ELSE 'completed_with_failures' END,
        completed_at = CASE
            WHEN j.status <> ALL ($4::text[]) OR j.processed_grids + told.tenants < j.total_grids
            THEN j.completed_at ELSE clock_timestamp() END
    FROM told JOIN locked USING (job_id)
    WHERE j.job_id = told.job_id
    RETURNING j.job_id, j.job_type, j.status, j.total_grids, j.processed_grids, j.failed_grids,
              j.error_message, j.traceparent
"""
_LOCK_RENDERED = """
    SELECT t.job_id, t.org_id, t.report_date
    FROM batch_job_tenants t JOIN unnest($1::text[], $2::date[]) AS r (org_id, report_date)
        USING (org_id, report_date)
    WHERE t.state = 'rendered' AND t.ended_at IS NULL
    ORDER BY t.job_id, t.org_id FOR NO KEY UPDATE OF t
"""
_DELIVERIES = """
    SELECT d.org_id, d.report_date, d.channel, d.state, d.detail
    FROM report_deliveries d JOIN unnest($1::text[], $2::date[]) AS r (org_id, report_date)
        USING (org_id, report_date)
    ORDER BY d.channel
"""


@dataclass(frozen=True, slots=True)
class TenantEnd:
    """The end of a tenant in a job; `error` is the reason of a failure, without the tenant's name."""

    job_id: str
    org_id: str
    state: Literal["delivered", "no_data", "failed"]
    error: str | None = None


async def end_tenants(connection: asyncpg.Connection, ends: Sequence[TenantEnd]) -> None:
    """End tenants that have not ended, count them for their jobs and put the jobs' events into the outbox.

    Repeats change nothing. Locks tenants, then jobs: call it last in a transaction, and lock no tenant
    and no job after it.
    """
    rows = await connection.fetch(
        _END,
        [end.job_id for end in ends],
        [end.org_id for end in ends],
        [end.state for end in ends],
        [end.error and plain(end.error) for end in ends],
    )
    ended = sorted(rows, key=lambda row: row["place"])
    jobs = await connection.fetch(
        _COUNT_JOBS,
        [row["job_id"] for row in ended],
        [row["state"] == "failed" for row in ended],
        [plain(f"{row['org_id']}: {row['error'] or 'failed'}") for row in ended],
        OPEN,
    )
    # A cancelled job has told its end already.
    await put(connection, [_event(job) for job in jobs if job["status"] != "cancelled"])


async def settle_deliveries(connection: asyncpg.Connection, org_id: str, report_date: date) -> None:
    """End what is rendered for this tenant and date, in every job, once all its deliveries are final.

    Call it in the transaction that has written a delivery's state, after that, and once: for several
    tenants call `settle_reports`, which locks them in one order.
    """
    await settle_reports(connection, [(org_id, report_date)])


async def settle_reports(connection: asyncpg.Connection, reports: Iterable[tuple[str, date]]) -> None:
    """What `settle_deliveries` does, for several tenants and dates of one transaction."""
    asked = sorted(set(reports))
    keys = [org_id for org_id, _ in asked], [day for _, day in asked]
    rendered = await connection.fetch(_LOCK_RENDERED, *keys)
    if not rendered:
        return
    # Read after the lock: of two transactions that write the last two states, the second sees both.
    deliveries: dict[tuple[str, date], list[asyncpg.Record]] = defaultdict(list)
    for each in await connection.fetch(_DELIVERIES, *keys):
        deliveries[each["org_id"], each["report_date"]].append(each)
    ends = []
    for row in rendered:
        own = deliveries[row["org_id"], row["report_date"]]
        if own and all(each["state"] in FINAL_DELIVERIES for each in own):
            ends.append(TenantEnd(row["job_id"], row["org_id"], *_end_of(own)))
    await end_tenants(connection, ends)


def stored_event(job: Mapping[str, Any], org_id: str, source: str) -> Record:
    """The event that a tenant's rows are complete; `job` holds what it tells of batch_job_logs."""
    told = {name: job[name] for name in ("job_id", "job_type", *_COUNTERS)}
    event = JobEvent(state="tenant_stored", org_id=org_id, **told)
    return encode(JOB_EVENTS, event, source=source, traceparent=job["traceparent"])


def _end_of(
    deliveries: Sequence[asyncpg.Record],
) -> tuple[Literal["delivered", "no_data", "failed"], str | None]:
    faults = [
        f"{each['channel']}: {each['detail'] or each['state']}"
        for each in deliveries
        if each["state"] in UNDELIVERED
    ]
    if faults:
        return "failed", "; ".join(faults)
    if all(each["state"] == "no_data" for each in deliveries):
        return "no_data", None
    return "delivered", None


def _event(job: asyncpg.Record) -> Record:
    event = JobEvent(
        job_id=job["job_id"],
        job_type=job["job_type"],
        state="progress" if job["status"] in OPEN else job["status"],
        message=job["error_message"],
        **{name: job[name] for name in _COUNTERS},
    )
    return encode(JOB_EVENTS, event, source=SOURCE, traceparent=job["traceparent"])
