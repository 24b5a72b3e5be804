"""The processes of riskflow: one service each, or all of them under the supervisor of `riskflow up`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from pathlib import Path

import structlog
from pydantic import SecretStr
from rich.console import Console

from ops.logs import configure
from ops.renewal import mark_unreported_unsent
from ops.setup import prepare_database
from ops.stack.stack import Hooks, Service, Stack
from ops.stack.supervisor import FOLDER_VARIABLE, INSTANCE_VARIABLE, prefixed
from schemas.errors import InvalidSettings, RiskflowError
from schemas.settings import Settings

ADDRESSES = {
    "database_url",
    "database_host",
    "database_port",
    "database_name",
    "database_user",
    "database_password",
    "database_sslmode",
    "database_sslrootcert",
    "database_sslcert",
    "database_sslkey",
    "kafka_bootstrap_servers",
    "kafka_security_protocol",
    "kafka_sasl_mechanism",
    "kafka_sasl_username",
    "kafka_sasl_password",
    "kafka_ssl_cafile",
    "kafka_ssl_certfile",
    "kafka_ssl_keyfile",
    "kafka_ssl_key_password",
}
"""Settings that services get from the stack, whatever the environment says of other servers."""


def run_worker(settings: Settings, data_dir: Path | None) -> None:
    """Become the climate worker; ends the process."""
    from streams.worker import main  # noqa: PLC0415 - only the worker imports SciPy, numba and Faust

    configure(settings, "worker")
    stack, instance = os.environ.get(FOLDER_VARIABLE), os.environ.get(INSTANCE_VARIABLE)
    if data_dir is None and stack and instance:
        # A killed worker cannot remove its folder, but the stack's goes with the stack.
        data_dir = Path(stack) / "workers" / instance
    if data_dir is not None:
        sys.exit(main(settings, data_dir))
    with tempfile.TemporaryDirectory(prefix="riskflow-worker-") as folder:
        sys.exit(main(settings, Path(folder)))


def run_service(settings: Settings, name: str) -> None:
    """Run the sink, the producers or the reporter until SIGTERM or SIGINT.

    Raises:
        Unavailable: Database or broker did not answer within START_TIMEOUT.
    """
    configure(settings, name)
    try:
        asyncio.run(_until_signal(settings, name))
    except ExceptionGroup as fault:
        structlog.get_logger(__name__).error("service ends", exc_info=fault)
        sys.exit(1)


async def _until_signal(settings: Settings, name: str) -> None:
    if name == "sink":
        from consumers.service import run  # noqa: PLC0415 - a process holds only what it runs
    elif name == "reporter":
        from consumers.reporter import run  # noqa: PLC0415 - as above
    else:
        from producers.service import run  # noqa: PLC0415 - as above

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run(settings, stop)


def services(settings: Settings) -> list[Service]:
    """What `riskflow up` runs, in the order of start, each with what was set apart from the defaults."""
    command = (sys.executable, "-m", "ops.cli")
    env = _environment(settings)
    return [
        Service("sink", (*command, "sink"), env),
        Service("producers", (*command, "producers"), env),
        Service("reporter", (*command, "reporter"), env),
        Service("worker", (*command, "worker"), env, count=settings.parallel_workers),
    ]


def _environment(settings: Settings) -> dict[str, str]:
    """Every setting, defaults too, so that the environment changes none; it holds secrets: never shown."""
    values = settings.model_dump(exclude=ADDRESSES)
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
        return await create_topics(bootstrap, 1)

    async def prepare(dsn: str) -> object:
        return await prepare_database(dsn, settings)

    return Hooks(migrate=prepare, create_topics=make_topics, mark_unreported_unsent=mark_unreported_unsent)


async def run_up(settings: Settings, data_dir: Path | None, console: Console) -> int:
    """Run everything until a signal.

    Returns:
        The exit code: 0, or 78 when a service refused to run.

    Raises:
        InvalidSettings: RISKS_FILE cannot be used.
        RiskflowError: The stack cannot start.
    """
    configure(settings, "up")
    _check_risks_file(settings)
    console.print("starting broker, database and services ...")
    stack = Stack(services(settings), hooks(settings), data_dir=data_dir, forward=prefixed(sys.stdout))
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
