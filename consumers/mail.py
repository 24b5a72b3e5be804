"""One conversation with the mail server, step by step, so that it is known how far it came."""

from __future__ import annotations

import asyncio
import re
import ssl
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPResponseException,
)

from consumers.mail_text import MAX_ENCODED_BYTES, compose, sender_address, wire
from consumers.parcel import Parcel
from consumers.verdict import CannotSend, Verdict, not_handed_over, quoted
from schemas.messages import now
from schemas.settings import Settings

GO_AHEAD = 354
ACCEPTED = 250
PASSING_CODES = range(400, 500)
REFUSAL_CODES = range(500, 600)
SLOWEST_LINE = 100_000
"""Bytes a second that a mail may travel with, beside the time of the answer (expert assumption)."""
QUIT_SECONDS = 2.0
"""How long the goodbye may take (expert assumption)."""
TEXT_BYTES = 20_000
"""More than a mail takes without its attachments (expert assumption)."""

# RFC 5321, section 4.5.2: a line that begins with a dot gets another one.
_DOT = re.compile(rb"(?m)^\.")


async def send(settings: Settings, environ: Mapping[str, str], parcel: Parcel) -> Verdict:
    """Send a mail once.

    Returns:
        sent: The server has taken it for at least one recipient; the detail names those refused.
        passing: It has not been handed over; another try may succeed.
        refused: It has not been handed over, and another try would end the same.
        unknown: It was handed over, and the answer did not come.

    Raises:
        CannotSend: A setting, a file or a template is missing or wrong.
        NotHandedOver: Cancelled before it was handed over.
    """
    del environ
    if settings.smtp_host is None:
        raise CannotSend("SMTP_HOST is not set, so no mail is sent; set it")
    with not_handed_over():
        client = await _client(settings)
        try:
            await _enter(client, settings)
            content, utf8 = await _written(client, settings, parcel)
            refused = await _address(client, settings, parcel, utf8=utf8)
            await _expect(client, GO_AHEAD, b"DATA")
        except (SMTPException, OSError, TimeoutError, ValueError) as error:
            client.close()
            return _before(settings, error)
        except BaseException:
            client.close()
            raise
    try:
        verdict = await _handed_over(client, settings, content, refused)
        if verdict.state != "unknown":
            with suppress(SMTPException, OSError):
                await client.quit(timeout=QUIT_SECONDS)
    finally:
        client.close()
    return verdict


async def greet(settings: Settings) -> str | None:
    """Connect, hide the connection and log in as `send` does, and send nothing.

    Returns:
        What keeps a mail from being handed over; None where nothing does.

    Raises:
        CannotSend: A file of the settings cannot be used.
    """
    client = await _client(settings)
    try:
        await _enter(client, settings)
        with suppress(SMTPException, OSError):
            await client.quit(timeout=QUIT_SECONDS)
    except (SMTPException, OSError, TimeoutError, ValueError) as error:
        return _before(settings, error).detail
    finally:
        client.close()
    return None


async def _client(settings: Settings) -> SMTP:
    return SMTP(
        hostname=settings.smtp_host,
        port=settings.smtp_port,
        timeout=settings.delivery_timeout,
        use_tls=settings.smtp_security == "tls",
        start_tls=False,
        tls_context=await asyncio.to_thread(_tls, settings),
    )


async def _enter(client: SMTP, settings: Settings) -> None:
    await client.connect()
    if settings.smtp_security == "starttls":
        await client.ehlo()
        if not client.supports_extension("starttls"):
            raise SMTPNotSupported(
                "the server offers no STARTTLS, and nothing is sent in the clear; "
                "set SMTP_SECURITY (tls or none) or mend the server"
            )
        await client.starttls()
    await client.ehlo()
    if settings.smtp_user is not None and settings.smtp_password is not None:
        await client.login(settings.smtp_user, settings.smtp_password.get_secret_value())


async def _written(client: SMTP, settings: Settings, parcel: Parcel) -> tuple[bytes, bool]:
    """The mail's bytes, no larger than the server takes, and whether its addresses need UTF-8."""
    utf8 = not all(address.isascii() for address in (*parcel.address, sender_address(settings)))
    if utf8 and not client.supports_extension("smtputf8"):
        foreign = ", ".join(address for address in parcel.address if not address.isascii())
        raise SMTPNotSupported(f"the server takes no letters beyond ASCII in an address: {foreign}")
    most = client.esmtp_extensions.get("size", "")
    # RFC 1870: SIZE 0 means that there is no fixed limit.
    limit = MAX_ENCODED_BYTES
    if most.isdigit() and int(most):
        limit = min(limit, int(most) - TEXT_BYTES)
    message = await asyncio.to_thread(compose, settings, parcel, now(), limit)
    return await asyncio.to_thread(wire, message, utf8=utf8), utf8


