"""`riskflow demo`: the embedded stack, real records, both climate jobs, then three schools' reports."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import webbrowser
from pathlib import Path

import asyncpg
from rich.console import Console

from ops import trigger as triggers
from ops.context import database
from ops.demo.mailroom import Mailroom
from ops.demo.report import print_summaries, summaries
from ops.demo.schools import demo_schools
from ops.demo.sources import (
    RECORD,
    DataPackageMissing,
    assumed_risks,
    demo_table,
    korean_weather_file,
    storm_tracks,
    write_korean_daily,
)
from ops.demo.stopwatch import Stopwatch, ended_job, print_ended
from ops.demo.weekly import TENANTS, demo_settings, second_act
from ops.load.loader import load
from ops.load.options import Loaded, LoadOptions
from ops.logs import configure
from ops.page import page_notes, shown_address, with_page
from ops.services import WEB, hooks, services
from ops.stack.broker import BrokerKind
from ops.stack.registry import at_servers
from ops.stack.stack import Stack
from schemas.settings import Settings
from streams.models.inputs import Years

REPORTS_DIR = Path("riskflow-demo-reports")
"""Of the reports, in the working folder, where no --data-dir is given."""
SEED = 20
"""Of the drawn weather, where the records cannot be had."""

SMALL_TABLES = ("sites", "sea-level-stations", "sea-level-rise", "basins", "demand", "warming")
EXAMPLE = (37.5714, 126.9658)
"""Seoul, the cell that the last lines suggest to look at."""


async def run_demo(  # noqa: PLR0913 - the options of the command
    settings: Settings,
    console: Console,
    *,
    drawn: bool,
    data_dir: Path | None,
    broker: BrokerKind = "embedded",
    stays: bool = False,
    opens: bool = False,
) -> int:
    """Run the demonstration and print what came out.

    Args:
        settings: Of which the demo replaces what it shows.
        console: Where it prints.
        drawn: Draw the weather even where the records are there.
        data_dir: Where database and reports stay; None for temporary ones.
        broker: Which one.
        stays: Keep everything running until Ctrl-C once all is done.
        opens: Open the page in the browser; it stays then too.

    Returns:
        0 when every job of both acts completed, 1 otherwise.
    """
    configure(settings.model_copy(update={"log_level": "WARNING"}), "demo")
    given = settings
    reason = "asked for" if drawn else _why_drawn()
    if reason:
        console.print(f"THE WEATHER IS DRAWN from monthly normals, not observed: {reason}", highlight=False)
    console.print(
        "riskflow demo: nine climate risks at 61 Korean weather stations, 1991-2020, on a broker and a "
        "database of its own.",
        highlight=False,
    )
    clock = Stopwatch()
    reports = (data_dir / "reports" if data_dir else REPORTS_DIR).absolute()
    async with Mailroom(demo_schools()) as mailroom:
        settings = with_page(demo_settings(_climate_settings(settings), mailroom, reports))
        page = shown_address(settings, given)
        stack = Stack(
            mailroom.known_to(services(settings)),
            hooks(settings),
            data_dir=data_dir,
            broker=broker,
            start=["sink", "producers", WEB],
            announce=stays or opens,
            notes=page_notes(settings),
        )
        with clock.part(console, "starting broker, database and services"):
            await stack.__aenter__()
        try:
            console.print(f"Watch it on the page: {page}", highlight=False, soft_wrap=True)
            here = _at_addresses_of(stack, settings)
            ended = [
                await _first_act(stack, here, console, clock, drawn=bool(reason)),
                await _second_act(stack, here, console, clock, mailroom),
            ]
            clock.print(console)
            _print_next(console, data_dir, stays=stays or opens)
            await _show_page(stack, page, console, stays=stays, opens=opens)
        finally:
            await stack.__aexit__(None, None, None)
    return 0 if all(ended) else 1


async def _show_page(stack: Stack, page: str, console: Console, *, stays: bool, opens: bool) -> None:
    """Say where the page is, open it where asked, and keep it until a signal where it stays."""
    if not stays and not opens:
        console.print(
            f"The page was at {page} and ends now; `riskflow demo --stay` keeps it, --open opens it.",
            highlight=False,
            soft_wrap=True,
        )
        return
    console.print(f"The page, until Ctrl-C ends everything: {page}", highlight=False, soft_wrap=True)
    if opens and not await asyncio.to_thread(webbrowser.open, page):
        console.print("No browser could be opened here; open the address in one.", highlight=False)
    await stack.run_until_signal()


def _climate_settings(settings: Settings) -> Settings:
    return settings.model_copy(
        update={
            "scenario": "historical",
            "window_start": RECORD.start,
            "window_end": RECORD.end,
            "baseline_start": RECORD.start,
            "baseline_end": RECORD.end,
            "log_level": "WARNING",
            # 61 cells: smaller chunks, so that every worker has some.
            "batch_size": 8,
        }
    )


def _at_addresses_of(stack: Stack, settings: Settings) -> Settings:
    return at_servers(settings, stack.broker.address, stack.postgres.url)


async def _first_act(
    stack: Stack, settings: Settings, console: Console, clock: Stopwatch, *, drawn: bool
) -> bool:
    async with database(settings, "demo") as connection:
        with clock.part(console, "loading weather, storms, sites, sea and water"):
            await load_inputs(connection, console, drawn=drawn)
        await stack.start("worker")
        ended = [await _job(settings, console, clock, kind) for kind in ("probability", "hazard")]
        found = await summaries(connection, "historical", RECORD.start, RECORD.end)
    title = "Nine risks at 61 Korean stations, 1991-2020" + (" (drawn weather)" if drawn else "")
    print_summaries(console, found, assumed_risks(), title)
    return all(ended)


async def _second_act(
    stack: Stack, settings: Settings, console: Console, clock: Stopwatch, mailroom: Mailroom
) -> bool:
    await stack.start("reporter")
    async with database(settings, "demo") as connection:
        return await second_act(connection, settings, console, clock, mailroom)


async def load_inputs(connection: asyncpg.Connection, console: Console, *, drawn: bool) -> None:
    """Load everything the nine risks read: weather, storms and the project's small tables."""
    options = LoadOptions(baseline=RECORD)
    with tempfile.TemporaryDirectory(prefix="riskflow-demo-") as folder:
        daily = Path(folder) / "korea_daily.csv"
        await asyncio.to_thread(write_drawn_daily if drawn else write_korean_daily, daily)
        lenient = LoadOptions(baseline=RECORD, bad_values="missing", bad_values_file=Path(folder) / "bad.csv")
        _say(console, await load("daily", [daily], connection, lenient))
    try:
        tracks = [storm_tracks()]
    except DataPackageMissing as error:
        console.print(f"  storms: none, so typhoon has no number: {error}", highlight=False)
    else:
        wmo = LoadOptions(baseline=RECORD, ibtracs="wmo")
        _say(console, await load("storms", tracks, connection, wmo))
    for table in SMALL_TABLES:
        _say(console, await load(table, [demo_table(table)], connection, options))


