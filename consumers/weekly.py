"""What a weekly trigger will do, or why it is refused; and its tenants and parts in the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import asyncpg

from consumers.plan import JobColumns
from schemas.errors import InvalidFile, RefusedTrigger
from schemas.messages import BY_SCHEDULE, Trigger, now
from schemas.settings import Settings
from schemas.tenants import DAYS, FIRST_REPORT, Tenant
from schemas.tenants_file import load_tenants
from schemas.topics import TENANT_CHUNKS

KIND = "metrics"
"""The one kind of result of a weekly job."""
MEMORY = "256MB"
"""Sorting memory for cutting a tenant into parts; 200,000 ids take 16 MB of it (measured)."""
_FIELDS = ("scenario", "window", "risks", "bbox", "uncertainty")

_HAS_DATA = """
    SELECT EXISTS (
        SELECT FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) AS t (org_id, since, until)
        WHERE EXISTS (SELECT FROM fact_assessment f
                      WHERE f.org_id = t.org_id AND f.assessed_at >= t.since AND f.assessed_at < t.until)
           OR EXISTS (SELECT FROM fact_assessment_item i
                      WHERE i.org_id = t.org_id AND i.assessed_at >= t.since AND i.assessed_at < t.until)
           OR EXISTS (SELECT FROM attendance a
                      WHERE a.org_id = t.org_id AND a.class_date >= $4::date AND a.class_date < $5::date)
           OR EXISTS (SELECT FROM irt_snapshot s
                      WHERE s.org_id = t.org_id AND s.snapshot_date >= $4::date
                        AND s.snapshot_date < $5::date))
"""
_BLIND = """
    SELECT current_user AS role, row_security_active('attendance') AND NOT EXISTS (
        SELECT FROM riskflow.tenant_roles WHERE role = current_user AND org_id = '*') AS blind
"""
# Each branch is distinct by itself, so that only ids and never rows meet in the union.
_PARTS = """
    WITH listed AS (
        SELECT student_id FROM students WHERE org_id = $1
        UNION SELECT DISTINCT student_id FROM fact_assessment
        WHERE org_id = $1 AND assessed_at >= $2 AND assessed_at < $3
        UNION SELECT DISTINCT student_id FROM fact_assessment_item
        WHERE org_id = $1 AND assessed_at >= $2 AND assessed_at < $3
        UNION SELECT DISTINCT student_id FROM attendance
        WHERE org_id = $1 AND class_date >= $4::date AND class_date < $5::date
        UNION SELECT DISTINCT student_id FROM irt_snapshot
        WHERE org_id = $1 AND snapshot_date >= $4::date AND snapshot_date < $5::date
    ), placed AS (
        SELECT student_id, (row_number() OVER (ORDER BY student_id) - 1) / $6::integer + 1 AS part
        FROM listed
    )
    SELECT part::integer AS part, min(student_id) AS first_student, count(*)::integer AS students
    FROM placed GROUP BY part ORDER BY part
"""
_TENANTS = """
    INSERT INTO batch_job_tenants (job_id, org_id, report_date, tenant, students, parts, parts_left)
    SELECT $1, org_id, $2, tenant::jsonb, students, parts, parts
    FROM unnest($3::text[], $4::text[], $5::integer[], $6::integer[]) AS t (org_id, tenant, students, parts)
"""
_CHUNKS = """
    INSERT INTO batch_job_chunks (
        job_id, chunk, chunk_id, topic, org_id, part, first_student, before_student, cells, kinds_left)
    SELECT $1::text, chunk, $1 || ':' || chunk, $2, org_id, part, first_student, before_student, students, 1
    FROM unnest($3::text[], $4::integer[], $5::text[], $6::text[], $7::integer[])
        WITH ORDINALITY AS p (org_id, part, first_student, before_student, students, chunk)
    ORDER BY chunk
"""
_TOTALS = "UPDATE batch_job_logs SET total_grids = $2, chunks_total = $3 WHERE job_id = $1"


@dataclass(frozen=True, slots=True)
class Part:
    """A range of a tenant's students: `first_student` <= id < `before_student`, open at null."""

    part: int
    first_student: str | None
    before_student: str | None
    students: int


@dataclass(frozen=True, slots=True)
class WeeklyPlan:
    """A weekly job with everything that the trigger left out; tenants in the file's order."""

    report_date: date
    tenants: tuple[Tenant, ...]

    @property
    def columns(self) -> JobColumns:
        """What the job's row holds of the plan."""
        return JobColumns(kinds=(KIND,), report_date=self.report_date)

    async def freeze(self, connection: asyncpg.Connection, job_id: str, settings: Settings) -> int:
        """Write the job's tenants and their parts, and return the number of tenants."""
        await connection.execute("SELECT set_config('work_mem', $1, true)", MEMORY)
        parts = [
            await parts_of(connection, tenant, self.report_date, settings.students_per_part)
            for tenant in self.tenants
        ]
        await self._write_tenants(connection, job_id, parts)
        await _write_chunks(connection, job_id, self.tenants, parts)
        await connection.execute(_TOTALS, job_id, len(self.tenants), sum(map(len, parts)))
        return len(self.tenants)

    async def _write_tenants(
        self, connection: asyncpg.Connection, job_id: str, parts: Sequence[Sequence[Part]]
    ) -> None:
        await connection.execute(
            _TENANTS,
            job_id,
            self.report_date,
            [tenant.org_id for tenant in self.tenants],
            [tenant.model_dump_json() for tenant in self.tenants],
            [sum(part.students for part in own) for own in parts],
            [len(own) for own in parts],
        )


