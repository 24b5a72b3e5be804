"""One job with all that the ledger says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from ops import jobs
from ops.jobs import Failure, Job, RiskCounts, TenantState
from ops.standing import Standing, standings
from ops.superseded import superseded


@dataclass(frozen=True, slots=True)
class ShownJob:
    """A job, how it stands, and what it has come to.

    `superseded` counts cells, or tenants, of which a newer job has written a row since.
    """

    job: Job
    standing: Standing | None
    superseded: int
    risks: Sequence[RiskCounts]
    failures: Sequence[Failure]
    tenants: Sequence[TenantState]


async def read_job(connection: asyncpg.Connection, job: Job, stalled_after_minutes: float) -> ShownJob:
    """All that is known of a job."""
    return ShownJob(
        job,
        (await standings(connection, [job], stalled_after_minutes)).get(job.job_id),
        await superseded(connection, job),
        await jobs.risk_counts(connection, job.job_id),
        await jobs.failures(connection, job.job_id),
        await jobs.tenant_states(connection, job.job_id),
    )
