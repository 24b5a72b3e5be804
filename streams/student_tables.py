"""Which students a part has, and the tables with their rows, as statements.

Every statement takes $1 the tenant, $3 the report date R and, where times are compared, $4 the midnights
that begin the days R-49 to R in the tenant's time zone: the server's own idea of a zone may be another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.tenants import DAYS, ESTIMATE_DAYS
from streams.models.students import ABSENT, EXCUSED, LATE, PRESENT

STATUS = {"present": PRESENT, "late": LATE, "absent": ABSENT, "excused": EXCUSED}

_MIDNIGHTS = "$4::timestamptz[]"
_TIMES = f"""
    stored.assessed_at >= ({_MIDNIGHTS})[{ESTIMATE_DAYS + 1} - {{days}}]
    AND stored.assessed_at < ({_MIDNIGHTS})[{ESTIMATE_DAYS + 1}]
"""
_DATES = "stored.{date} BETWEEN $3::date - {days} AND $3::date - 1"
_DAY = f"$3::date - {ESTIMATE_DAYS + 1} + width_bucket(stored.assessed_at, {_MIDNIGHTS})"

_FROM = "org_id = $1 AND student_id >= coalesce($2::text, '') {before}"
_LISTED = f"SELECT student_id FROM students WHERE {_FROM}"  # noqa: S608 - composed of constants only
# Day by day, the students of a part stand together in the index.
_ON_DAYS = f"""
    SELECT present.student_id FROM generate_series(1, {DAYS}) AS back CROSS JOIN LATERAL (
        SELECT student_id FROM {{table}} WHERE {_FROM} AND {{date}} = $3::date - back OFFSET 0
    ) AS present
"""  # noqa: S608 - as above
# From one student to the next by the key, so that a year of history costs nothing.
_AT_TIMES = f"""
    SELECT present.student_id FROM (
        WITH RECURSIVE walked AS (
            (SELECT student_id FROM {{table}} WHERE {_FROM} ORDER BY student_id LIMIT 1)
            UNION ALL
            SELECT (SELECT student_id FROM {{table}}
                    WHERE org_id = $1 AND student_id > walked.student_id {{before}}
                    ORDER BY student_id LIMIT 1)
            FROM walked WHERE walked.student_id IS NOT NULL
        )
        SELECT student_id FROM walked WHERE student_id IS NOT NULL
    ) AS present
    CROSS JOIN LATERAL (
        SELECT FROM {{table}} AS stored
        WHERE stored.org_id = $1 AND stored.student_id = present.student_id
        AND {_TIMES.format(days=DAYS)}
        LIMIT 1
    ) AS recent
"""  # noqa: S608 - as above


def _students(before: str) -> str:
    queries = (
        _LISTED.format(before=before),
        _ON_DAYS.format(table="attendance", date="class_date", before=before),
        _ON_DAYS.format(table="irt_snapshot", date="snapshot_date", before=before),
        _AT_TIMES.format(table="fact_assessment", before=before),
        _AT_TIMES.format(table="fact_assessment_item", before=before),
    )
    return f"{' UNION '.join(queries)} ORDER BY student_id"


STUDENTS_TO_THE_END = _students("")
STUDENTS_BEFORE = _students("AND student_id < $5")
"""Ids of a part's students, in order: $2 the first id or null, $5 the id after the last."""

# OFFSET 0 keeps the join one look into the index per student, also before a table is analyzed.
_ROWS = """
    SELECT (asked.place - 1)::integer, ({day} - $3::date)::integer, {values}
    FROM unnest($2::text[]) WITH ORDINALITY AS asked (student_id, place)
    CROSS JOIN LATERAL (
        SELECT * FROM {table} AS stored
        WHERE stored.org_id = $1 AND stored.student_id = asked.student_id COLLATE "C" AND {recent} OFFSET 0
    ) AS stored
"""


@dataclass(frozen=True, slots=True)
class Table:
    """One input table: its rows of the students asked for, a fixed width each."""

    name: str
    days: int
    columns: Mapping[str, str]
    query: str


def _dated(name: str, date: str, days: int, values: Mapping[str, tuple[str, str]]) -> Table:
    return _table(name, days, f"stored.{date}", _DATES.format(date=date, days=days), values)


def _timed(name: str, days: int, values: Mapping[str, tuple[str, str]], condition: str = "true") -> Table:
    return _table(name, days, _DAY, f"{_TIMES.format(days=days)} AND {condition}", values)


def _table(name: str, days: int, day: str, recent: str, values: Mapping[str, tuple[str, str]]) -> Table:
    texts = ", ".join(f"({value})::{kind}" for kind, value in values.values())
    kinds = {"student": "integer", "day": "integer"} | {field: kind for field, (kind, _) in values.items()}
    return Table(name, days, kinds, _ROWS.format(table=name, day=day, recent=recent, values=texts))


def _number(field: str) -> tuple[str, str]:
    return "float8", f"coalesce(stored.{field}, 'NaN'::float8)"


ASSESSMENTS = _timed(
    "fact_assessment",
    ESTIMATE_DAYS,
    {"order": ("float8", "date_part('epoch', stored.assessed_at)")}
    | {field: _number(field) for field in ("theta", "items", "omitted", "c_hat")},
)
SNAPSHOTS = _dated("irt_snapshot", "snapshot_date", ESTIMATE_DAYS, {"theta": _number("theta")})
ATTENDANCE = _dated(
    "attendance",
    "class_date",
    DAYS,
    {"status": ("smallint", f"coalesce(array_position(ARRAY{list(STATUS)}, stored.status) - 1, -1)")},
)
RESPONSES = _timed(
    "fact_assessment_item",
    DAYS,
    {field: ("float8", f"stored.{field}") for field in ("response", "a", "b", "c")},
    "stored.response IS NOT NULL AND stored.a IS NOT NULL AND stored.b IS NOT NULL AND stored.c IS NOT NULL",
)
