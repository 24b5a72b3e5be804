"""Rows of the ledger that the page shows."""

from __future__ import annotations

from datetime import date

import asyncpg

CELLS = 40
EVIL = "<img src=x onerror=alert(1)>"


async def climate_job(
    connection: asyncpg.Connection, job_id: str, status: str = "running", error: str | None = None
) -> None:
    """A probability job of two risks over CELLS cells, nothing of which has reported."""
    await connection.execute(
        "INSERT INTO batch_job_logs (job_id, job_seq, job_type, status, scenario, window_start, window_end,"
        " kinds, risks, requested_by, total_grids, processed_grids, failed_grids, chunks_total,"
        " error_message)"
        " VALUES ($1, nextval('riskflow.job_seq'), 'probability', $2, 'historical', 1991, 2020,"
        " '{probability}', '{drought,typhoon}', 'risk office', $3, 0, 0, 4, $4)",
        job_id,
        status,
        CELLS,
        error,
    )
    await connection.executemany(
        "INSERT INTO batch_job_risks (job_id, risk_type) VALUES ($1, $2)",
        [(job_id, risk) for risk in ("drought", "typhoon")],
    )


async def reported(
    connection: asyncpg.Connection, job_id: str, risk: str, cells: int, failed: int = 0
) -> None:
    """So many cells of a risk have reported."""
    await connection.execute(
        "UPDATE batch_job_risks SET reported = $3, failed = $4 WHERE (job_id, risk_type) = ($1, $2)",
        job_id,
        risk,
        cells,
        failed,
    )


async def failed(connection: asyncpg.Connection, job_id: str, error: str) -> None:
    """One chunk of the job has failed for this reason."""
    await connection.execute(
        "INSERT INTO batch_job_chunks (job_id, chunk, chunk_id, latitudes, longitudes, cells, kinds_left)"
        " VALUES ($1, 1, $1 || ':1', '{}', '{}', 10, 0)",
        job_id,
    )
    await connection.execute(
        "INSERT INTO batch_job_outcomes (job_id, chunk, kind, failed_cells, error)"
        " VALUES ($1, 1, 'probability', '{0,1}', $2)",
        job_id,
        error,
    )


async def ended(connection: asyncpg.Connection, job_id: str, failed: int, error: str) -> None:
    """The job has come to its end with failures."""
    await connection.execute(
        "UPDATE batch_job_logs SET status = 'completed_with_failures', processed_grids = total_grids,"
        " failed_grids = $2, error_message = $3, chunks_done = chunks_total, completed_at = clock_timestamp()"
        " WHERE job_id = $1",
        job_id,
        failed,
        error,
    )


async def summary(connection: asyncpg.Connection, org_id: str, day: date, crit: int, warn: int) -> None:
    """What a tenant's report of a day says; the tenant's name is EVIL."""
    await connection.execute(
        "INSERT INTO tenant_risk_summary (org_id, report_date, org_name, total_students, crit_count,"
        " warn_count, ok_count, insufficient_data, theta_warn, theta_crit, omit_warn, omit_crit, guess_warn,"
        " guess_crit, attendance_warn, attendance_crit, thresholds, calculated_at, job_id, job_seq)"
        " VALUES ($1, $2, $3, 100, $4, $5, 80, 10, 0, 0, 0, 0, 0, 0, 0, 0, '{}', now(), 'weekly-1', 1)",
        org_id,
        day,
        EVIL,
        crit,
        warn,
    )
