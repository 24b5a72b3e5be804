"""What `riskflow dlq` does with letters: filters them, prints them, and acts on each by itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import asyncpg
import orjson
from rich.console import Console

from ops import replay
from ops.context import BUSY, database
from ops.letters import Letter, Mark, marks, read_all, read_one, source_topics
from schemas.errors import RiskflowError
from schemas.messages import now
from schemas.settings import Settings

SHOWN_REASON = 160
"""Characters of a reason in the list; `show` has all (expert assumption)."""
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which letters are meant; None lets all through, `marked` also those that are done with."""

    topics: tuple[str, ...]
    reason: str | None
    job: str | None
    since: datetime | None
    marked: bool
    is_empty: bool

    @classmethod
    def of(
        cls,
        topic: str | None,
        reason: str | None,
        job: str | None,
        since: str | None,
        *,
        marked: bool = False,
    ) -> Filter:
        """From the options of a command.

        Raises:
            RiskflowError: There is no such topic, or the time cannot be read.
        """
        moment = moment_of(since) if since else None
        empty = not any((topic, reason, job, since))
        return cls(tuple(source_topics(topic)), reason, job, moment, marked, empty)

    def lets(self, letter: Letter) -> bool:
        """Whether the letter itself is meant, whatever was done about it."""
        return (
            (self.reason is None or self.reason.casefold() in letter.reason.casefold())
            and (self.job is None or letter.job_id == self.job)
            and (self.since is None or (letter.written_at is not None and letter.written_at >= self.since))
        )


class Action(Protocol):
    """What is done with a letter."""

    @property
    def verb(self) -> str:
        """Its name in sentences."""

    async def take(self, connection: asyncpg.Connection, letter: Letter) -> str:
        """Do it in one transaction and say what follows.

        Raises:
            RiskflowError: It cannot be done; nothing was changed.
        """


@dataclass(frozen=True, slots=True)
class Replaying:
    """Replays letters for somebody."""

    by: str
    again: bool = False
    verb: str = "replay"

    async def take(self, connection: asyncpg.Connection, letter: Letter) -> str:
        """As `ops.replay.replay`."""
        return (await replay.replay(connection, letter, self.by, again=self.again)).sentence


@dataclass(frozen=True, slots=True)
class Dropping:
    """Drops letters for somebody."""

    by: str
    verb: str = "drop"

    async def take(self, connection: asyncpg.Connection, letter: Letter) -> str:
        """As `ops.replay.drop`."""
        await replay.drop(connection, letter, self.by)
        return "dropped; it stays in its topic until that forgets it"


async def show_list(settings: Settings, out: Console, wanted: Filter, limit: int) -> None:
    """Print the latest letters that the filter leaves, oldest first."""
    async with database(settings, "dlq") as connection:
        found = await filtered(settings, connection, wanted)
    if not found:
        _say(out, "no dead letters" if wanted.is_empty else "no dead letters of this kind")
        return
    for letter, mark in found[-limit:]:
        told = f"  {mark.action} by {mark.by} {_time(mark.at)}" if mark else ""
        job = f"  job {_line(letter.job_id)}" if letter.job_id else ""
        _say(out, f"{letter.id}  {_time(letter.written_at)}{job}{told}", style="bold")
        _say(out, f"    {_line(letter.reason)[:SHOWN_REASON]}")
    if len(found) > limit:
        _say(out, f"the latest {limit} of {len(found)}; --limit shows more")


async def show_one(settings: Settings, out: Console, name: str) -> None:
    """Print all of a letter.

    Raises:
        RiskflowError: There is none of this name.
    """
    letter = await read_one(settings, name)
    async with database(settings, "dlq") as connection:
        mark = (await marks(connection, [letter.topic])).get(letter.place)
    partition, offset = letter.source or (None, None)
    facts = {
        "letter": letter.id,
        "written": _time(letter.written_at),
        "done": f"{mark.action} by {mark.by} {_time(mark.at)}" if mark else "nothing yet",
        "reason": letter.reason,
        "exception": letter.exception or "not told",
        "came from": letter.topic
        + ("" if partition is None else f", partition {partition}, offset {offset}"),
        "key": text_of(letter.key),
    }
    for fact, value in facts.items():
        _say(out, f"{fact:>10}  {_plain(value)}")
    for header, content in letter.headers:
        _say(out, f"{'header':>10}  {_line(header)}: {text_of(content)}")
    _say(out, f"{'value':>10}  {value_of(letter.value)}")


