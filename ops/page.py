"""Where the web page is found, and with which token, when riskflow itself starts it."""

from __future__ import annotations

import secrets
import socket

from pydantic import SecretStr

from ops.health import EVERYWHERE
from ops.stack.endpoint import free_port
from schemas.settings import Settings

URL_VARIABLE, TOKEN_VARIABLE = "RISKFLOW_URL", "RISKFLOW_TOKEN"
"""By which `riskflow env` gives the page to other programs."""


def with_page(settings: Settings) -> Settings:
    """The settings with a port that is free and, where none is set, a token that only this start knows.

    A port that somebody has chosen stays: that it is taken is theirs to hear.
    """
    found: dict[str, object] = {}
    if "web_port" not in settings.model_fields_set and not _is_free(settings.web_host, settings.web_port):
        found["web_port"] = free_port()
    if settings.web_token is None and settings.web_access_file is None:
        found["web_token"] = SecretStr(secrets.token_urlsafe())
    return settings.model_copy(update=found)


def base_address(settings: Settings) -> str:
    """Where people reach the page."""
    if settings.web_url:
        return settings.web_url.rstrip("/")
    host = EVERYWHERE.get(settings.web_host, settings.web_host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.web_port}"


def page_address(settings: Settings) -> str:
    """The address with the token, where there is one; browsers do not send what stands after the #."""
    token = settings.web_token
    return base_address(settings) + (f"/#token={token.get_secret_value()}" if token else "/")


def shown_address(settings: Settings, given: Settings) -> str:
    """The address as it may be printed: with the token of this start, but not with one that was `given`.

    What a person has set is a secret, and what is printed may end in a log.
    """
    return page_address(settings) if given.web_token is None else f"{base_address(settings)}/"


def page_notes(settings: Settings) -> dict[str, str]:
    """Variables by which other programs find the HTTP API."""
    token = settings.web_token
    return {URL_VARIABLE: base_address(settings)} | (
        {TOKEN_VARIABLE: token.get_secret_value()} if token else {}
    )


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((EVERYWHERE.get(host, host), port))
        except OSError:
            return False
    return True
