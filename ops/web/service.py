"""The web page's process."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import uvicorn

from ops.page import base_address
from ops.web.access import load_access
from ops.web.app import create_app
from ops.web.office import Office
from schemas.errors import InvalidSettings, Unavailable
from schemas.pulse import Pulse
from schemas.settings import Settings
from schemas.start import open_database

GOODBYE_SECONDS = 2
"""How long an answer may take after a stop (expert assumption)."""

log = structlog.get_logger(__name__)


class _Server(uvicorn.Server):
    """One that leaves signals to the service."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing is captured: `stop` is what ends the service."""
        yield


async def run(settings: Settings, stop: asyncio.Event, pulse: Pulse | None = None) -> None:
    """Serve until `stop` is set; `pulse` learns how it gets on.

    Raises:
        InvalidSettings: The address cannot be listened on, or nobody could be let in.
        InvalidFile: WEB_ACCESS_FILE has a fault.
        Unavailable: The database did not answer within settings.start_timeout.
    """
    office = Office(settings, load_access(settings), stop)
    serving = (pulse or Pulse()).loop("web page")
    with listening(settings) as listener:
        serving.waiting(f"database {settings.database_label}")
        # So that a database that lets nobody in is told as one sentence.
        await (await open_database(settings, "web", stop)).close()
        server = _Server(
            uvicorn.Config(
                create_app(office),
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="on",
                timeout_graceful_shutdown=GOODBYE_SECONDS,
            )
        )
        ending = asyncio.create_task(_end(server, stop))
        serving.idle()
        log.info("web page is served", address=base_address(settings))
        try:
            await server.serve(sockets=[listener])
        finally:
            ending.cancel()
    if not stop.is_set():
        raise Unavailable("the web page's server has ended by itself; its log says why")


async def _end(server: uvicorn.Server, stop: asyncio.Event) -> None:
    await stop.wait()
    server.should_exit = True


@contextmanager
def listening(settings: Settings) -> Iterator[socket.socket]:
    """A socket on WEB_HOST and WEB_PORT.

    Raises:
        InvalidSettings: They cannot be listened on.
    """
    place = f"{settings.web_host}:{settings.web_port}"
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            settings.web_host, settings.web_port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(where)
            listener.listen()
            yield listener
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise InvalidSettings(
                f"WEB_PORT: {place} is taken by another program; choose another port"
            ) from None
        raise InvalidSettings(f"WEB_HOST/WEB_PORT: cannot listen on {place}: {error}") from None
