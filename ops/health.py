"""`/health/live`, `/health/ready` and `/metrics` of a service, answered by a thread of their own.

An event loop that is blocked cannot answer; this thread can, and says so.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

import orjson
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from ops.stack.supervisor import INSTANCE_VARIABLE
from schemas.errors import InvalidSettings
from schemas.metrics import REGISTRY
from schemas.pulse import Pulse
from schemas.settings import Settings

LIVE, READY, METRICS = "/health/live", "/health/ready", "/metrics"
CLIENT_SECONDS = 5.0
"""How long a client may take over its request (expert assumption)."""
ANSWER_SECONDS = 5.0
"""How long `riskflow health` waits for the answer (expert assumption)."""
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - addresses to listen on, and where that is reached

log = structlog.get_logger(__name__)


def gauges(registry: CollectorRegistry) -> tuple[dict[str, Gauge], Gauge]:
    """What /metrics says of health: 1 per page while it says so, and the age of each loop's beat."""
    states = {
        name: Gauge(f"riskflow_{name}", f"1 while {LIVE.replace('live', name)} says so", registry=registry)
        for name in ("live", "ready")
    }
    ages = Gauge(
        "riskflow_loop_beat_age_seconds", "Seconds since a loop's last beat", ["loop"], registry=registry
    )
    return states, ages


class _Server(ThreadingMixIn, TCPServer):
    """One thread per request, none of which holds the process up."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, host: str, port: int, service: str, pulse: Pulse) -> None:
        self.service = service
        self.pulse = pulse
        self.instance = os.environ.get(INSTANCE_VARIABLE, service)
        self.own = CollectorRegistry()
        self._states, self._ages = gauges(self.own)
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family = found[0][0]
        super().__init__(found[0][4], _Handler)  # type: ignore[arg-type]  # (host, port) of IPv4 or more of IPv6

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no event; a fault of ours is."""
        del request, client_address
        fault = sys.exception()
        if not isinstance(fault, OSError):
            log.error("health request not answered", error=repr(fault))

    def health(self) -> dict[str, Any]:
        """The body of both health pages."""
        return {"service": self.service, "instance": self.instance} | self.pulse.report()

    def metrics(self) -> bytes:
        """Every metric of the process, and how its loops are."""
        report = self.pulse.report()
        for name, gauge in self._states.items():
            gauge.set(report[name])
        self._ages.clear()
        for loop in report["loops"]:
            self._ages.labels(loop["name"]).set(loop["seconds"])
        return generate_latest(self.own) + generate_latest(REGISTRY)


class _Handler(BaseHTTPRequestHandler):
    """GET and HEAD of the three pages."""

    server: _Server
    timeout = CLIENT_SECONDS
    server_version = "riskflow"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer with the body."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer without it."""
        self._answer(with_body=False)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by http.server
        """Probes come every few seconds; none is worth a line."""

    def _answer(self, *, with_body: bool) -> None:
        status, kind, body = self._page(self.path.partition("?")[0])
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def _page(self, path: str) -> tuple[HTTPStatus, str, bytes]:
        if path == METRICS:
            return HTTPStatus.OK, CONTENT_TYPE_LATEST, self.server.metrics()
        if path not in {LIVE, READY}:
            pages = {"error": f"no such page; there are {LIVE}, {READY} and {METRICS}"}
            return HTTPStatus.NOT_FOUND, "application/json", orjson.dumps(pages)
        report = self.server.health()
        is_well = report["live"] if path == LIVE else report["ready"]
        status = HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE
        return status, "application/json", orjson.dumps(report, option=orjson.OPT_INDENT_2)


@contextmanager
def health_served(settings: Settings, service: str, pulse: Pulse) -> Iterator[int | None]:
    """Serve the pages for the length of a block, where HEALTH_PORT is set; gives the port.

    Raises:
        InvalidSettings: HEALTH_HOST and HEALTH_PORT cannot be listened on.
    """
    if settings.health_port is None:
        yield None
        return
    try:
        server = _Server(settings.health_host, settings.health_port, service, pulse)
    except (OSError, OverflowError) as error:
        raise InvalidSettings(_refusal(settings, error)) from None
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="health", daemon=True)
    thread.start()
    log.info("health is served", address=address(settings))
    try:
        yield settings.health_port
    finally:
        server.shutdown()
        server.server_close()


def address(settings: Settings, port: int | None = None) -> str:
    """Where the pages of a service on this machine are found."""
    host = EVERYWHERE.get(settings.health_host, settings.health_host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port or settings.health_port}"


def asked_health(settings: Settings, url: str | None, *, live: bool) -> tuple[bool, str]:
    """What a service says of itself.

    Args:
        settings: HEALTH_HOST and HEALTH_PORT name the service where `url` is None.
        url: Address of a service, or of one of its pages.
        live: Ask whether it is alive, not whether it is ready.

    Returns:
        Whether it is, and one line about it.

    Raises:
        InvalidSettings: Neither says where to ask.
    """
    if url is None and settings.health_port is None:
        raise InvalidSettings("HEALTH_PORT is not set, so no health is served; set it, or give --url")
    page = url or address(settings)
    if not page.partition("://")[2].partition("/")[2]:
        page = page.rstrip("/") + (LIVE if live else READY)
    if not page.startswith(("http://", "https://")):
        raise InvalidSettings(f"--url: {page} must start with http:// or https://")
    try:
        with urllib.request.urlopen(page, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - looked at above
            return True, _line(answer.read())
    except urllib.error.HTTPError as error:
        return False, _line(
            error.read()
        ) if error.code == HTTPStatus.SERVICE_UNAVAILABLE else f"{page}: {error}"
    except OSError as error:
        return False, f"{page}: {getattr(error, 'reason', error)}"


def _line(body: bytes) -> str:
    """A health page in one line: who, how it is, and what keeps it."""
    try:
        report = orjson.loads(body)
        reasons = [
            f"{loop['name']} " + (f"waits for {loop['waits_for']}" if loop["live"] else _stuck(loop))
            for loop in report["loops"]
            if not loop["ready"]
        ]
        return f"{report['instance']}: {report['state']}" + (f" ({'; '.join(reasons)})" if reasons else "")
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "answers, but not as a service of riskflow does"


def _stuck(loop: dict[str, Any]) -> str:
    return f"has not moved for {loop['seconds']:.0f} s, its limit is {loop['limit']:.0f}"


def _refusal(settings: Settings, error: Exception) -> str:
    place = f"{settings.health_host}:{settings.health_port}"
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"HEALTH_PORT: {place} is taken by another program; choose another port"
    return f"HEALTH_HOST/HEALTH_PORT: cannot listen on {place}: {error}"
