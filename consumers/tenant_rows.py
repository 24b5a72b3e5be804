"""Rows of the weekly report: students by COPY and one upsert, ranks and summary once a tenant is whole.

Source of ranking and summary: METHODS, section 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import asyncpg

from schemas.metrics import count_rows
from schemas.tenant_messages import StudentColumns, TenantMetrics
from schemas.tenants import STUDENT_RISKS

Row = tuple[Any, ...]
TenantKey = tuple[str, str]
"""Job and tenant."""

_METRICS = tuple(name for name in StudentColumns.model_fields if name != "student_id")
_KEY = ("org_id", "report_date", "student_id")
COLUMNS = (*_KEY, *_METRICS, "calculated_at", "job_id", "job_seq")
_LISTED = ", ".join(COLUMNS)

_LOCK = """
    SELECT pg_advisory_xact_lock(key) FROM (
        SELECT DISTINCT hashtextextended(org_id || ' ' || report_date, 0) AS key
        FROM unnest($1::text[], $2::date[]) AS t (org_id, report_date) ORDER BY key OFFSET 0) AS keys
"""
_CREATE = f"""
    CREATE TEMPORARY TABLE incoming_students ON COMMIT DELETE ROWS AS
    SELECT {_LISTED} FROM student_risk_metrics WITH NO DATA
"""  # noqa: S608 - names of this module
_CLEAR = "DELETE FROM pg_temp.incoming_students"
# A student who has left since must not come back with the late result of an earlier job.
_UPSERT = f"""
    INSERT INTO student_risk_metrics AS stored ({_LISTED})
    SELECT DISTINCT ON ({", ".join(_KEY)}) {_LISTED}
    FROM pg_temp.incoming_students i
    WHERE NOT EXISTS (SELECT FROM tenant_risk_summary s
                      WHERE (s.org_id, s.report_date) = (i.org_id, i.report_date) AND s.job_seq > i.job_seq)
    ORDER BY {", ".join(_KEY)}, job_seq DESC
    ON CONFLICT ({", ".join(_KEY)}) DO UPDATE
    SET rank = NULL, {", ".join(f"{column} = excluded.{column}" for column in COLUMNS[len(_KEY) :])}
    WHERE stored.job_seq <= excluded.job_seq
"""  # noqa: S608 - names of this module
# An earlier job that ends late finds the later one's summary and leaves everything as it is.
_PRESENT = """
    WITH present AS MATERIALIZED (
        SELECT DISTINCT ON (t.org_id, t.report_date) t.job_id, t.org_id, t.report_date, t.tenant, j.job_seq
        FROM unnest($1::text[], $2::text[]) AS whole (job_id, org_id)
        JOIN batch_job_tenants t USING (job_id, org_id) JOIN batch_job_logs j USING (job_id)
        WHERE NOT EXISTS (SELECT FROM tenant_risk_summary s
                          WHERE (s.org_id, s.report_date) = (t.org_id, t.report_date)
                            AND s.job_seq > j.job_seq)
        ORDER BY t.org_id, t.report_date, j.job_seq DESC
    )
"""
_FORGET_LEFT = f"""
    {_PRESENT}
    DELETE FROM student_risk_metrics m USING present p
    WHERE (m.org_id, m.report_date) = (p.org_id, p.report_date)
      AND m.job_seq < p.job_seq AND m.job_id <> p.job_id
"""  # noqa: S608 - statements of this module
# Twelve decimals: equal scores must not be told apart by the rounding of their sums.
_RANK = f"""
    {_PRESENT}, ranked AS MATERIALIZED (
        SELECT m.ctid AS place, row_number() OVER (
            PARTITION BY m.org_id, m.report_date
            ORDER BY array_position(ARRAY['CRIT', 'WARN', 'OK', 'NO_DATA'], m.level),
                     round(1e12 * (-2 * coalesce(m.delta_theta_7d, 0) + coalesce(m.omit_rate, 0)
                                   + 1.5 * coalesce(m.absence_rate_7d, 0))) DESC,
                     m.student_id) AS rank
        FROM student_risk_metrics m JOIN present p USING (org_id, report_date)
    )
    UPDATE student_risk_metrics m SET rank = ranked.rank FROM ranked WHERE m.ctid = ranked.place
