"""The ports that services listen on: free, taken by riskflow, or by another program."""

from __future__ import annotations

import errno
import socket
import urllib.error
import urllib.request
from http import HTTPStatus

from ops.doctor.finding import Finding, not_checked, ok, warning, wrong
from ops.health import ANSWER_SECONDS, EVERYWHERE, asked_health
from schemas.settings import Settings

SESSION = "/api/v1/session"
"""A page that every caller gets an answer from, whoever he is."""


def look_at_health_port(settings: Settings) -> list[Finding]:
    """Whether HEALTH_PORT is free, or a service of riskflow answers there."""
    if settings.health_port is None:
        return [not_checked("health port", "HEALTH_PORT is not set, so no service serves its health")]
    place = f"{settings.health_host}:{settings.health_port}"
    fault = _listening_fault(settings.health_host, settings.health_port)
    if fault is None:
        return [ok("health port", f"{place} is free; no service answers there")]
    if fault.errno != errno.EADDRINUSE:
        return [wrong("health port", f"{place}: {fault.strerror or fault}", "set HEALTH_HOST, HEALTH_PORT")]
    is_well, line = asked_health(settings, None, live=True)
    if is_well and ": " in line:
        return [ok("health port", f"{place} answers: {line}")]
    return [
        wrong(
            "health port",
            f"{place} is taken, and not by a service that is well: {line}",
            "choose another HEALTH_PORT, or start the service again that hangs",
        )
    ]


def look_at_web_port(settings: Settings) -> list[Finding]:
    """Whether WEB_PORT is free, or a page of riskflow answers there."""
    place = f"{settings.web_host}:{settings.web_port}"
    fault = _listening_fault(settings.web_host, settings.web_port)
    if fault is None:
        return [ok("web port", f"{place} is free; no page answers there")]
    if fault.errno != errno.EADDRINUSE:
        return [wrong("web port", f"{place}: {fault.strerror or fault}", "set WEB_HOST, WEB_PORT")]
    if _is_page(settings):
        return [ok("web port", f"{place} answers as a page of riskflow")]
    return [
        warning(
            "web port",
            f"{place} is taken by another program",
            "set another WEB_PORT; up and demo take a free one",
        )
    ]


def _is_page(settings: Settings) -> bool:
    host = EVERYWHERE.get(settings.web_host, settings.web_host)
    host = f"[{host}]" if ":" in host else host
    try:
        with urllib.request.urlopen(
            f"http://{host}:{settings.web_port}{SESSION}", timeout=ANSWER_SECONDS
        ) as answer:
            return "json" in answer.headers.get_content_type()
    except urllib.error.HTTPError as error:
        return error.code == HTTPStatus.UNAUTHORIZED and "json" in error.headers.get_content_type()
    except (OSError, ValueError):
        return False


def _listening_fault(host: str, port: int) -> OSError | None:
    """What keeps a program from listening there."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as error:
        return error
    return None
