"""What the tests of tenants share: students' rows, a weekly job in the ledger, its parts as messages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import orjson
from climate_stage import Stage

from schemas.codec import encode
from schemas.tenant_messages import TenantChunk
from schemas.tenants import Tenant, Thresholds
from schemas.topics import TENANT_CHUNKS, TENANT_METRICS

REPORT_DATE = date(2026, 11, 16)
SEOUL = "Asia/Seoul"

ENTER_TENANT = """
    INSERT INTO batch_job_tenants (job_id, org_id, report_date, tenant, students, parts, parts_left)
    VALUES ($1, $2, $3, $4, 0, $5, $5)
"""
ENTER_PART = """
    INSERT INTO batch_job_chunks (job_id, chunk, chunk_id, cells, kinds_left, topic, org_id, part,
                                  first_student, before_student)
    VALUES ($1, $2, $3, 0, 1, $4, $5, $6, $7, $8)
"""


def day(back: int) -> date:
    """The day R-back."""
    return REPORT_DATE - timedelta(days=back)


def noon(back: int) -> datetime:
    """Noon in Seoul of the day R-back."""
    at = day(back)
    return datetime(at.year, at.month, at.day, 3, tzinfo=UTC)


def part(org_id: str, **fields: Any) -> TenantChunk:
    """The message of a part; of the whole tenant where no range is given."""
    return TenantChunk(
        **{
            "job_id": "job",
            "job_seq": 1,
            "chunk_id": "job:1",
            "chunk": 1,
            "org_id": org_id,
            "report_date": REPORT_DATE,
            "part": 1,
            "parts": 1,
            "timezone": SEOUL,
            "irt_scaling": 1.7,
            "thresholds": Thresholds(),
        }
        | fields
    )


async def list_students(connection: asyncpg.Connection, org_id: str, ids: Sequence[str]) -> None:
    """Enter students."""
    await connection.executemany(
        "INSERT INTO students (org_id, student_id) VALUES ($1, $2)", [(org_id, one) for one in ids]
    )


async def assess(  # noqa: PLR0913 - the columns of the table
    connection: asyncpg.Connection,
    org_id: str,
    student: str,
    at: datetime,
    *,
    theta: float | None = None,
    items: int | None = None,
    omitted: int | None = None,
    c_hat: float | None = None,
) -> None:
    """Enter an assessment."""
    await connection.execute(
        "INSERT INTO fact_assessment (org_id, student_id, assessed_at, theta, items, omitted, c_hat) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)",
        *(org_id, student, at, theta, items, omitted, c_hat),
    )


async def snapshot(
    connection: asyncpg.Connection, org_id: str, student: str, at: date, theta: float | None
) -> None:
    """Enter an estimate of another system."""
    await connection.execute("INSERT INTO irt_snapshot VALUES ($1, $2, $3, $4)", org_id, student, at, theta)


async def attend(
    connection: asyncpg.Connection, org_id: str, student: str, at: date, *statuses: str | None
) -> None:
    """Enter the sessions of a day."""
    await connection.executemany(
        "INSERT INTO attendance VALUES ($1, $2, $3, $4, $5)",
        [(org_id, student, at, str(session), status) for session, status in enumerate(statuses, 1)],
    )


async def answer(
    connection: asyncpg.Connection,
    org_id: str,
    student: str,
    at: datetime,
    answers: Sequence[tuple[int | None, float | None, float | None, float | None]],
) -> None:
    """Enter an assessment's responses with a, b and c."""
    await connection.executemany(
        "INSERT INTO fact_assessment_item (org_id, student_id, assessed_at, item_id, response, a, b, c) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        [(org_id, student, at, f"item {item}", *one) for item, one in enumerate(answers, 1)],
    )


async def plan_parts(
    stage: Stage,
    job_id: str,
    org_id: str,
    ranges: Sequence[tuple[str | None, str | None]] = ((None, None),),
    *,
    status: str = "running",
    **fields: Any,
) -> list[TenantChunk]:
    """Enter a weekly job of one tenant into the ledger; returns the messages, which are not sent yet."""
    job_seq = await stage.database.fetchval("SELECT nextval('riskflow.job_seq')")
    await stage.database.execute(
        "INSERT INTO batch_job_logs (job_id, job_type, status, job_seq, kinds, risks, report_date, "
        "total_grids, chunks_total) VALUES ($1, 'weekly', $2, $3, '{metrics}', '{}', $4, 1, $5)",
        *(job_id, status, job_seq, REPORT_DATE, len(ranges)),
    )
    tenant = Tenant(org_id=org_id, name=org_id, timezone=SEOUL, language="ko").model_dump_json()
    await stage.database.execute(ENTER_TENANT, job_id, org_id, REPORT_DATE, tenant, len(ranges))
    messages = [
        part(
            org_id,
            job_id=job_id,
            job_seq=job_seq,
            chunk_id=f"{job_id}:{number}",
            chunk=number,
            part=number,
            parts=len(ranges),
            first_student=first,
            before_student=before,
            **fields,
        )
        for number, (first, before) in enumerate(ranges, 1)
    ]
    await stage.database.executemany(
        ENTER_PART,
        [
            (
                *(job_id, one.chunk, one.chunk_id, TENANT_CHUNKS.name, org_id, one.part),
                *(one.first_student, one.before_student),
            )
            for one in messages
        ],
    )
    return messages


async def send_part(stage: Stage, chunk: TenantChunk) -> None:
    """Publish a part as the dispatcher does."""
    record = encode(TENANT_CHUNKS, chunk, source="dispatcher")
    await stage.send_raw(record.key, record.value, record.headers, topic=TENANT_CHUNKS)


async def metrics(stage: Stage, chunk: TenantChunk) -> dict[str, Any]:
    """The result of a part, as plain JSON."""
    count = 1
    while True:
        for record in await stage.records(TENANT_METRICS.name, chunk.org_id, count):
            result: dict[str, Any] = orjson.loads(record.value)
            if result["chunk_id"] == chunk.chunk_id:
                return result
        count = len(stage.found(TENANT_METRICS.name, chunk.org_id)) + 1