def _say(console: Console, loaded: Loaded) -> None:
    missing = f", {loaded.bad_values} impossible values taken as missing" if loaded.bad_values else ""
    console.print(f"  {loaded.table}: {loaded.read:,} rows{missing}", highlight=False)


def write_drawn_daily(path: Path, years: Years = RECORD) -> None:
    """Daily weather of the 61 stations drawn from their monthly normals."""
    from ops.generator.blocks import drawn_daily_blocks, write_daily_csv  # noqa: PLC0415 - only where needed
    from ops.generator.normals import read_normals  # noqa: PLC0415 - as above

    write_daily_csv(path, drawn_daily_blocks(read_normals(), years, SEED))


def _why_drawn() -> str | None:
    try:
        korean_weather_file()
    except DataPackageMissing as error:
        return str(error)
    return None


async def _job(settings: Settings, console: Console, clock: Stopwatch, kind: str) -> bool:
    with clock.part(console, f"job {kind}"):
        job = await ended_job(settings, console, triggers.trigger_of(kind, requested_by="demo"))
    return print_ended(console, job)


def _print_next(console: Console, kept: Path | None, *, stays: bool) -> None:
    program = "riskflow" if shutil.which("riskflow") else os.path.relpath(sys.argv[0])
    place = kept or "demo-data"
    schools = f"TENANTS_FILE={place}/reports/{TENANTS} REPORTS_DIR={place}/reports"
    steps = [
        (f"{program} demo --data-dir {place}", "the same, and keep database and reports"),
        (
            f"{schools} \\\n    {program} up --data-dir {place}",
            "broker, database and services until Ctrl-C; then, in another terminal:",
        ),
        (
            f"{program} explain --lat {EXAMPLE[0]} --lon {EXAMPLE[1]} --risk inland_flood",
            "what is behind a number",
        ),
        (f"{program} trigger climate --wait", "both climate jobs again: the same rows with the same numbers"),
        (f"{program} trigger weekly --wait", "the schools' reports again; what was sent is not sent twice"),
        (f"{program} reports", "what was sent to whom, and what became of it"),
        (f"{program} ui", "what moves through the topics"),
    ]
    if stays:
        # What runs already needs no starting.
        steps = steps[2:]
        console.print("While it runs, in another terminal:")
    else:
        console.print("Where to look next:")
        steps = steps[1 if kept else 0 :]
    for command, meaning in steps:
        console.print(f"  {command}\n      {meaning}", highlight=False, soft_wrap=True)
    console.print("README.md and docs/ say how to load your own data.")
