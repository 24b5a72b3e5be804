"""`riskflow load` for people: a progress bar, then what was stored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ops.context import database
from ops.load.loader import load
from ops.load.options import Loaded, LoadOptions
from schemas.settings import Settings
from streams.models.inputs import Years


async def run_load(  # noqa: PLR0913 - the options of a command line
    settings: Settings,
    table: str,
    files: Sequence[Path],
    console: Console,
    *,
    bad_values: str,
    bad_values_file: Path | None,
    ibtracs: str | None,
    scenario: str | None,
    timezone: str | None = None,
) -> None:
    """Load the files and print what was stored.

    Raises:
        InvalidFile: A file is refused; nothing of it was stored.
    """
    with _bar(console) as progress:
        task = progress.add_task("reading", total=1.0)
        options = LoadOptions(
            baseline=Years(settings.baseline_start, settings.baseline_end),
            bad_values=bad_values,  # type: ignore[arg-type]  # the command line allows nothing else
            bad_values_file=bad_values_file,
            ibtracs=ibtracs,  # type: ignore[arg-type]  # as above
            scenario=scenario,
            timezone=timezone,
            progress=lambda phase, share: progress.update(task, description=phase, completed=share),
        )
        async with database(settings, "load") as connection:
            loaded = await load(table, files, connection, options)
    print_loaded(console, loaded)


def print_loaded(console: Console, loaded: Loaded) -> None:
    """What was stored and what the user may not expect."""
    console.print(loaded.sentence, highlight=False, markup=False, soft_wrap=True)
    for warning in loaded.warnings:
        console.print(f"note: {warning}", highlight=False, markup=False, soft_wrap=True)


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:24}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
