"""Disturb jobs on real brokers and a real PostgreSQL, and print what was lost and doubled: `make faults`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from faults import chance, flow, processes, queues, reports, servers, triggers  # noqa: F401 - each adds its faults to the list
from faults.performance import perform
from faults.registry import BROKERS, FAULTS, Fault
from faults.stage import CELLS, Stage
from faults.table import NAMES, Row, postgres_version, terminal_table, write_page
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ops.stack.jars import why_missing

CONSOLE = Console(soft_wrap=True, highlight=False)
if not CONSOLE.is_terminal:
    CONSOLE.width = 160  # a log's lines are not wrapped


def arguments() -> argparse.Namespace:
    """What was asked for; ends the process with a sentence when it cannot be."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--only", metavar="NAME,NAME", help=f"of {', '.join(FAULTS)}")
    parser.add_argument("--broker", choices=BROKERS, help="both by default")
    parser.add_argument("--cells", type=int, default=CELLS, help="cells of the grid, a multiple of 100")
    parser.add_argument("--random", type=int, metavar="N", help="N random sequences of three instead")
    parser.add_argument("--seed", type=int, default=1, help="of the first of them; the others follow")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table as Markdown")
    told = parser.parse_args()
    unknown = set((told.only or "").split(",")) - {"", *FAULTS}
    if unknown:
        parser.error(f"no fault {', '.join(sorted(unknown))}; there are {', '.join(FAULTS)}")
    return told


def chosen(told: argparse.Namespace) -> list[tuple[Fault, str]]:
    """Faults and brokers in the order of their performance."""
    asked = [name for name in (told.only or "").split(",") if name]
    names = [] if told.random else asked or list(FAULTS)
    kinds = [told.broker] if told.broker else list(BROKERS)
    if "kafka" in kinds and (fault := why_missing()) is not None:
        CONSOLE.print(f"skipped on Apache Kafka: {fault}")
        kinds.remove("kafka")
    return [(FAULTS[name], kind) for kind in kinds for name in names if kind in FAULTS[name].brokers]


def command(told: argparse.Namespace) -> str:
    """The command that gives this table."""
    words = {"ONLY": told.only, "BROKER": told.broker}
    if told.random:
        words |= {"RANDOM": told.random, "SEED": told.seed}
    return " ".join(["make faults", *(f"{name}={word}" for name, word in words.items() if word)])


async def main() -> int:
    """Perform what was asked for; the exit code."""
    told = arguments()
    rows: list[Row] = []
    if told.random and (fault := why_missing()) is not None:
        CONSOLE.print(f"random sequences need Apache Kafka: {fault}")
        return 1
    async with Stage() as stage:
        cells = chance.CELLS if told.random else told.cells
        CONSOLE.print(f"drawing {cells:,} cells and computing them undisturbed ...")
        await stage.grid(cells)
        for fault, kind in chosen(told):
            rows.append(await shown(stage, fault, kind, cells))
        if told.random:
            rows.append(await by_chance(stage, told.random, told.seed))
        version = await postgres_version(stage.postgres.database_url("postgres"))
        CONSOLE.print(terminal_table(rows))
        if told.write:
            write_page(told.write, rows, command(told), cells, version)
    if not rows:
        CONSOLE.print("nothing was performed")
    return 0 if rows and all(row.verdict.good for row in rows) else 1


async def shown(stage: Stage, fault: Fault, kind: str, cells: int) -> Row:
    """Perform one fault with a line that tells of it."""
    title = f"{fault.title}, {NAMES[kind]}"
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    if not CONSOLE.is_terminal:
        CONSOLE.print(f"{title} ...")
    with Progress(*columns, console=CONSOLE, transient=True, disable=not CONSOLE.is_terminal) as progress:
        task = progress.add_task(title)
        verdict = await perform(
            stage, fault, kind, lambda text: progress.update(task, description=f"{title}: {text}"), cells
        )
    row = Row(fault.title, kind, verdict)
    CONSOLE.print(f"{title}: " + ", ".join(row.findings()))
    for problem in verdict.problems:
        CONSOLE.print(f"    {problem}")
    if not verdict.good and stage.kept:
        CONSOLE.print(f"    logs: {stage.kept[-1]}")
    return row


async def by_chance(stage: Stage, count: int, seed: int) -> Row:
    """Perform random sequences, each told in a line when it has ended."""
    verdict = await chance.chance(stage, count, seed, CONSOLE.print)
    seeds = f"seed {seed}" if count == 1 else f"seeds {seed} to {seed + count - 1}"
    return Row(f"{count} random sequences of three, {seeds}", "kafka", verdict)


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except KeyboardInterrupt:
        sys.exit(130)  # the shell's code for a command that Ctrl-C ended
