"""Tenants, jobs and metrics that the tests of the weekly report share."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
from flow_samples import accept, as_read, chunk_rows

from consumers.reader import Reader
from consumers.tenant_sink import TenantSink
from schemas.codec import encode
from schemas.messages import JobEvent, Trigger
from schemas.settings import Settings
from schemas.tenant_messages import StudentColumns, TenantMetrics
from schemas.topics import TENANT_METRICS

REPORT_DATE = date(2024, 3, 11)
"""A Monday."""
CALCULATED_AT = datetime(2024, 3, 11, 1, 2, 3, tzinfo=UTC)
COLUMNS = tuple(StudentColumns.model_fields)
_OFFSETS = itertools.count()


def tenants_file(folder: Path, *org_ids: str, inactive: Sequence[str] = (), zone: str = "Asia/Seoul") -> Path:
    """A file with these tenants, anew at each call; names are the ids in capitals."""
    entries = [
        f"  - {{org_id: {org_id}, name: {org_id.upper()}, timezone: {zone}, language: ko"
        f"{', active: false' if org_id in inactive else ''}}}\n"
        for org_id in (*org_ids, *inactive)
    ]
    path = folder / "tenants.yaml"
    path.write_text("tenants:\n" + "".join(entries), encoding="utf-8")
    return path


def weekly(settings: Settings, folder: Path, *org_ids: str, size: int = 2) -> Settings:
    """Settings with these tenants and `size` students a part."""
    path = tenants_file(folder, *org_ids)
    return settings.model_copy(update={"tenants_file": path, "students_per_part": size})


async def list_students(connection: asyncpg.Connection, org_id: str, *student_ids: str) -> None:
    await connection.executemany(
        "INSERT INTO students (org_id, student_id) VALUES ($1, $2)", [(org_id, each) for each in student_ids]
    )


async def attend(connection: asyncpg.Connection, org_id: str, *student_ids: str, day: date) -> None:
    await connection.executemany(
        "INSERT INTO attendance (org_id, student_id, class_date, session, status) "
        "VALUES ($1, $2, $3, 'am', 'present')",
        [(org_id, student_id, day) for student_id in student_ids],
    )


async def plan_weekly_job(
    connection: asyncpg.Connection, settings: Settings, job_id: str, **fields: Any
) -> list[asyncpg.Record]:
    """Accept a weekly job and return its parts."""
    trigger = Trigger(**({"job_id": job_id, "job_type": "weekly", "report_date": REPORT_DATE} | fields))
    await accept(connection, settings, as_read(trigger))
    return await chunk_rows(connection, job_id)


def student(student_id: str, level: str = "OK", **fields: Any) -> dict[str, Any]:
    """One student's metrics; what is not given is null, and every risk is OK but the theta's."""
    empty = dict.fromkeys(COLUMNS)
    levels = {name: "OK" for name in COLUMNS if name.endswith("_level")} | {"theta_level": level}
    return {**empty, **levels, "student_id": student_id, "level": level, **fields}


def metrics_of(chunk: asyncpg.Record, /, *students: dict[str, Any], **changes: Any) -> TenantMetrics:
    """The metrics of a part, as the tenant agent would make them."""
    columns = StudentColumns(**{name: [each[name] for each in students] for name in COLUMNS})
    fields = {
        "job_id": chunk["job_id"],
        "job_seq": chunk["job_seq"],
        "chunk_id": chunk["chunk_id"],
        "chunk": chunk["chunk"],
        "org_id": chunk["org_id"],
        "report_date": REPORT_DATE,
        "part": chunk["part"],
        "parts": chunk["parts"],
        "calculated_at": CALCULATED_AT,
        "students": columns,
    }
    return TenantMetrics(**(fields | changes))


def failure_of(chunk: asyncpg.Record, reason: str) -> TenantMetrics:
    return metrics_of(chunk, students=None, failure=reason)


def read(message: TenantMetrics, **changes: Any) -> SimpleNamespace:
    """Metrics as the sink's consumer hands them on."""
    record = encode(TENANT_METRICS, message, source="test")
    fields = {"key": record.key, "value": record.value, "headers": tuple(record.headers)}
    place = {"topic": record.topic, "partition": 0, "offset": next(_OFFSETS), "timestamp": 1_700_000_000_000}
    return SimpleNamespace(**(fields | place | changes))


async def open_tenant_sink(settings: Settings) -> asyncpg.Connection:
    connection = await asyncpg.connect(settings.dsn)
    await TenantSink().opened(connection)
    return connection


async def store(
    connection: asyncpg.Connection, settings: Settings, *messages: TenantMetrics | SimpleNamespace
) -> None:
    """What the sink's loop does with a batch; the connection comes from open_tenant_sink."""
    records = [read(each) if isinstance(each, TenantMetrics) else each for each in messages]
    await Reader(settings, TenantSink())._store(connection, records)


async def parts_of_job(connection: asyncpg.Connection, job_id: str) -> list[asyncpg.Record]:
    """Parts with what a message about them says."""
    return await connection.fetch(
        "SELECT c.*, j.job_seq, t.parts FROM batch_job_chunks c JOIN batch_job_logs j USING (job_id) "
        "JOIN batch_job_tenants t USING (job_id, org_id) WHERE job_id = $1 ORDER BY chunk",
        job_id,
    )


async def tenant_row(connection: asyncpg.Connection, job_id: str, org_id: str) -> asyncpg.Record:
    return await connection.fetchrow(
        "SELECT * FROM batch_job_tenants WHERE job_id = $1 AND org_id = $2", job_id, org_id
    )


async def events(connection: asyncpg.Connection, job_id: str) -> list[JobEvent]:
    rows = await connection.fetch("SELECT value FROM outbox WHERE topic = 'risk.job-events.v1' ORDER BY id")
    found = [JobEvent.model_validate_json(row["value"]) for row in rows]
    return [event for event in found if event.job_id == job_id]


async def letters(connection: asyncpg.Connection) -> list[tuple[str, str]]:
    """Topic and reason of each dead letter."""
    rows = await connection.fetch("SELECT * FROM outbox WHERE topic LIKE '%.dlq' ORDER BY id")
    headers = [dict(zip(row["header_names"], row["header_values"], strict=True)) for row in rows]
    return [(row["topic"], each["dlq-reason"].decode()) for row, each in zip(rows, headers, strict=True)]
