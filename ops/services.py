"""The processes of riskflow: one service each, or all of them under the supervisor of `riskflow up`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from pydantic import SecretStr
from rich.console import Console

from ops.health import address, health_served
from ops.logs import configure
from ops.page import page_notes, shown_address, with_page
from ops.renewal import mark_unreported_unsent
from ops.setup import prepare_database
from ops.stack.broker import BrokerKind
from ops.stack.registry import ADDRESSES, at_servers
from ops.stack.stack import Hooks, Service, Stack
from ops.stack.supervisor import FOLDER_VARIABLE, INSTANCE_VARIABLE, prefixed
from ops.web.access import load_access
from schemas.errors import InvalidSettings, RiskflowError
from schemas.pulse import Pulse, beating
from schemas.settings import Settings
from schemas.stop import stop_on_signal

LAST_PORT = 65_535
WEB = "web"
"""Name of the service that serves the page."""
Run = Callable[[Settings, asyncio.Event, Pulse | None], Awaitable[None]]


def run_worker(settings: Settings, data_dir: Path | None) -> None:
    """Become the climate worker; ends the process."""
    from streams.worker import main  # noqa: PLC0415 - only the worker imports SciPy, numba and Faust

    configure(settings, "worker")
    pulse = Pulse()
    stack, instance = os.environ.get(FOLDER_VARIABLE), os.environ.get(INSTANCE_VARIABLE)
    if data_dir is None and stack and instance:
        # A killed worker cannot remove its folder, but the stack's goes with the stack.
        data_dir = Path(stack) / "workers" / instance
    with _ended_plainly(settings), health_served(settings, "worker", pulse):
        if data_dir is not None:
            sys.exit(main(settings, data_dir, pulse))
        with tempfile.TemporaryDirectory(prefix="riskflow-worker-") as folder:
            sys.exit(main(settings, Path(folder), pulse))


def run_service(settings: Settings, name: str) -> None:
    """Run the sink, the producers, the reporter or the web page until SIGTERM or SIGINT.

    Raises:
        Unavailable: Database or broker did not answer within START_TIMEOUT.
    """
    configure(settings, name)
    pulse = Pulse()
    with _ended_plainly(settings), health_served(settings, name, pulse):
        asyncio.run(_until_signal(settings, name, pulse))


@contextmanager
def _ended_plainly(settings: Settings) -> Iterator[None]:
    """Log the fault that ends a service as one line; a signal that comes after its end changes nothing.

    For a person the command line shows what is theirs to mend as a sentence.
    """
    try:
        yield
    except RiskflowError as fault:
        if settings.log_format == "human":
            raise
        structlog.get_logger(__name__).critical("service ends", error=str(fault))
        sys.exit(os.EX_CONFIG if isinstance(fault, InvalidSettings) else 1)
    except Exception as fault:  # noqa: BLE001 - the end of the process
        structlog.get_logger(__name__).critical("service ends", exc_info=fault)
        sys.exit(1)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)


async def _until_signal(settings: Settings, name: str, pulse: Pulse) -> None:
    run: Run
    if name == "sink":
        from consumers.service import run  # noqa: PLC0415 - a process holds only what it runs
    elif name == "reporter":
        from consumers.reporter import run  # noqa: PLC0415 - as above
    elif name == WEB:
        from ops.web.service import run  # noqa: PLC0415 - as above
    else:
        from producers.service import run  # noqa: PLC0415 - as above

    async with beating(pulse):
        await run(settings, stop_on_signal(pulse), pulse)


def services(settings: Settings) -> list[Service]:
    """What `riskflow up` runs, in the order of start, each with what was set apart from the defaults.

    The web page only where the settings let somebody in: it refuses to run otherwise.
    """
    command = (sys.executable, "-m", "ops.entry")
    env = _environment(settings)
    counts = {"sink": 1, "producers": 1, "reporter": 1, "worker": settings.parallel_workers}
    if settings.web_token is not None or settings.web_access_file is not None:
        counts[WEB] = 1
    port, found = settings.health_port, []
    for name, count in counts.items():
        argv = (*command, "serve" if name == WEB else name)
        # The page must show that the broker is away, so it does not go with it.
        service = Service(name, argv, env, count=count, health_port=port, depends_on_broker=name != WEB)
        found.append(service)
        port = port and port + count
    if port and port > LAST_PORT + 1:
        raise InvalidSettings(
            f"HEALTH_PORT: the services take the ports up to {port - 1}; choose a lower one"
        )
    return found


def _environment(settings: Settings) -> dict[str, str]:
    """Every setting but the stack's addresses, defaults too, so that the environment changes none.

    It holds secrets: never shown.
    """
    values = settings.model_dump(exclude=set(ADDRESSES))
    return {name.upper(): _text(value) for name, value in values.items() if value is not None}


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    # A service may run in another folder.
    return str(value.absolute() if isinstance(value, Path) else value)


def hooks(settings: Settings) -> Hooks:
    """What a fresh broker and database need before the services start."""
    from producers.topics import create_topics  # noqa: PLC0415 - brings the Kafka client

    async def make_topics(bootstrap: str) -> object:
        return await create_topics(
            at_servers(settings, bootstrap).model_copy(update={"topic_replication": 1})
        )

    async def prepare(dsn: str) -> object:
        return await prepare_database(dsn, settings)

    return Hooks(migrate=prepare, create_topics=make_topics, mark_unreported_unsent=mark_unreported_unsent)


async def run_up(
    settings: Settings, data_dir: Path | None, console: Console, *, broker: BrokerKind = "embedded"
) -> int:
    """Run everything until a signal.

    Returns:
        The exit code: 0, or 78 when a service refused to run.

    Raises:
        InvalidSettings: RISKS_FILE cannot be used.
        InvalidFile: WEB_ACCESS_FILE has a fault.
        RiskflowError: The stack cannot start.
    """
    configure(settings, "up")
    _check_risks_file(settings)
    given, settings = settings, with_page(settings)
    load_access(settings)
    console.print("starting broker, database and services ...")
    running = services(settings)
    stack = Stack(
        running,
        hooks(settings),
        data_dir=data_dir,
        broker=broker,
        forward=prefixed(sys.stdout),
        notes=page_notes(settings),
    )
    async with stack:
        state = stack.state()
        console.print(
            f"riskflow is up. Broker {state.kafka_bootstrap_servers}, "
            f"database {_place(data_dir)}; Ctrl-C stops it all.\n"
            'In another terminal:  eval "$(riskflow env)"   riskflow load --help   '
            "riskflow trigger climate --wait",
            highlight=False,
            soft_wrap=True,
        )
        console.print(f"Page: {shown_address(settings, given)}", highlight=False, soft_wrap=True)
        ports = {name: port for each in running for name, port in each.health_ports().items()}
        if ports:
            places = ", ".join(f"{name} {address(settings, port)}" for name, port in ports.items())
            console.print(f"Health and metrics: {places}", highlight=False, soft_wrap=True)
        return await stack.run_until_signal()


def _check_risks_file(settings: Settings) -> None:
    """Say a fault of RISKS_FILE once, before every worker says it at every restart."""
    if settings.risks_file is None:
        return
    from streams.risk_tables import risk_tables  # noqa: PLC0415 - brings SciPy

    try:
        risk_tables(settings)
    except RiskflowError as error:
        raise InvalidSettings(str(error)) from error


def _place(data_dir: Path | None) -> str:
    return (
        f"kept in {data_dir}"
        if data_dir
        else "in a temporary folder that goes at the end (--data-dir keeps it)"
    )