async def _address(client: SMTP, settings: Settings, parcel: Parcel, *, utf8: bool) -> list[str]:
    """Name sender and recipients; returns the refusals where at least one recipient was taken."""
    encoding = "utf-8" if utf8 else "ascii"
    options = ["SMTPUTF8"] if utf8 else []
    await client.mail(sender_address(settings), options=options, encoding=encoding)
    refusals = []
    for address in parcel.address:
        try:
            await client.rcpt(address, encoding=encoding)
        except SMTPRecipientRefused as error:
            refusals.append(error)
    if len(refusals) == len(parcel.address):
        raise SMTPRecipientsRefused(refusals)
    return [_refusal(settings, error) for error in refusals]


async def _expect(client: SMTP, code: int, command: bytes) -> None:
    answer = await client.execute_command(command)
    if answer.code != code:
        raise SMTPResponseException(answer.code, answer.message)


async def _handed_over(client: SMTP, settings: Settings, content: bytes, refused: list[str]) -> Verdict:
    """Send the body and wait for the word that says whose the mail is now."""
    body = _DOT.sub(b"..", content) + b".\r\n"
    limit = settings.delivery_timeout + len(body) / SLOWEST_LINE
    protocol = client.protocol
    if protocol is None or not protocol.is_connected:
        return Verdict("passing", "the server closed the connection before the mail was handed over")
    try:
        protocol.write(body)
        code, words = await protocol.read_response(timeout=limit)
    except SMTPException as error:
        why = quoted(f"{error}", _secrets(settings))
        return Verdict("unknown", f"the mail was handed over, but the server's answer did not come ({why})")
    said = quoted(f"{code} {words}", _secrets(settings))
    if code == ACCEPTED:
        return Verdict("sent", "; ".join([said, *(f"not to {each}" for each in refused)]))
    if code in PASSING_CODES:
        return Verdict("passing", said)
    return Verdict("refused" if code in REFUSAL_CODES else "unknown", said)


def _before(settings: Settings, error: Exception) -> Verdict:
    """What an error means that came before the mail was handed over."""
    certificate = _certificate_fault(error)
    if certificate is not None:
        return Verdict(
            "refused",
            f"the certificate of {settings.smtp_host} is not trusted: {certificate}; "
            "set SMTP_CA_FILE to its authority, or mend the certificate",
        )
    if isinstance(error, SMTPRecipientsRefused):
        said = "; ".join(_refusal(settings, each) for each in error.recipients)
        passing = any(each.code in PASSING_CODES for each in error.recipients)
        return Verdict("passing" if passing else "refused", said)
    if isinstance(error, SMTPResponseException):
        return Verdict("refused" if error.code in REFUSAL_CODES else "passing", _said(settings, error))
    if isinstance(error, OSError):
        # Disconnected, timed out, not reached: aiosmtplib's errors of these kinds are OSErrors too.
        server = f"{settings.smtp_host}:{settings.smtp_port}"
        return Verdict("passing", quoted(f"{server}: {error}", _secrets(settings)))
    return Verdict("refused", quoted(f"{error}", _secrets(settings)))


def _certificate_fault(error: BaseException | None) -> str | None:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__
    return None


def _refusal(settings: Settings, error: SMTPRecipientRefused) -> str:
    return f"{error.recipient}: {_said(settings, error)}"


def _said(settings: Settings, error: SMTPResponseException) -> str:
    return quoted(f"{error.code} {error.message}", _secrets(settings))


def _secrets(settings: Settings) -> list[str]:
    """What must not be repeated: the password, and the forms in which it travels (RFC 4616)."""
    if settings.smtp_password is None:
        return []
    password = settings.smtp_password.get_secret_value()
    plain = f"\0{settings.smtp_user}\0{password}"
    return [password, *(b64encode(text.encode()).decode() for text in (password, plain))]


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.smtp_security == "none":
        return None
    context = ssl.create_default_context()
    if settings.smtp_ca_file is not None:
        try:
            context.load_verify_locations(settings.smtp_ca_file)
        except OSError as error:
            raise CannotSend(
                f"SMTP_CA_FILE {settings.smtp_ca_file} cannot be used: {error.strerror}"
            ) from error
    return context
