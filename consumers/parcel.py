"""A report on its way to one channel: its row in report_deliveries, taken and ended."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from urllib.parse import quote

import asyncpg

from consumers import gate
from consumers.tenant_ledger import settle_deliveries
from consumers.verdict import ReportIsGone
from schemas.settings import Settings
from schemas.storable import plain
from schemas.tenants import STUDENT_RISKS, Tenant

CHANNEL = "riskflow_deliveries"
"""PostgreSQL channel that every change of report_deliveries notifies."""

_DUE = """
    SELECT org_id, report_date, channel FROM report_deliveries
    WHERE state IN ('pending', 'retrying') AND (next_try_at IS NULL OR next_try_at <= clock_timestamp())
    ORDER BY coalesce(next_try_at, created_at), org_id, channel LIMIT $1
"""
_TAKE = """
    WITH taken AS (
        UPDATE report_deliveries d
        SET state = 'sending', attempts = d.attempts + 1, next_try_at = NULL, changed_at = clock_timestamp()
        FROM unnest($1::text[], $2::date[], $3::text[]) AS due (org_id, report_date, channel)
        WHERE (d.org_id, d.report_date, d.channel) = (due.org_id, due.report_date, due.channel)
          AND d.state IN ('pending', 'retrying')
        RETURNING d.*
    )
    SELECT taken.org_id, taken.report_date, taken.channel, taken.attempts, taken.created_at, taken.address,
           taken.html, taken.csv, taken.job_id, taken.traceparent, t.tenant, s.*
    FROM taken LEFT JOIN batch_job_tenants t USING (job_id, org_id)
    LEFT JOIN (
        SELECT org_id AS org, report_date AS day, total_students, insufficient_data, crit_count, warn_count,
               ok_count, theta_crit, theta_warn, omit_crit, omit_warn, guess_crit, guess_warn,
               attendance_crit, attendance_warn
        FROM tenant_risk_summary) AS s
        ON (s.org, s.day) = (taken.org_id, taken.report_date)
    ORDER BY taken.created_at, taken.org_id, taken.channel
"""
_LEFT = "SELECT org_id, report_date, channel FROM report_deliveries WHERE state = 'sending'"
_ABANDON = """
    UPDATE report_deliveries
    SET state = 'unknown', changed_at = clock_timestamp(),
        detail = format('interrupted while sending; look whether it came, then: riskflow reports resend '
                        '--tenant %s --date %s --channel %s', org_id, report_date, channel)
    WHERE (org_id, report_date, channel) = ($1, $2, $3) AND state = 'sending'
"""
_JOBS = """
    SELECT DISTINCT job_id FROM report_deliveries d
    JOIN unnest($1::text[], $2::date[], $3::text[]) AS k (org_id, report_date, channel)
        USING (org_id, report_date, channel)
"""
# Nothing new is sent for a job that was cancelled after it asked for the delivery, unless a later job's
# report relies on the same one.
_IS_CANCELLED = """
    EXISTS (SELECT FROM batch_job_logs j WHERE j.job_id = d.job_id AND j.status = 'cancelled'
            AND j.completed_at > d.created_at)
"""
_HEIR = """
    (SELECT t.job_id FROM batch_job_tenants t JOIN batch_job_logs o USING (job_id)
     WHERE (t.org_id, t.report_date) = (d.org_id, d.report_date) AND t.state = 'rendered'
       AND t.ended_at IS NULL AND o.status IN ('pending', 'running')
     ORDER BY o.job_seq DESC LIMIT 1)
"""
# A delivery that was taken for interrupted, or sent again by a person, is told apart by when it was
# asked for and by the number of the try.
_END = f"""
    UPDATE report_deliveries d
    SET state = CASE WHEN $6 = 'retrying' AND {_IS_CANCELLED} AND {_HEIR} IS NULL THEN 'cancelled'
                ELSE $6 END,
        job_id = CASE WHEN $6 = 'retrying' AND {_IS_CANCELLED} THEN coalesce({_HEIR}, d.job_id)
                 ELSE d.job_id END,
        detail = $7, changed_at = clock_timestamp(),
        next_try_at = clock_timestamp() + make_interval(secs => $8),
        sent_at = CASE WHEN $6 = 'sent' THEN clock_timestamp() ELSE sent_at END
    WHERE (org_id, report_date, channel) = ($1, $2, $3) AND attempts = $4 AND created_at = $5
      AND state IN ('sending', 'unknown')
    RETURNING state
"""  # noqa: S608 - statements of this module
# As if it had never been taken; due at once.
_GIVE_BACK = f"""
    UPDATE report_deliveries d
    SET state = CASE WHEN {_IS_CANCELLED} AND {_HEIR} IS NULL THEN 'cancelled' ELSE 'pending' END,
        job_id = CASE WHEN {_IS_CANCELLED} THEN coalesce({_HEIR}, d.job_id) ELSE d.job_id END,
        attempts = d.attempts - 1, changed_at = clock_timestamp()
    FROM unnest($1::text[], $2::date[], $3::text[], $4::integer[], $5::timestamptz[])
        AS back (org_id, report_date, channel, attempts, created_at)
    WHERE (d.org_id, d.report_date, d.channel) = (back.org_id, back.report_date, back.channel)
      AND (d.attempts, d.created_at, d.state) = (back.attempts, back.created_at, 'sending')
