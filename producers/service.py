"""The producers' process: bridge and dispatcher on one producer."""

from __future__ import annotations

import asyncio

from producers.bridge import Bridge
from producers.dispatcher import Dispatcher
from producers.offsets import OffsetReader
from producers.publisher import Publisher
from schemas.errors import Unavailable
from schemas.settings import Settings
from schemas.start import open_database
from schemas.stop import closed, until_stopped


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run until `stop` is set.

    Raises:
        Unavailable: Broker or database did not answer within settings.start_timeout.
    """
    publisher = Publisher(settings, "producers")
    offsets = OffsetReader(settings, "producers-offsets")
    try:
        await (await open_database(settings, "producers", stop)).close()
        await publisher.start(stop)
        await offsets.start(stop)
        # A send waits through a broker's outage, but not through the end of its process.
        await until_stopped(_work(settings, publisher, offsets, stop), stop)
    except Unavailable:
        if not stop.is_set():
            raise
    finally:
        await asyncio.gather(closed(offsets.stop()), closed(publisher.stop()))


async def _work(settings: Settings, publisher: Publisher, offsets: OffsetReader, stop: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(Bridge(settings, publisher, offsets).run(stop))
        tasks.create_task(Dispatcher(settings, publisher, offsets).run(stop))
