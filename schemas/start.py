"""Waiting for a database or a broker that does not answer yet."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg
import structlog
from aiokafka.errors import KafkaError
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    RetryError,
    retry_if_exception,
    stop_after_delay,
    wait_exponential,
)

from schemas.database import connect, create_pool
from schemas.errors import Unavailable
from schemas.faults import is_passing
from schemas.settings import Settings

T = TypeVar("T")
REFUSALS = (ssl.SSLCertVerificationError, asyncpg.ClientConfigurationError)
"""Errors on connecting that no waiting mends, though some are errors of the connection to look at."""
FIRST_PAUSE = 0.2  # seconds (expert assumption)
LONGEST_PAUSE = 5.0  # seconds (expert assumption)

log = structlog.get_logger(__name__)


async def until_answered(
    what: str,
    attempt: Callable[[], Awaitable[T]],
    *,
    limit: float,
    passing: Callable[[BaseException], bool],
    stop: asyncio.Event | None = None,
) -> T:
    """Try with growing pauses until `attempt` returns.

    Args:
        what: Who is asked, for the log and the error ("database localhost:5432/riskflow").
        attempt: Connects; must clean up after itself when it raises.
        limit: Seconds after which it gives up.
        passing: Says which errors are worth another try; others are raised at once.
        stop: Ends the waiting early.

    Raises:
        Unavailable: Nothing answered within the limit, or `stop` was set.
    """

    async def asked() -> T:
        # A server that takes the connection and then says nothing is away too.
        async with asyncio.timeout(limit):
            return await attempt()

    def over(state: RetryCallState) -> bool:
        return bool(stop and stop.is_set()) or stop_after_delay(limit)(state)

    def tell(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        sentence = f"{what} does not answer; retrying for {limit:g} s"
        log.warning(sentence, error=_sentence(error))

    retrying = AsyncRetrying(
        stop=over,
        wait=wait_exponential(multiplier=FIRST_PAUSE, max=LONGEST_PAUSE),
        retry=retry_if_exception(passing),
        before_sleep=tell,
    )
    try:
        return await retrying(asked)
    except RetryError as error:
        cause = error.last_attempt.exception()
        raise Unavailable(
            f"{what} did not answer within {limit:g} s: {_sentence(cause)}; is it running, and do the "
            "settings name its place? See: riskflow doctor"
        ) from cause


async def open_database(
    settings: Settings, application: str, stop: asyncio.Event | None = None
) -> asyncpg.Connection:
    """A connection to the database of the settings, waiting up to settings.start_timeout for it.

    Raises:
        Unavailable: It did not answer in time, or does not let this user in.
    """
    return await _until_database_answers(
        settings, lambda: connect(settings.dsn, application=application), stop
    )


async def open_pool(
    settings: Settings, application: str, size: int, stop: asyncio.Event | None = None
) -> asyncpg.Pool:
    """A pool of at most `size` connections, waited for as `open_database` does.

    Raises:
        Unavailable: The database did not answer in time, or does not let this user in.
    """
    return await _until_database_answers(
        settings, lambda: create_pool(settings.dsn, application=application, size=size), stop
    )


async def _until_database_answers(
    settings: Settings, attempt: Callable[[], Awaitable[T]], stop: asyncio.Event | None
) -> T:
    label = f"database {settings.database_label}"

    def passing(error: BaseException) -> bool:
        return is_passing(error) and not isinstance(error, REFUSALS)

    try:
        return await until_answered(label, attempt, limit=settings.start_timeout, passing=passing, stop=stop)
    except REFUSALS as error:
        raise Unavailable(f"{label} {refusal(error)}") from None
    except asyncpg.PostgresError as error:
        raise Unavailable(f"{label} refuses the connection: {error}") from error


def asked_of(settings: Settings, error: Exception) -> str:
    """Which server an error speaks of, for the health page."""
    if isinstance(error, KafkaError):
        return f"broker {settings.kafka_bootstrap_servers}"
    return f"database {settings.database_label}"


def refusal(error: Exception) -> str:
    """What keeps a connection to the database from ever being made, as the rest of a sentence."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"shows a certificate that is not trusted: {error.verify_message.rstrip('.')}; "
            "look at DATABASE_SSLROOTCERT (or sslrootcert of DATABASE_URL) and at the host name"
        )
    return f"cannot be spoken to as the settings say: {error}"


def _sentence(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {error}" if error is not None else ""