async def act(  # noqa: PLR0913, PLR0917 - what, on which, how
    settings: Settings,
    out: Console,
    names: Sequence[str],
    wanted: Filter,
    action: Action,
    ask: Callable[[str], None],
) -> None:
    """Act on the named letters, or on all that the filter leaves, each by itself; say what came of each.

    Raises:
        RiskflowError: Neither is given; there is none; or some could not be acted on, which are named.
    """
    if bool(names) == (not wanted.is_empty):
        raise RiskflowError("name letters, or filter them by --topic, --reason, --job, --since: one of both")
    failed = 0
    async with database(settings, "dlq") as connection:
        if names:
            letters = [await read_one(settings, name) for name in dict.fromkeys(names)]
        else:
            letters = [letter for letter, _ in await filtered(settings, connection, wanted)]
            if not letters:
                raise RiskflowError("no dead letters of this kind")
            ask(f"{action.verb} {len(letters)} letters, {letters[0].id} to {letters[-1].id}?")
        for letter in letters:
            try:
                _say(out, f"{letter.id}: {_line(await action.take(connection, letter))}")
            except (RiskflowError, asyncpg.LockNotAvailableError) as error:
                failed += 1
                why = str(error) if isinstance(error, RiskflowError) else f"the database {BUSY}"
                _say(out, f"{letter.id}: not {action.verb}{_past(action.verb)}: {_line(why)}")
    if failed:
        raise RiskflowError(f"{failed} of {len(letters)} letters were left as they are")


async def filtered(
    settings: Settings, connection: asyncpg.Connection, wanted: Filter
) -> list[tuple[Letter, Mark | None]]:
    """The letters that the filter leaves, oldest first, each with what was done about it."""
    done = await marks(connection, wanted.topics)
    found = [letter for letter in await read_all(settings, wanted.topics) if wanted.lets(letter)]
    told = [(letter, done.get(letter.place)) for letter in found]
    return [(letter, mark) for letter, mark in told if wanted.marked or mark is None]


def moment_of(text: str) -> datetime:
    """A moment, or so long before the present; without a zone it is UTC.

    Raises:
        RiskflowError: It is neither.
    """
    if span := re.fullmatch(r"(\d{1,6})([mhd])", text.strip()):
        try:
            return now() - timedelta(**{_UNITS[span[2]]: int(span[1])})
        except OverflowError:
            raise RiskflowError(f"--since {text!r} is before the first year; write fewer") from None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise RiskflowError(
            f"--since {text!r}: write 30m, 12h, 7d or a time such as 2026-11-23T06:00+09:00"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def text_of(content: bytes | None) -> str:
    """Bytes for reading: text where they are UTF-8, else hexadecimal; none and empty are told apart."""
    if content is None:
        return "none"
    if not content:
        return "(empty)"
    try:
        return _plain(content.decode())
    except UnicodeDecodeError:
        return f"hex {content.hex(' ', 4)}"


def value_of(value: bytes | None) -> str:
    """A value for reading: JSON with indents where it is JSON."""
    try:
        document = orjson.loads(value or b"")
        return _plain(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):  # the second: nested too deeply to be written
        return text_of(value)


def _plain(text: str) -> str:
    """Without the characters that steer a terminal; a letter may hold anything."""
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode()
        for each in text
    )


def _line(text: str) -> str:
    """As `_plain`, and in one line, so that no letter can write a line of the list."""
    return _plain(text).replace("\n", "\\n")


def _past(verb: str) -> str:
    return "ped" if verb.endswith("p") else "ed"


def _time(at: datetime | None) -> str:
    return "at an unknown time" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def _say(out: Console, sentence: str, style: str | None = None) -> None:
    out.print(sentence, style=style, highlight=False, markup=False, soft_wrap=True)
