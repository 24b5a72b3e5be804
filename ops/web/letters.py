"""Dead letters over HTTP: listed, shown, replayed and dropped."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from ops.dead_letters import Dropping, Filter, Replaying, filtered, text_of, value_of
from ops.letters import Letter, Mark, marks, read_one
from ops.web.office import Here, LetterReader
from ops.web.paging import Cursor, Limit, Page, cursor_of, values_of

router = APIRouter(prefix="/letters", tags=["letters"])

Everything = Annotated[bool, Query(alias="all", description="Also those dealt with.")]


class LetterMark(BaseModel):
    """What was done about a letter."""

    action: str
    by: str
    at: datetime


class LetterEntry(BaseModel):
    """A dead letter in the list."""

    id: str
    topic: str
    written_at: datetime | None
    reason: str
    exception: str
    job_id: str | None
    key: str
    size: int
    done: LetterMark | None


class Source(BaseModel):
    """Where the message stood in its own topic."""

    partition: int
    offset: int


class WholeLetter(LetterEntry):
    """A dead letter with the message that it was."""

    headers: list[tuple[str, str]]
    value: str
    source: Source | None


class Again(BaseModel):
    """Whether a letter that was dealt with is replayed once more."""

    again: bool = False


class LetterDone(BaseModel):
    """What follows."""

    sentence: str


@router.get("")
async def letters(
    here: Here,
    _who: LetterReader,
    topic: Annotated[str | None, Query(description="Only of this topic.")] = None,
    reason: Annotated[str | None, Query(description="Only with this text in the reason.")] = None,
    job: Annotated[str | None, Query(description="Only of this job.")] = None,
    since: Annotated[str | None, Query(description="30m, 12h, 7d, or a time.")] = None,
    everything: Everything = False,
    limit: Limit = 40,
    cursor: Cursor = None,
) -> Page[LetterEntry]:
    """Dead letters, newest first."""
    wanted = Filter.of(topic, reason, job, since, marked=everything)
    begin = int(str(values_of(cursor, (int,))[0])) if cursor else 0
    async with here.database() as connection:
        found = await filtered(here.settings, connection, wanted)
    found.reverse()
    shown = found[begin : begin + limit]
    following = cursor_of(begin + limit) if begin + limit < len(found) else None
    return Page(items=[_entry(letter, mark) for letter, mark in shown], next=following)


@router.get("/{topic}/{partition}/{offset}")
async def letter(topic: str, partition: int, offset: int, here: Here, _who: LetterReader) -> WholeLetter:
    """One letter: why, where from, its key, headers and value."""
    found = await read_one(here.settings, f"{topic}/{partition}/{offset}")
    async with here.database() as connection:
        mark = (await marks(connection, [found.topic])).get(found.place)
    entry = _entry(found, mark)
    return WholeLetter(
        **entry.model_dump(),
        headers=[(name, text_of(content)) for name, content in found.headers],
        value=value_of(found.value),
        source=found.source and Source(partition=found.source[0], offset=found.source[1]),
    )


@router.post("/{topic}/{partition}/{offset}/replay")
async def replay_letter(
    topic: str, partition: int, offset: int, asked: Again, here: Here, who: LetterReader
) -> LetterDone:
    """Undo what the letter's failure has ended and have its record dealt with anew."""
    found = await read_one(here.settings, f"{topic}/{partition}/{offset}")
    async with here.database() as connection:
        return LetterDone(sentence=await Replaying(who.name, again=asked.again).take(connection, found))


@router.post("/{topic}/{partition}/{offset}/drop")
async def drop_letter(topic: str, partition: int, offset: int, here: Here, who: LetterReader) -> LetterDone:
    """Note that nothing is to be done about the letter."""
    found = await read_one(here.settings, f"{topic}/{partition}/{offset}")
    async with here.database() as connection:
        return LetterDone(sentence=await Dropping(who.name).take(connection, found))


def _entry(letter: Letter, mark: Mark | None) -> LetterEntry:
    return LetterEntry(
        id=letter.id,
        topic=letter.topic,
        written_at=letter.written_at,
        reason=letter.reason,
        exception=letter.exception,
        job_id=letter.job_id,
        key=text_of(letter.key),
        size=len(letter.value or b""),
        done=mark and LetterMark(action=mark.action, by=mark.by, at=mark.at),
    )
