"""The producers' process: bridge and dispatcher on one producer, the scheduler, and the gauges of lag."""

from __future__ import annotations

import asyncio

from producers.bridge import Bridge
from producers.dispatcher import Dispatcher
from producers.lag import Lag
from producers.offsets import OffsetReader
from producers.publisher import Publisher
from producers.scheduler import Scheduler
from schemas.errors import Unavailable
from schemas.pulse import Pulse
from schemas.settings import Settings
from schemas.start import open_database
from schemas.stop import closed, until_stopped


async def run(settings: Settings, stop: asyncio.Event, pulse: Pulse | None = None) -> None:
    """Run until `stop` is set; `pulse` learns how it gets on.

    Raises:
        Unavailable: Broker or database did not answer within settings.start_timeout.
    """
    publisher = Publisher(settings, "producers")
    offsets = OffsetReader(settings, "producers-offsets")
    try:
        # A send waits through a broker's outage, but not through the end of its process.
        await until_stopped(_work(settings, publisher, offsets, stop, pulse or Pulse()), stop)
    except Unavailable:
        if not stop.is_set():
            raise
    finally:
        await asyncio.gather(closed(offsets.stop()), closed(publisher.stop()))


async def _work(
    settings: Settings, publisher: Publisher, offsets: OffsetReader, stop: asyncio.Event, pulse: Pulse
) -> None:
    start = pulse.loop("start")
    start.waiting(f"database {settings.database_label}")
    await (await open_database(settings, "producers", stop)).close()
    start.waiting(f"broker {settings.kafka_bootstrap_servers}")
    await publisher.start(stop)
    await offsets.start(stop)
    start.idle()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(Bridge(settings, publisher, offsets, pulse).run(stop))
        tasks.create_task(Dispatcher(settings, publisher, offsets, pulse).run(stop))
        tasks.create_task(Scheduler(settings, pulse=pulse).run(stop))
        tasks.create_task(Lag(settings, offsets, pulse).run(stop))
