"""metrics.csv and summary.csv, as METHODS, section 3, lists their columns.

PostgreSQL writes them: every digit of a number that tells it from its neighbours, null as an empty
field. A text that a spreadsheet would take for a formula gets a leading apostrophe (OWASP, CSV
injection).
"""

from __future__ import annotations

from datetime import date
from typing import IO

import asyncpg

from schemas.tenants import STUDENT_RISKS

_FORMULA = r"^[=+\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]"
"""How formulas begin, as PostgreSQL's regular expression; the last four are four of them in full width."""


def _harmless(column: str) -> str:
    return f"CASE WHEN {column} ~ '{_FORMULA}' THEN '''' || {column} ELSE {column} END AS {column}"


METRICS = (
    *("theta", "delta_theta_7d", "delta_theta_14d", "omit_rate", "c_hat"),
    *("absence_rate_7d", "absence_rate_14d", "consecutive_absences", "decline_weeks"),
)
"""Metrics of a student, in the order of every table."""
MEANS = ("theta", "delta_theta_7d", "omit_rate", "c_hat", "absence_rate_7d", "absence_rate_14d")
_STUDENT_COLUMNS = (
    *("report_date", "org_id", _harmless("student_id"), *METRICS),
    *(f"{risk}_level" for risk in STUDENT_RISKS),
    *("level", "rank"),
)
_SUMMARY_COLUMNS = (
    *("report_date", "org_id", _harmless("org_name"), "total_students", "crit_count", "crit_pct"),
    *("warn_count", "warn_pct", "ok_count", "insufficient_data"),
    *(f"{risk}_{level}" for risk in STUDENT_RISKS for level in ("warn", "crit")),
    *(f"mean_{metric}" for metric in MEANS),
)
_STUDENTS = f"""
    SELECT {", ".join(_STUDENT_COLUMNS)} FROM student_risk_metrics
    WHERE org_id = $1 AND report_date = $2 ORDER BY student_risk_metrics.student_id
"""  # noqa: S608 - column names of this module only
_SUMMARY = f"""
    SELECT {", ".join(_SUMMARY_COLUMNS)} FROM tenant_risk_summary
    WHERE report_date = $1 ORDER BY tenant_risk_summary.org_id
"""  # noqa: S608 - column names of this module only
_SHORTEST_EXACT = "SET LOCAL extra_float_digits = 1"


async def write_metrics(
    connection: asyncpg.Connection, org_id: str, report_date: date, file: IO[bytes]
) -> None:
    """One row per student of a tenant, by student_id; inside the caller's transaction."""
    await connection.execute(_SHORTEST_EXACT)
    await connection.copy_from_query(_STUDENTS, org_id, report_date, output=file, format="csv", header=True)


async def write_summary(connection: asyncpg.Connection, report_date: date, file: IO[bytes]) -> None:
    """One row per tenant with a report of that date, by org_id; inside the caller's transaction."""
    await connection.execute(_SHORTEST_EXACT)
    await connection.copy_from_query(_SUMMARY, report_date, output=file, format="csv", header=True)