"""  # noqa: S608 - as above


@dataclass(frozen=True, slots=True)
class Summary:
    """Students of a report by level, and per risk those at CRIT and at WARN."""

    students: int
    without_data: int
    crit: int
    warn: int
    ok: int
    risks: dict[str, tuple[int, int]]

    @property
    def at_risk(self) -> int:
        """Students at CRIT or WARN."""
        return self.crit + self.warn


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is sent, to whom, at the `attempts`-th try."""

    org_id: str
    report_date: date
    channel: str
    attempts: int
    created_at: datetime
    address: tuple[str, ...]
    html: str
    csv: str
    tenant: Tenant | None
    summary: Summary | None
    job_id: str | None = None
    traceparent: str | None = None

    def contents(self) -> tuple[Tenant, Summary]:
        """What the message is written from.

        Raises:
            ReportIsGone: The job or the summary has been deleted.
        """
        if self.tenant is None or self.summary is None:
            raise ReportIsGone("the job of this report is no longer in the database; trigger the week again")
        return self.tenant, self.summary

    @property
    def resend(self) -> str:
        """The command that sends it again."""
        of = f"--tenant {self.org_id} --date {self.report_date}"
        return f"riskflow reports resend {of} --channel {self.channel}"


def link(settings: Settings, path: str) -> str | None:
    """Address of a file of REPORTS_DIR, None where no REPORTS_URL is set."""
    return f"{settings.reports_url.rstrip('/')}/{quote(path)}" if settings.reports_url else None


def place(settings: Settings, path: str) -> Path:
    """Where a file of REPORTS_DIR lies."""
    return settings.reports_dir.absolute() / path


async def take(connection: asyncpg.Connection, most: int) -> list[Parcel]:
    """Mark at most `most` deliveries that are due as sending, and return them; committed on return."""
    # An UPDATE would wake every courier even where it changes no row, so it is not tried in vain. The
    # question is put also where there is room for none: a leader's session must not be idle.
    due = await connection.fetch(_DUE, most)
    if not due:
        return []
    keys = [[row[name] for row in due] for name in ("org_id", "report_date", "channel")]
    return [_parcel(row) for row in await connection.fetch(_TAKE, *keys)]


async def abandon(connection: asyncpg.Connection) -> int:
    """Mark what an earlier courier left in the middle as unknown; returns how many there were."""
    left = await connection.fetch(_LEFT)
    for row in left:
        async with connection.transaction():
            await connection.execute(_ABANDON, *row)
            await settle_deliveries(connection, row["org_id"], row["report_date"])
    return len(left)


async def give_back(connection: asyncpg.Connection, parcels: Sequence[Parcel], limit: float) -> None:
    """Undo the taking of deliveries that were not handed over, within `limit` seconds."""
    columns = zip(
        *((each.org_id, each.report_date, each.channel, each.attempts, each.created_at) for each in parcels),
        strict=True,
    )
    async with asyncio.timeout(limit), connection.transaction():
        await _enter(connection, parcels)
        await connection.execute(_GIVE_BACK, *columns)


async def end(
    connection: asyncpg.Connection, parcel: Parcel, state: str, detail: str, next_try: float | None
) -> bool:
    """Write how a try ended, and what that means for its tenant, in one transaction.

    Args:
        connection: Outside a transaction.
        parcel: As taken.
        state: New state of the row.
        detail: The server's words, or ours.
        next_try: Seconds until the next try, None where there is none.

    Returns:
        Whether the row still waited for this end.
    """
    key = (parcel.org_id, parcel.report_date, parcel.channel, parcel.attempts, parcel.created_at)
    async with connection.transaction():
        await _enter(connection, [parcel])
        written = await connection.fetchval(_END, *key, state, plain(detail), next_try)
        await settle_deliveries(connection, parcel.org_id, parcel.report_date)
    return written is not None


async def _enter(connection: asyncpg.Connection, parcels: Sequence[Parcel]) -> None:
    """Have the parcels' jobs neither cancelled nor resumed until the transaction ends."""
    keys = zip(*((each.org_id, each.report_date, each.channel) for each in parcels), strict=True)
    await gate.enter(connection, [row["job_id"] for row in await connection.fetch(_JOBS, *keys)])


def _parcel(row: asyncpg.Record) -> Parcel:
    return Parcel(
        org_id=row["org_id"],
        report_date=row["report_date"],
        channel=row["channel"],
        attempts=row["attempts"],
        created_at=row["created_at"],
        address=tuple(row["address"]),
        html=row["html"],
        csv=row["csv"],
        tenant=None if row["tenant"] is None else Tenant.model_validate_json(row["tenant"]),
        summary=None if row["total_students"] is None else _summary(row),
        job_id=row["job_id"],
        traceparent=row["traceparent"],
    )


def _summary(row: asyncpg.Record) -> Summary:
    return Summary(
        students=row["total_students"],
        without_data=row["insufficient_data"],
        crit=row["crit_count"],
        warn=row["warn_count"],
        ok=row["ok_count"],
        risks={risk: (row[f"{risk}_crit"], row[f"{risk}_warn"]) for risk in STUDENT_RISKS},
    )
