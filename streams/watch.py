"""Whether the worker's consumer gets on: its thread turns, it asks for records, and its broker answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, cast

import structlog

from schemas.pulse import Loop
from streams.agent import Agent
from streams.app import App, Consumer

CONSUMER_SECONDS = 60.0
"""How long the consumer may hang before it counts as dead (expert assumption)."""
LATE_SECONDS = 15.0
"""How long before it is no more ready (expert assumption)."""
LOOK_SECONDS = 3.0
"""How often is looked, and how long the broker may take to answer (expert assumption)."""
FETCH_SECONDS = 15.0
"""How long a consumer that has partitions may ask for no records; it does so each second (expert
assumption)."""

log = structlog.get_logger(__name__)


async def watch(app: App, agents: Sequence[Agent[Any]], loop: Loop) -> None:
    """Tell the loop of a started app, for ever."""
    consumer = cast("Consumer", app.consumer)
    loop.ready()
    while True:
        try:
            answers = await consumer.look(LOOK_SECONDS)
        except TimeoutError:
            log.warning("the consumer's thread does not answer")
            _hold(loop)
            continue
        if not answers:
            loop.waiting(
                f"broker {', '.join(str(url.host) + ':' + str(url.port) for url in app.conf.broker)}"
            )
            for agent in agents:
                agent.excuse()
        elif app.rebalancing:
            loop.waiting("its partitions")
        elif not app.consumer.assignment():
            loop.ready("standing by: others have all partitions")
        elif _asks(consumer):
            loop.ready()
        else:
            _hold(loop)
        await asyncio.sleep(LOOK_SECONDS)


def _hold(loop: Loop) -> None:
    """Let its limit count from here on, if it has been waiting for another until now."""
    if loop.state().waits_for is not None:
        loop.ready()


def _asks(consumer: Consumer) -> bool:
    return not consumer.flow_active or time.monotonic() - consumer.turned_at < FETCH_SECONDS
