"""The rows that a job left, as few enough numbers to compare two jobs by."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from ops.generator.cells import Cells

_ROWS = """
    SELECT count(*) AS rows, count(DISTINCT job_id) AS jobs, max(job_id) AS job_id,
           coalesce(sum(hashtextextended(numbers, 0)), 0)::text AS digest
    FROM (
        SELECT job_id, (to_jsonb(p) - $5::text[])::text AS numbers FROM probability_results p
        WHERE latitude BETWEEN $1::float8 AND $3::float8 AND longitude BETWEEN $2::float8 AND $4::float8
        UNION ALL
        SELECT job_id, (to_jsonb(h) - $5::text[])::text FROM hazard_results h
        WHERE latitude BETWEEN $1::float8 AND $3::float8 AND longitude BETWEEN $2::float8 AND $4::float8
    ) AS result
"""
_OF_THE_RUN = ["id", "calculated_at", "job_id", "job_seq"]
"""Columns that differ from job to job."""


@dataclass(frozen=True, slots=True)
class Written:
    """Both result tables of some cells."""

    rows: int
    digest: str
    """Of every column but those of the run, whatever the order of the rows."""


async def written(connection: asyncpg.Connection, cells: Cells) -> Written:
    """What is stored of the cells of a box.

    Raises:
        ValueError: The rows are not all of the latest job.
    """
    corners = (cells.latitude.min(), cells.longitude.min(), cells.latitude.max(), cells.longitude.max())
    found = await connection.fetchrow(_ROWS, *(float(corner) for corner in corners), _OF_THE_RUN)
    latest = await connection.fetchval("SELECT job_id FROM batch_job_logs ORDER BY job_seq DESC LIMIT 1")
    if found["jobs"] != 1 or found["job_id"] != latest:
        raise ValueError(f"{found['rows']} rows of {found['jobs']} jobs, not all of {latest}")
    return Written(found["rows"], found["digest"])