"""  # noqa: S608 - statements of this module

_COUNTS = {
    "total_students": "count(m.student_id)",
    "crit_count": "count(*) FILTER (WHERE m.level = 'CRIT')",
    "warn_count": "count(*) FILTER (WHERE m.level = 'WARN')",
    "ok_count": "count(*) FILTER (WHERE m.level = 'OK')",
    "insufficient_data": "count(*) FILTER (WHERE m.level = 'NO_DATA')",
} | {
    f"{risk}_{level.lower()}": f"count(*) FILTER (WHERE m.{risk}_level = '{level}')"
    for risk in STUDENT_RISKS
    for level in ("WARN", "CRIT")
}
_MEANS = {
    # A sum of doubles depends on the order of the rows; twelve decimals are what the changes have.
    f"mean_{metric}": f"round(avg(m.{metric}::numeric), 12)::float8"
    for metric in (
        "theta",
        "delta_theta_7d",
        "omit_rate",
        "c_hat",
        "absence_rate_7d",
        "absence_rate_14d",
    )
}
_SHARES = {
    f"{level}_pct": f"100.0::float8 * {level}_count / nullif(total_students - insufficient_data, 0)"
    for level in ("crit", "warn")
}
_OF_TENANT = {
    "org_name": "tenant ->> 'name'",
    "thresholds": "tenant -> 'thresholds'",
    "calculated_at": "clock_timestamp()",
    "job_id": "job_id",
    "job_seq": "job_seq",
}
_SUMMED = _COUNTS | _MEANS
_SUMMARISED = {name: name for name in _SUMMED} | _SHARES | _OF_TENANT
_SUMMARY = f"""
    {_PRESENT}, counted AS (
        SELECT p.*, {", ".join(f"{sql} AS {name}" for name, sql in _SUMMED.items())}
        FROM present p LEFT JOIN student_risk_metrics m USING (org_id, report_date)
        GROUP BY p.org_id, p.report_date, p.tenant, p.job_id, p.job_seq
    )
    INSERT INTO tenant_risk_summary (org_id, report_date, {", ".join(_SUMMARISED)})
    SELECT org_id, report_date, {", ".join(_SUMMARISED.values())}
    FROM counted ORDER BY org_id, report_date
    ON CONFLICT (org_id, report_date) DO UPDATE
    SET {", ".join(f"{name} = excluded.{name}" for name in _SUMMARISED)}
    WHERE tenant_risk_summary.job_seq <= excluded.job_seq
"""  # noqa: S608 - names and statements of this module


async def create_temporary(connection: asyncpg.Connection) -> None:
    """Make the temporary table of a new session."""
    await connection.execute(_CREATE)


async def clear(connection: asyncpg.Connection) -> None:
    """Forget what an earlier record of the same transaction put into the temporary table."""
    await connection.execute(_CLEAR)


async def lock(connection: asyncpg.Connection, reports: Sequence[tuple[str, date]]) -> None:
    """Keep other sinks away from the rows of these tenants and dates until the transaction ends."""
    await connection.fetch(_LOCK, [org_id for org_id, _ in reports], [day for _, day in reports])


async def write(connection: asyncpg.Connection, results: Sequence[TenantMetrics]) -> None:
    """Upsert the students of results, never over those of a later job; their ranks are null from now."""
    rows = [row for result in results for row in _rows(result)]
    if rows:
        await connection.copy_records_to_table(
            "incoming_students", schema_name="pg_temp", columns=COLUMNS, records=rows
        )
        count_rows("student_risk_metrics", await connection.execute(_UPSERT))


async def complete(connection: asyncpg.Connection, tenants: Sequence[TenantKey]) -> None:
    """Rank the students of tenants whose parts are all there, and write the summaries.

    Students of an earlier job for the same date, who are in none of the parts, are deleted. Where a later
    job's summary is there already, nothing changes.
    """
    keys = [job_id for job_id, _ in tenants], [org_id for _, org_id in tenants]
    for statement in (_FORGET_LEFT, _RANK):
        await connection.execute(statement, *keys)
    count_rows("tenant_risk_summary", await connection.execute(_SUMMARY, *keys))


def _rows(result: TenantMetrics) -> Iterator[Row]:
    students = result.students
    if students is None:
        return
    made = (result.calculated_at, result.job_id, result.job_seq)
    columns = (getattr(students, name) for name in _METRICS)
    for student_id, *metrics in zip(students.student_id, *columns, strict=True):
        yield result.org_id, result.report_date, student_id, *metrics, *made
