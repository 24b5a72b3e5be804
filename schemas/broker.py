"""How every Kafka client of riskflow is set up."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from schemas.errors import Unavailable
from schemas.security import broker_context
from schemas.settings import Settings
from schemas.start import until_answered

T = TypeVar("T")

PROBE_SECONDS = 5
"""How long a broker may take to say why it refuses (expert assumption)."""
MAX_REQUEST_BYTES = 100 << 20
"""Largest request that a producer sends: Kafka's socket.request.max.bytes.

The topics bound what may be stored, not their writers: a dead letter that its writer could not send would
come back for ever.
"""


def client_options(settings: Settings, name: str) -> dict[str, Any]:
    """Arguments that producers, consumers and admin clients share; `name` is what the broker shows.

    The password is among them: never to be logged.
    """
    return {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "client_id": f"riskflow-{name}",
        **_protection(settings),
    }


def _protection(settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {"security_protocol": settings.kafka_security_protocol}
    context = broker_context(settings)
    if context is not None:
        options["ssl_context"] = context
    if settings.kafka_sasl_password is not None:
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_sasl_username
        options["sasl_plain_password"] = settings.kafka_sasl_password.get_secret_value()
    return options


async def until_broker_answers(
    settings: Settings, attempt: Callable[[], Awaitable[T]], stop: asyncio.Event | None = None
) -> T:
    """Start a client, waiting up to settings.start_timeout for the broker.

    Raises:
        Unavailable: It did not answer in time, or refuses us, which no waiting mends.
    """

    async def unless_refused() -> T:
        try:
            return await attempt()
        except (KafkaError, OSError) as error:
            if refusal := await why_refused(settings):
                raise Unavailable(refusal) from None
            if await _listens(settings):
                raise KafkaConnectionError(
                    "it listens but hangs up; if this lasts, look at KAFKA_SECURITY_PROTOCOL, which is "
                    f"{settings.kafka_security_protocol}"
                ) from error
            raise

    return await until_answered(
        f"broker {settings.kafka_bootstrap_servers}",
        unless_refused,
        limit=settings.start_timeout,
        passing=lambda error: isinstance(error, (KafkaError, OSError)),
        stop=stop,
    )


async def why_refused(settings: Settings) -> str | None:
    """Why a broker will never let this client in, as a sentence without secrets; None where time may help.

    The clients only log it, and say that they could not connect.
    """
    if settings.kafka_security_protocol == "PLAINTEXT":
        return None
    for host, port, _ in collect_hosts(settings.kafka_bootstrap_servers):
        try:
            connection = await create_conn(
                host, port, request_timeout_ms=PROBE_SECONDS * 1000, **_protection(settings)
            )
        except (OSError, KafkaError, TimeoutError, ValueError) as error:
            if refusal := _refusal(settings, error):
                return f"broker {host}:{port} {refusal}"
        else:
            connection.close()
            return None
    return None


async def _listens(settings: Settings) -> bool:
    """Whether anything takes a connection on the broker's ports."""
    for host, port, _ in collect_hosts(settings.kafka_bootstrap_servers):
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(PROBE_SECONDS):
                _, writer = await asyncio.open_connection(host, port)
            writer.close()
            return True
    return False


def _refusal(settings: Settings, error: Exception) -> str | None:
    match error:
        case ssl.SSLCertVerificationError():
            return (
                f"shows a certificate that is not trusted: {error.verify_message.rstrip('.')}; "
                "look at KAFKA_SSL_CAFILE and at the host name in KAFKA_BOOTSTRAP_SERVERS"
            )
        case ssl.SSLError():
            return (
                f"cannot be spoken to by TLS: {(error.reason or 'no reason').replace('_', ' ').lower()}; "
                "look at the port, KAFKA_SECURITY_PROTOCOL and KAFKA_SSL_CERTFILE"
            )
        case UnsupportedSaslMechanismError():
            return f"does not let one log in by {settings.kafka_sasl_mechanism}; look at KAFKA_SASL_MECHANISM"
        case SaslAuthenticationFailed() | AuthenticationFailedError() | ValueError():
            # A ValueError is the client's word for a server that does not know the password (SCRAM).
            return (
                f"refuses the login of {settings.kafka_sasl_username!r} by {settings.kafka_sasl_mechanism}; "
                "look at KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"
            )
    return None
