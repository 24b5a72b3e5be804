"""A mail server on this machine that keeps what it receives; needs aiosmtpd."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, Literal

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from ops.demo.webhooks import ADDRESS, HOST, CaughtPost, SlackCatcher

__all__ = ["ADDRESS", "HOST", "CaughtMail", "CaughtPost", "MailCatcher", "SlackCatcher"]

LOGIN_FIRST = "530 5.7.0 Authentication required"
MAX_MAIL_BYTES = 40_000_000


@dataclass(frozen=True, slots=True)
class CaughtMail:
    """A mail as it came, and how."""

    sender: str
    recipients: list[str]
    message: EmailMessage
    encrypted: bool
    user: str | None


class MailCatcher:
    """An SMTP server that takes every mail; with `login` only after that login.

    Args:
        security: starttls and tls need `certificate`, none speaks in the clear.
        certificate: Context with the server's certificate and key.
        login: User and password, None where everyone may send.
    """

    def __init__(
        self,
        security: Literal["starttls", "tls", "none"] = "none",
        certificate: ssl.SSLContext | None = None,
        login: tuple[str, str] | None = None,
    ) -> None:
        self.received: list[CaughtMail] = []
        self.security = security
        self._certificate = certificate
        self._login = login
        self._server: asyncio.Server | None = None
        self._sessions: list[SMTP] = []

    @property
    def port(self) -> int:
        """Port on localhost, chosen by the system."""
        if self._server is None:
            raise RuntimeError("the mail server has not been started")
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listen on a free port."""
        tls = self._certificate if self.security == "tls" else None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._session, ADDRESS, 0, ssl=tls)

    async def stop(self) -> None:
        """Close the port and what is connected."""
        if self._server is None:
            return
        self._server.close()
        handlers = []
        for session in self._sessions:
            if isinstance(session.transport, asyncio.Transport):
                # Before Python 3.11.4 a TLS connection that was closed twice cannot be aborted any more.
                with contextlib.suppress(AttributeError):
                    session.transport.abort()
            if (handler := session._handler_coroutine) is not None:  # noqa: SLF001 - aiosmtpd waits for it nowhere
                handler.cancel()
                handlers.append(handler)
        await asyncio.gather(*handlers, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None
        self._sessions.clear()

    def session(self, **options: Any) -> SMTP:
        """A conversation with one client."""
        return SMTP(self, **options)

    def _session(self) -> SMTP:
        session = self.session(
            hostname=HOST,
            loop=asyncio.get_running_loop(),
            tls_context=self._certificate if self.security == "starttls" else None,
            require_starttls=self.security == "starttls",
            auth_require_tls=self.security == "starttls",
            authenticator=self._authenticate,
            data_size_limit=MAX_MAIL_BYTES,
            enable_SMTPUTF8=True,
        )
        self._sessions.append(session)
        return session

    def _authenticate(self, *told: Any) -> AuthResult:
        data = told[-1]
        expected = self._login and LoginPassword(*(part.encode() for part in self._login))
        return AuthResult(success=expected is not None and data == expected, handled=False, auth_data=data)

    # The names of the hooks are aiosmtpd's.
    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a sender."""
        del server
        if self._login is not None and not session.authenticated:
            return LOGIN_FIRST
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Sender OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep a mail."""
        content = envelope.original_content or b""
        login = session.auth_data
        transport = server.transport
        self.received.append(
            CaughtMail(
                sender=envelope.mail_from or "",
                recipients=list(envelope.rcpt_tos),
                message=message_from_bytes(content, policy=default),
                encrypted=transport is not None and transport.get_extra_info("sslcontext") is not None,
                user=login.login.decode() if isinstance(login, LoginPassword) else None,
            )
        )
        return f"250 2.0.0 OK: queued as {len(self.received)}"