async def plan_weekly(
    connection: asyncpg.Connection, trigger: Trigger, settings: Settings, *, at: datetime | None = None
) -> WeeklyPlan:
    """Check a weekly trigger against TENANTS_FILE and the database, as the acceptor does.

    Args:
        connection: Of a role that sees all tenants.
        trigger: Of job type weekly.
        settings: Name the file with the tenants, which is read anew.
        at: Moment of the asking; the present where left out.

    Raises:
        RefusedTrigger: The sentence names what is allowed.
    """
    _check_fields(trigger)
    report_date = _report_date(trigger, settings, at or now())
    try:
        known = await asyncio.to_thread(load_tenants, settings)
    except InvalidFile as fault:
        raise RefusedTrigger(f"{fault}{_way_out(trigger, settings)}") from fault
    active = [tenant for tenant in known if tenant.active]
    if not active:
        raise RefusedTrigger(f"{settings.tenants_file} has no active tenant; set active: true for one")
    chosen = _chosen(known, trigger.tenants)
    await _check_sight(connection)
    await _check_data(connection, active, report_date)
    return WeeklyPlan(report_date, tuple(chosen))


async def parts_of(
    connection: asyncpg.Connection, tenant: Tenant, report_date: date, size: int
) -> list[Part]:
    """Cut the students of a tenant's report into ranges of `size`, which together hold every id.

    A tenant without students gets one part.
    """
    since, until = day_bounds(tenant, report_date)
    days = report_date - timedelta(days=DAYS), report_date
    rows = await connection.fetch(_PARTS, tenant.org_id, since, until, *days, size)
    if not rows:
        return [Part(1, None, None, 0)]
    bounds = [None, *(row["first_student"] for row in rows[1:]), None]
    return [
        Part(row["part"], first, before, row["students"])
        for row, first, before in zip(rows, bounds[:-1], bounds[1:], strict=True)
    ]


def day_bounds(tenant: Tenant, report_date: date) -> tuple[datetime, datetime]:
    """Begin of the first of the 14 days and end of the last, in the tenant's time zone."""
    zone = ZoneInfo(tenant.timezone)
    first = report_date - timedelta(days=DAYS)
    return datetime.combine(first, time.min, zone), datetime.combine(report_date, time.min, zone)


def _check_fields(trigger: Trigger) -> None:
    given = [field for field in _FIELDS if getattr(trigger, field)]
    if given:
        raise RefusedTrigger(
            f"{', '.join(given)}: only for climate jobs; job type weekly takes tenants, report_date"
        )


def _way_out(trigger: Trigger, settings: Settings) -> str:
    if settings.tenants_file is not None or trigger.requested_by != BY_SCHEDULE:
        return ""
    return "; where no weekly reports are wanted, set WEEKLY_SCHEDULE_ENABLED=false"


def _report_date(trigger: Trigger, settings: Settings, at: datetime) -> date:
    today = at.astimezone(ZoneInfo(settings.schedule_timezone)).date()
    asked = trigger.report_date
    if asked is None:
        return today - timedelta(days=today.weekday())
    if asked > today:
        raise RefusedTrigger(
            f"report_date {asked} is in the future; today is {today} in {settings.schedule_timezone}"
        )
    if asked < FIRST_REPORT:
        raise RefusedTrigger(f"report_date {asked} is too early; allowed: {FIRST_REPORT} to {today}")
    return asked


def _chosen(known: Sequence[Tenant], named: Sequence[str] | None) -> list[Tenant]:
    if named is None:
        return [tenant for tenant in known if tenant.active]
    ids = [tenant.org_id for tenant in known]
    unknown = sorted(set(named) - set(ids))
    if unknown:
        raise RefusedTrigger(f"unknown tenant {', '.join(unknown)}; known: {', '.join(ids)}")
    chosen = [tenant for tenant in known if tenant.org_id in named]
    inactive = [tenant.org_id for tenant in chosen if not tenant.active]
    if inactive:
        raise RefusedTrigger(
            f"tenant {', '.join(inactive)} is not active; set active: true in TENANTS_FILE, or leave it out"
        )
    return chosen


async def _check_data(connection: asyncpg.Connection, active: Sequence[Tenant], report_date: date) -> None:
    first = report_date - timedelta(days=DAYS)
    bounds = [day_bounds(tenant, report_date) for tenant in active]
    ids, since, until = [each.org_id for each in active], [b[0] for b in bounds], [b[1] for b in bounds]
    if not await connection.fetchval(_HAS_DATA, ids, since, until, first, report_date):
        raise RefusedTrigger(
            f"report_date {report_date} has no data: no active tenant has assessments, items, attendance "
            f"or snapshots dated {first} to {report_date - timedelta(days=1)}"
        )


async def _check_sight(connection: asyncpg.Connection) -> None:
    blind = await connection.fetchrow(_BLIND)
    if blind["blind"]:
        raise RefusedTrigger(
            f"the role {blind['role']} may not see all tenants; have the owner of the tables run: "
            f"SELECT riskflow.grant_tenant('{blind['role']}', '*')"
        )


async def _write_chunks(
    connection: asyncpg.Connection, job_id: str, tenants: Sequence[Tenant], parts: Sequence[Sequence[Part]]
) -> None:
    rows = [(tenant.org_id, part) for tenant, own in zip(tenants, parts, strict=True) for part in own]
    await connection.execute(
        _CHUNKS,
        job_id,
        TENANT_CHUNKS.name,
        [org_id for org_id, _ in rows],
        [part.part for _, part in rows],
        [part.first_student for _, part in rows],
        [part.before_student for _, part in rows],
        [part.students for _, part in rows],
    )
