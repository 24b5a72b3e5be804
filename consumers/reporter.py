"""The reporter's process: renderer of reports, intake of what is ready, and the courier."""

from __future__ import annotations

import asyncio

from consumers import recall
from consumers.courier import Courier
from consumers.deliveries import Intake
from consumers.reader import Reader
from consumers.renderer import Renderer
from schemas.settings import Settings
from schemas.stop import serve


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run until `stop` is set.

    Raises:
        Unavailable: Broker or database did not answer within settings.start_timeout.
    """
    await serve(_work(settings, stop), stop)


async def _work(settings: Settings, stop: asyncio.Event) -> None:
    renderer = Renderer(settings)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(Reader(settings, renderer).run(stop))
            tasks.create_task(Reader(settings, Intake(settings)).run(stop))
            tasks.create_task(Courier(settings).run(stop))
            tasks.create_task(recall.run(settings, stop))
    finally:
        await renderer.close()
