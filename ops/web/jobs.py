"""Jobs over HTTP: the log, one job, asking for one, cancelling and resuming."""

from __future__ import annotations

from typing import Annotated, Any

import asyncpg
import orjson
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from ops import jobs, lifecycle
from ops import trigger as triggers
from ops.job_documents import job_document, shown_document
from ops.shown_job import read_job
from ops.standing import standings
from ops.web.access import Caller
from ops.web.documents import JobDocument, ShownJob
from ops.web.office import Here, Office, Operator, Who
from ops.web.paging import Cursor, Limit, Page, cursor_of, values_of
from ops.web.problems import NotAllowed
from schemas.errors import NotFound, RefusedTrigger
from schemas.messages import JobStatus, JobType, Trigger

router = APIRouter(prefix="/jobs", tags=["jobs"])

_REQUEST = "SELECT riskflow.request($1, $2::jsonb)"


class AskedJob(BaseModel):
    """A job that was asked for; its row appears when it is accepted."""

    job_id: str


class ChangedJob(BaseModel):
    """What became of a job, with the sentence of the command line."""

    job_id: str
    status: str
    sentence: str


@router.get("")
async def latest(
    here: Here,
    who: Who,
    status: Annotated[JobStatus | None, Query()] = None,
    job_type: Annotated[JobType | None, Query()] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[JobDocument]:
    """The job log, newest first; weekly jobs only for who sees all tenants."""
    before = int(str(values_of(cursor, (int,))[0])) if cursor else None
    async with here.database() as connection:
        found = await jobs.page(
            connection, limit, before=before, status=status, job_type=job_type, weekly=who.sees_all_tenants
        )
        items = await documents(connection, here, [job for _, job in found])
    following = cursor_of(found[-1][0]) if len(found) == limit else None
    return Page(items=[JobDocument(**each) for each in items], next=following)


@router.post("", status_code=202)
async def ask(trigger: Trigger, response: Response, here: Here, who: Operator) -> AskedJob:
    """Ask for a job; the request is kept in the database until the broker has it."""
    if trigger.job_type == jobs.WEEKLY and not who.sees_all_tenants:
        raise NotAllowed(f"{who.name} sees not all tenants, so not weekly jobs either")
    job_id = trigger.job_id or triggers.new_id(trigger.job_type, trigger.report_date)
    asked = trigger.model_copy(update={"job_id": job_id, "requested_by": f"{who.name}, web page"})
    options = asked.model_dump(mode="json", exclude_none=True, exclude={"job_type"})
    async with here.database() as connection:
        await triggers.check(connection, here.settings, asked)
        try:
            await connection.fetchval(_REQUEST, asked.job_type, orjson.dumps(options).decode())
        except asyncpg.UniqueViolationError as error:
            raise RefusedTrigger(str(error)) from None
    response.headers["Location"] = f"/api/v1/jobs/{job_id}"
    return AskedJob(job_id=job_id)


@router.get("/{job_id}")
async def show(job_id: str, here: Here, who: Who) -> ShownJob:
    """One job with all that is known of it."""
    async with here.database() as connection:
        job = await _find(connection, job_id, who)
        shown = await read_job(connection, job, here.settings.stalled_after_minutes)
    return ShownJob(**shown_document(shown))


@router.post("/{job_id}/cancel")
async def cancel(job_id: str, here: Here, who: Operator) -> ChangedJob:
    """End a job that runs or waits."""
    async with here.database() as connection:
        await _find(connection, job_id, who)
        done = await lifecycle.cancel(connection, job_id, who.name)
    return ChangedJob(job_id=job_id, status="cancelled", sentence=done.sentence)


@router.post("/{job_id}/resume")
async def resume(job_id: str, here: Here, who: Operator) -> ChangedJob:
    """Compute what a cancelled job lacks, or again what has failed of one that has ended."""
    async with here.database() as connection:
        await _find(connection, job_id, who)
        done = await lifecycle.resume(connection, job_id, who.name)
    return ChangedJob(job_id=job_id, status=done.status, sentence=done.sentence)


async def documents(
    connection: asyncpg.Connection, here: Office, found: list[jobs.Job]
) -> list[dict[str, Any]]:
    """The documented objects of jobs."""
    standing = await standings(connection, found, here.settings.stalled_after_minutes)
    return [job_document(job, standing.get(job.job_id)) for job in found]


async def _find(connection: asyncpg.Connection, job_id: str, who: Caller) -> jobs.Job:
    job = await jobs.find(connection, job_id)
    # Of a weekly job not even that there is one: its id may name a tenant.
    if job is None or (job.is_weekly and not who.sees_all_tenants):
        raise NotFound(f"there is no job {job_id}; GET /api/v1/jobs lists the latest")
    return job
