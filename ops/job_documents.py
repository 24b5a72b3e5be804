"""The documented objects of `riskflow jobs --json` and `riskflow jobs show --json`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ops.jobs import Job
from ops.shown_job import ShownJob
from ops.standing import Standing


def job_document(job: Job, standing: Standing | None) -> dict[str, Any]:
    """One job; `standing` of one that has not ended. Times are datetimes, which orjson writes as ISO 8601."""
    window = None
    if job.window_start is not None:
        window = {"start": job.window_start, "end": job.window_end}
    return {
        "job_id": job.job_id,
        "job_type": job.job_type,
        "job_seq": job.job_seq,
        "status": job.status,
        "refused": job.is_refused,
        "requested_by": job.requested_by,
        "scenario": job.scenario,
        "window": window,
        "report_date": job.report_date,
        "kinds": job.kinds,
        "risks": job.risks,
        **_times(job),
        "counted": "tenants" if job.is_weekly else "cells",
        "total": job.total_grids or 0,
        "processed": job.processed_grids or 0,
        "failed": job.failed_grids or 0,
        "percent": job.percent,
        "success_rate": job.success_rate,
        "chunks_total": job.chunks_total,
        "chunks_done": job.chunks_done,
        "jobs_ahead": standing.ahead if standing else None,
        "seconds_left": standing.seconds_left if standing else None,
        "stalled_since": standing.stalled_since if standing else None,
        "reports_per_risk": job.reports_per_risk,
        "error_message": job.error_message,
    }


def shown_document(shown: ShownJob) -> dict[str, Any]:
    """One job with all that `jobs show` says of it."""
    return job_document(shown.job, shown.standing) | {
        "superseded": shown.superseded,
        "risk_counts": [asdict(each) for each in shown.risks],
        "failures": [asdict(each) for each in shown.failures],
        "tenants": [asdict(each) for each in shown.tenants],
    }


def _times(job: Job) -> dict[str, Any]:
    return {
        "started_at": job.started_at,
        "completed_at": job.completed_at,
        "seconds": job.seconds,
        "cancelled_by": job.cancelled_by,
        "resumed_by": job.resumed_by,
        "resumed_at": job.resumed_at,
    }
