"""How much of a job other jobs have written over since."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from ops.jobs import Job

# Jobs that write rows with the same keys. One accepted earlier comes later only when it was resumed; and
# because job_seq changes then, the rows are asked whose they are, and not the log who came later.
_RIVALS = """
    SELECT r.risks FROM batch_job_logs r JOIN batch_job_logs j ON j.job_id = $1
    WHERE r.job_id <> $1 AND r.job_seq > 0 AND (r.id > j.id OR r.resumes > 0)
      AND (r.scenario, r.window_start, r.window_end) = (j.scenario, j.window_start, j.window_end)
      AND r.risks && j.risks AND r.kinds && j.kinds
"""
# Only cells that a kind has reported without a failure surely have a row of this job, or had one.
_CELLS = """
    WITH mine AS MATERIALIZED (
        SELECT o.kind, round(u.latitude::numeric, 6) AS latitude, round(u.longitude::numeric, 6) AS longitude
        FROM batch_job_outcomes o JOIN batch_job_chunks c USING (job_id, chunk),
             unnest(c.latitudes, c.longitudes) WITH ORDINALITY AS u (latitude, longitude, place)
        WHERE o.job_id = $1 AND u.place - 1 <> ALL (o.failed_cells)
    )
    SELECT count(*) FROM (
        SELECT latitude, longitude FROM mine JOIN probability_results r USING (latitude, longitude)
        WHERE mine.kind = 'probability' AND r.risk_type = ANY ($5::text[]) AND r.job_id IS DISTINCT FROM $1
          AND (r.scenario, r.window_start, r.window_end) = ($2, $3, $4)
        UNION
        SELECT latitude, longitude FROM mine JOIN hazard_results r USING (latitude, longitude)
        WHERE mine.kind = 'hazard' AND r.risk_type = ANY ($5::text[]) AND r.job_id IS DISTINCT FROM $1
          AND (r.scenario, r.window_start, r.window_end) = ($2, $3, $4)
    ) AS gone
"""
_TENANTS = """
    SELECT count(*) FROM batch_job_tenants t JOIN tenant_risk_summary s USING (org_id, report_date)
    WHERE t.job_id = $1 AND t.state <> 'pending' AND t.parts_left = 0 AND s.job_id <> $1
"""


async def superseded(connection: asyncpg.Connection, job: Job) -> int:
    """Cells (of a weekly job: tenants) of this job with a row that a newer job has written since."""
    if job.is_weekly:
        return int(await connection.fetchval(_TENANTS, job.job_id))
    rivals = await connection.fetch(_RIVALS, job.job_id)
    witnesses = _witnesses([set(row["risks"]) & set(job.risks) for row in rivals])
    if not witnesses:
        return 0
    key = (job.scenario, job.window_start, job.window_end)
    return int(await connection.fetchval(_CELLS, job.job_id, *key, witnesses))


def _witnesses(shared: Sequence[set[str]]) -> list[str]:
    """Few risks of which each rival writes at least one: a job writes all its risks of a cell at once."""
    found: set[str] = set()
    for risks in sorted(shared, key=lambda each: (len(each), sorted(each))):
        if not risks & found:
            found.add(min(risks))
    return sorted(found)
