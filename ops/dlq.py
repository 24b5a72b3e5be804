"""`riskflow dlq`: dead letters listed, shown, replayed and dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated

import typer

from ops.job_commands import person
from ops.terminal import client, console

dlq_app = typer.Typer(
    help="Dead letters: messages that could not be used, kept as they were.", no_args_is_help=True
)

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="TOPIC/PARTITION/OFFSET as in `dlq list`.")
]
TopicOption = Annotated[str | None, typer.Option("--topic", help="Only of this topic.")]
Reason = Annotated[str | None, typer.Option(help="Only with this text in the reason; case does not count.")]
Job = Annotated[str | None, typer.Option(help="Only of this job.")]
Since = Annotated[
    str | None, typer.Option(help="Only since: 30m, 12h, 7d, or a time such as 2026-11-23T06:00+09:00.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@dlq_app.command("list")
def list_letters(
    topic: TopicOption = None,
    reason: Reason = None,
    job: Job = None,
    since: Since = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also those that were replayed or dropped.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many, the latest.")] = 40,
) -> None:
    """Show dead letters, the latest last."""
    from ops import dead_letters as letters

    wanted = letters.Filter.of(topic, reason, job, since, marked=everything)
    asyncio.run(letters.show_list(client(), console(), wanted, limit))


@dlq_app.command("show")
def show_letter(name: Annotated[str, typer.Argument(metavar="ID", help="As in `dlq list`.")]) -> None:
    """Show one letter: why, where from, its key, headers and value."""
    from ops import dead_letters as letters

    asyncio.run(letters.show_one(client(), console(), name))


@dlq_app.command("replay")
def replay_letters(
    names: Names = None,
    topic: TopicOption = None,
    reason: Reason = None,
    job: Job = None,
    since: Since = None,
    again: Annotated[bool, typer.Option("--again", help="Also what was replayed or dropped before.")] = False,
    yes: Yes = False,
) -> None:
    """Have letters dealt with anew once their cause is mended: named ones, or all that filters leave.

    What their failure has ended is opened again, so that a job may
    complete after all.
    """
    from ops import dead_letters as letters

    wanted = letters.Filter.of(topic, reason, job, since, marked=again)
    action = letters.Replaying(person(), again=again)
    asyncio.run(letters.act(client(), console(), names or [], wanted, action, _asks(yes=yes)))


@dlq_app.command("drop")
def drop_letters(
    names: Names = None,
    topic: TopicOption = None,
    reason: Reason = None,
    job: Job = None,
    since: Since = None,
    yes: Yes = False,
) -> None:
    """Note that nothing is to be done about letters; they are listed no more, and stay in their topic."""
    from ops import dead_letters as letters

    wanted = letters.Filter.of(topic, reason, job, since)
    action = letters.Dropping(person())
    asyncio.run(letters.act(client(), console(), names or [], wanted, action, _asks(yes=yes)))


def _asks(*, yes: bool) -> Callable[[str], None]:
    """Ends the command where a person does not want what is about to be done."""
    return (lambda _question: None) if yes else _confirm


def _confirm(question: str) -> None:
    typer.confirm(question, abort=True)
