"""Jobs as they move, by server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter
from fastapi.sse import EventSourceResponse, ServerSentEvent

from ops import jobs
from ops.web.feed import LOOK_SECONDS, Documents
from ops.web.office import Here, Who
from schemas.errors import RiskflowError
from schemas.pauses import pause

router = APIRouter(tags=["jobs"])


@router.get("/events", response_class=EventSourceResponse)
async def events(here: Here, who: Who) -> AsyncIterator[ServerSentEvent]:
    """Events named `jobs`: a list of jobs with their counts, first all that move, then those that changed."""
    told: Documents | None = None
    while not here.stop.is_set():
        try:
            known = await here.feed.now()
        except RiskflowError as error:
            # The stream stays, so that the page goes on by itself when the database is back.
            yield ServerSentEvent(event="trouble", data={"detail": str(error)})
        else:
            fresh = [each for each in known.values() if _is_new(each, told, weekly=who.sees_all_tenants)]
            if fresh or told is None:
                yield ServerSentEvent(event="jobs", data=fresh)
            told = known
        await pause(here.stop, LOOK_SECONDS)


def _is_new(document: dict[str, Any], told: Documents | None, *, weekly: bool) -> bool:
    if document["job_type"] == jobs.WEEKLY and not weekly:
        return False
    return told is None or told.get(document["job_id"]) != document
