"""One request to a Slack incoming webhook.

Source: Slack, "Sending messages using incoming webhooks", "Rate limits" and "Formatting text".
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    InvalidURL,
    TraceConfig,
)

from consumers.mail_text import risks_in_order
from consumers.mail_words import WORDS
from consumers.parcel import Parcel, link
from consumers.verdict import CannotSend, NotHandedOver, Verdict, quoted
from schemas.messages import now
from schemas.settings import Settings

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
TAKEN = "ok"
MAX_ANSWER = 2000
"""Bytes of an answer that are read."""
MAX_HEADER = 150
"""Characters of a header block (Slack, Block Kit)."""
MAX_TEXT = 3000
"""Characters of a section's text (Slack, Block Kit)."""


async def send(settings: Settings, environ: Mapping[str, str], parcel: Parcel) -> Verdict:
    """Post a message once.

    Args:
        settings: Time limit and address of the reports.
        environ: Holds the webhook under the name that is the parcel's address.
        parcel: What is sent.

    Returns:
        As `consumers.mail.send`.

    Raises:
        CannotSend: The variable is not set or holds no https address.
        NotHandedOver: Cancelled before the server was reached.
    """
    webhook = _webhook(environ, parcel.address[0])
    body = payload(settings, parcel)
    limit = settings.delivery_timeout
    connected = asyncio.Event()
    timeout = ClientTimeout(total=None, connect=limit, sock_connect=limit, sock_read=limit)
    try:
        async with (
            ClientSession(timeout=timeout, trace_configs=[_telling(connected)]) as session,
            session.post(webhook, json=body, allow_redirects=False) as response,
        ):
            return _judged(response, quoted(await _words(response), _secrets(webhook)))
    except asyncio.CancelledError:
        if connected.is_set():
            raise
        raise NotHandedOver from None
    except ClientConnectorCertificateError as error:
        return Verdict("refused", f"the certificate of {error.host} is not trusted")
    except (ClientConnectorError, ConnectionTimeoutError) as error:
        return Verdict("passing", quoted(f"not reached: {error}", _secrets(webhook)))
    except InvalidURL:
        raise _unusable(parcel.address[0]) from None
    except TimeoutError:
        return Verdict("unknown", f"no answer within {limit:g} s")
    except (ClientError, OSError) as error:
        words = quoted(f"{type(error).__name__}: {error}", _secrets(webhook))
        return Verdict("unknown", f"the connection was lost before the answer came ({words})")


def payload(settings: Settings, parcel: Parcel) -> dict[str, Any]:
    """The message: blocks, and a text for notifications. Slack decodes &, < and > in both."""
    tenant, summary = parcel.contents()
    words = WORDS[tenant.language]
    title = f"{tenant.name} · {words.title} {parcel.report_date}"
    subject = words.subject.format(
        name=tenant.name,
        date=parcel.report_date,
        crit=summary.crit,
        warn=summary.warn,
        students=summary.students,
    )
    counts = {
        words.students: summary.students,
        words.at_risk: summary.at_risk,
        words.crit: summary.crit,
        words.warn: summary.warn,
        words.ok: summary.ok,
        words.without_data: summary.without_data,
    }
    risks = [
        f"• {escaped(name)}: {words.counted.format(crit=crit, warn=warn)}"
        for name, crit, warn in risks_in_order(summary, words.risks)
    ]
    url = link(settings, parcel.html)
    where = f"<{escaped(url)}|{words.open}>" if url else f"{words.lies} `{escaped(parcel.html)}`"
    look_at = "\n".join([f"*{words.look_at}*", *risks]) if risks else words.nobody
    return {
        "text": escaped(subject),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": escaped(_cut(title)), "emoji": False}},
            {
                "type": "section",
                "fields": [_mrkdwn(f"*{name}*\n{count}") for name, count in counts.items()],
            },
            {"type": "section", "text": _mrkdwn(look_at)},
            {"type": "section", "text": _mrkdwn(where[:MAX_TEXT])},
        ],
    }


def escaped(text: str) -> str:
    """Text in which nothing is a link or a mention."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(title: str) -> str:
    """A title that fits a header also when its characters are escaped."""
    while len(escaped(title)) > MAX_HEADER:
        title = title[:-2] + "…"
    return title


def _mrkdwn(text: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": text}


def _telling(connected: asyncio.Event) -> TraceConfig:
    """Sets `connected` when the connection stands, before the request goes out."""

    async def tell(*_: object) -> None:
        connected.set()

    trace = TraceConfig()
    trace.on_connection_create_end.append(tell)
    return trace


def _webhook(environ: Mapping[str, str], variable: str) -> str:
    webhook = environ.get(variable, "").strip()
    if not webhook:
        raise CannotSend(
            f"the environment of `riskflow reporter` has no variable {variable} with the webhook; set it"
        )
    try:
        parts = urlsplit(webhook)
        secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOCAL_HOSTS)
        usable = secure and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise _unusable(variable)
    return webhook


def _unusable(variable: str) -> CannotSend:
    return CannotSend(f"{variable} holds no https:// address; set it to the webhook that Slack shows")


async def _words(response: ClientResponse) -> str:
    try:
        return (await response.content.read(MAX_ANSWER)).decode(errors="replace")
    except (ClientError, OSError):
        return ""


def _judged(response: ClientResponse, words: str) -> Verdict:
    status = response.status
    said = f"{status} {words}".strip()
    if status == HTTPStatus.OK:
        return Verdict("sent" if words == TAKEN else "unknown", said)
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Verdict("passing", said, _retry_after(response.headers.get("Retry-After")))
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return Verdict("unknown", said)
    if status < HTTPStatus.BAD_REQUEST:
        said = f"{status}: the webhook sends elsewhere, which is not followed; set its final address"
    return Verdict("refused", said)


def _retry_after(text: str | None) -> float | None:
    """Seconds, from a number or a date (RFC 9110, section 10.2.3)."""
    if text is None:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - now()).total_seconds())
    except (TypeError, ValueError):
        return None


def _secrets(webhook: str) -> list[str]:
    """The webhook, and the parts of it that a server may repeat."""
    parts = urlsplit(webhook)
    pieces = [piece for piece in parts.path.split("/") if len(piece) >= len("T00000000")]
    return [webhook, parts.path.strip("/"), parts.query, parts.password or "", *pieces]
