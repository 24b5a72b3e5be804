"""How every Kafka client of riskflow is set up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiokafka.errors import KafkaError

from schemas.settings import Settings
from schemas.start import until_answered

T = TypeVar("T")

MAX_REQUEST_BYTES = 100 << 20
"""Largest request that a producer sends: Kafka's socket.request.max.bytes.

The topics bound what may be stored, not their writers: a dead letter that its writer could not send would
come back for ever.
"""


def client_options(settings: Settings, name: str) -> dict[str, Any]:
    """Arguments that producers, consumers and admin clients share; `name` is what the broker shows."""
    return {"bootstrap_servers": settings.kafka_bootstrap_servers, "client_id": f"riskflow-{name}"}


async def until_broker_answers(
    settings: Settings, attempt: Callable[[], Awaitable[T]], stop: asyncio.Event | None = None
) -> T:
    """Start a client, waiting up to settings.start_timeout for the broker.

    Raises:
        Unavailable: It did not answer in time.
    """
    return await until_answered(
        f"broker {settings.kafka_bootstrap_servers}",
        attempt,
        limit=settings.start_timeout,
        passing=lambda error: isinstance(error, (KafkaError, OSError)),
        stop=stop,
    )
