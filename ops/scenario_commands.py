"""`riskflow scenario`: which scenarios there are, and deriving a new one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ops.job_commands import person
from ops.terminal import client, console
from schemas.errors import RiskflowError
from schemas.settings import Settings

if TYPE_CHECKING:
    from ops.load.options import Loaded
    from ops.scenarios import Derived, Scenario

scenario_app = typer.Typer(
    help="Scenarios of the climate data: list them, derive one from another.", no_args_is_help=True
)


@scenario_app.command("list")
def list_scenarios(
    as_json: Annotated[
        bool, typer.Option("--json", help="The documented object (docs/scenarios.md).")
    ] = False,
) -> None:
    """Show every scenario: what it was derived from, and the windows that have results."""
    asyncio.run(_show(client(), as_json=as_json))


@scenario_app.command("derive")
def derive_scenario(
    name: Annotated[str, typer.Option(help="Of the new scenario.")],
    source: Annotated[str, typer.Option("--from", help="The scenario to change.")] = "historical",
    ta: Annotated[str, typer.Option(help="Added to every temperature, degC: +2 or -1.5.")] = "0",
    rn: Annotated[str, typer.Option(help="Factor on all rain: x1.08 or 0.9.")] = "1",
    daily: Annotated[
        list[Path] | None,
        typer.Option(help="Daily CSV of the source, changed day by day: spells, fire weather. Repeatable."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace a scenario of this name that was derived otherwise.")
    ] = False,
) -> None:
    """Derive a scenario by delta change: all months warmer by one number, all rain times another.

    A what-if, not a projection: the variability stays that of the source. docs/scenarios.md says what
    each risk rests on then.
    """
    change = _number(ta, "--ta", ""), _number(rn, "--rn", "x")
    derived, loaded = asyncio.run(_derived(client(), (source, name), change, daily or [], replaced=replace))
    out = console()
    out.print(derived.sentence, highlight=False, markup=False, soft_wrap=True)
    if loaded is not None:
        out.print(loaded.sentence, highlight=False, markup=False, soft_wrap=True)
    out.print("What each risk rests on:", highlight=False)
    for risk, basis in derived.rests_on.items():
        out.print(f"  {risk}: {basis}", highlight=False, markup=False, soft_wrap=True)
    out.print(
        f"Compute it with: riskflow trigger climate --scenario {derived.scenario}",
        highlight=False,
        markup=False,
    )


EXAMPLES = {"--ta": "2 or -1.5", "--rn": "x1.08 or 0.9"}


def _number(text: str, option: str, prefix: str) -> float:
    try:
        return float(text.strip().removeprefix(prefix))
    except ValueError:
        raise RiskflowError(f"{option} {text!r}: write a number, such as {EXAMPLES[option]}") from None


async def _derived(
    settings: Settings,
    names: tuple[str, str],
    change: tuple[float, float],
    daily: list[Path],
    *,
    replaced: bool,
) -> tuple[Derived, Loaded | None]:
    from ops.context import database
    from ops.load.change import DeltaChange
    from ops.load.options import LoadOptions
    from ops.scenario_days import derive_with_days
    from ops.scenarios import derive
    from streams.models.inputs import Years

    (source, name), (ta, rn) = names, change
    by = person()
    async with database(settings, "scenario") as connection:
        if not daily:
            derived = await derive(
                connection, source=source, name=name, ta=ta, rn=rn, by=by, replace=replaced
            )
            return derived, None
        options = LoadOptions(baseline=Years(settings.baseline_start, settings.baseline_end))
        delta = DeltaChange(source, name, ta, rn)
        return await derive_with_days(connection, daily, options, delta, by=by, replaced=replaced)


async def _show(settings: Settings, *, as_json: bool) -> None:
    from ops.context import database
    from ops.scenarios import scenarios

    async with database(settings, "scenario") as connection:
        found = await scenarios(connection)
    if as_json:
        from ops.show import print_json

        print_json(console(), [scenario_document(each) for each in found])
        return
    table = Table(box=None, pad_edge=False)
    for title in ("scenario", "derived from", "ta", "rn", "climate", "results"):
        table.add_column(title, overflow="fold")
    for each in found:
        table.add_row(*_cells(each))
    console().print(table, highlight=False)


def scenario_document(scenario: Scenario) -> dict[str, object]:
    """The documented object of a scenario (docs/scenarios.md)."""
    return {
        "scenario": scenario.scenario,
        "derived_from": scenario.derived_from,
        "ta": scenario.ta,
        "rn": scenario.rn,
        "has_climate": scenario.has_climate,
        "windows": [
            {"start": each.start, "end": each.end, "cells": each.cells, "risks": list(each.risks)}
            for each in scenario.windows
        ],
    }


def _cells(each: Scenario) -> list[str]:
    ta = "-" if each.ta is None else f"{each.ta:+g} °C"
    rn = "-" if each.rn is None else f"x {each.rn:g}"
    windows = ", ".join(f"{one.start}-{one.end} ({len(one.risks)} risks)" for one in each.windows)
    return [
        each.scenario,
        each.derived_from or "-",
        ta,
        rn,
        "yes" if each.has_climate else "no",
        windows or "-",
    ]
