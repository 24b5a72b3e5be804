"""Measure riskflow against the old way, the bare limit and the peers: `make bench`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.machine import described
from benchmarks.outcome import Outcome
from benchmarks.registry import BY_DEFAULT, MODULES, ON_REQUEST, performed
from benchmarks.rounds import Size
from benchmarks.table import cells, terminal_table, write_json, write_page
from ops.logs import configure
from schemas.errors import RiskflowError
from schemas.settings import Settings

CONSOLE = Console(soft_wrap=True, highlight=False)
if not CONSOLE.is_terminal:
    CONSOLE.width = 200  # rows of the table are not wrapped


def arguments() -> argparse.Namespace:
    """What was asked for; ends the process with a sentence when it cannot be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    all_but = f"all but {', '.join(ON_REQUEST)} by default"
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MODULES)}; {all_but}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows as a list of objects")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table as Markdown")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="of which medians are taken (5)")
    parser.add_argument(
        "--smoke", action="store_true", help="smallest sizes, one round: shows that all works, not how fast"
    )
    told = parser.parse_args()
    unknown = [name for name in told.names if name not in MODULES]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(MODULES)}")
    if told.rounds < 1:
        parser.error("--rounds: at least 1")
    return told


async def main() -> int:
    """Measure what was asked for and print it.

    Returns:
        0 when every benchmark ran, whatever its ratio: a missed goal is a finding, not a fault.
    """
    told = arguments()
    configure(Settings(_env_file=None, log_level="ERROR"), "bench")
    size = Size(smoke=True, rounds=1, warm_up=0) if told.smoke else Size(rounds=told.rounds)
    CONSOLE.print(described())
    outcomes: list[Outcome] = []
    async for outcome in performed(told.names or BY_DEFAULT, size, lambda name: CONSOLE.print(f"{name} ...")):
        CONSOLE.print("  " + "  ".join(cells(outcome)) + (f"\n    {outcome.note}" if outcome.note else ""))
        outcomes.append(outcome)
    CONSOLE.print(terminal_table(outcomes))
    if told.smoke:
        CONSOLE.print("This was a smoke run: the ratios mean nothing.")
    if told.json:
        write_json(told.json, outcomes)
    if told.write:
        write_page(told.write, outcomes, command(told))
    return 0


def command(told: argparse.Namespace) -> str:
    """The command that gives this table."""
    words = [*told.names, *(["--smoke"] if told.smoke else [])]
    return "make bench" if not words else " ".join(["python -m benchmarks", *words])


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except RiskflowError as fault:
        sys.exit(str(fault))
    except KeyboardInterrupt:
        sys.exit(130)  # the shell's code for a command that Ctrl-C ended
