"""The broker before Faust speaks to it: is it there, and has it the topics."""

from __future__ import annotations

import asyncio

import structlog
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_delay,
    wait_exponential,
)

from schemas.errors import Unavailable
from schemas.settings import Settings
from schemas.topics import GRID_CHUNKS, RESULT_TOPICS, dead_letters

log = structlog.get_logger(__name__)

NEEDED = frozenset(
    {GRID_CHUNKS.name, dead_letters(GRID_CHUNKS).name, *(topic.name for topic in RESULT_TOPICS.values())}
)
"""Topics that the climate agent reads and writes."""

LONGEST_PAUSE = 5.0
"""Longest wait between two looks [s] (expert assumption)."""

CONNECT_SECONDS = 5.0
"""How long one look may take to connect [s] (expert assumption)."""


async def wait_for_topics(settings: Settings) -> None:
    """Return when the broker answers and has the topics.

    Raises:
        Unavailable: Not within START_TIMEOUT; says which of the two, and what to do.
    """
    servers, limit = settings.kafka_bootstrap_servers, settings.start_timeout

    def tell(state: RetryCallState) -> None:
        fault = state.outcome.exception() if state.outcome else None
        log.warning("%s; retrying for %g s", _sentence(servers, fault), limit)

    retrying = AsyncRetrying(
        retry=retry_if_exception_type((OSError, KafkaError, MissingTopicsError)),
        stop=stop_after_delay(limit),
        wait=wait_exponential(multiplier=0.25, max=LONGEST_PAUSE),
        before_sleep=tell,
        reraise=True,
    )
    try:
        await retrying(_look, servers)
    except (OSError, KafkaError, MissingTopicsError) as fault:
        raise Unavailable(f"{_sentence(servers, fault)} (waited {limit:g} s)") from fault


class MissingTopicsError(Exception):
    """The broker is there, its topics are not."""


def _sentence(servers: str, fault: BaseException | None) -> str:
    if isinstance(fault, MissingTopicsError):
        return f"broker {servers} has no topic {fault}; create the topics with: riskflow topics"
    return f"broker {servers} does not answer"


async def _look(servers: str) -> None:
    # The Kafka client writes an error line for a refused connection, so the port is tried first.
    host, _, port = servers.split(",", maxsplit=1)[0].strip().rpartition(":")
    _, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), CONNECT_SECONDS)
    writer.close()
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    try:
        await admin.start()
        missing = NEEDED - set(await admin.list_topics())
    finally:
        await admin.close()
    if missing:
        raise MissingTopicsError(", ".join(sorted(missing)))
