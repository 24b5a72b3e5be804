"""The reporter's process: renderer of reports, intake of what is ready, and the courier."""

from __future__ import annotations

import asyncio

from consumers import recall
from consumers.courier import Courier
from consumers.deliveries import Intake
from consumers.reader import Reader
from consumers.renderer import Renderer
from schemas.pulse import Pulse
from schemas.settings import Settings
from schemas.start import open_database
from schemas.stop import serve


async def run(settings: Settings, stop: asyncio.Event, pulse: Pulse | None = None) -> None:
    """Run until `stop` is set; `pulse` learns how it gets on.

    Raises:
        Unavailable: Broker or database did not answer within settings.start_timeout.
    """
    await serve(_work(settings, stop, pulse or Pulse()), stop)


async def _work(settings: Settings, stop: asyncio.Event, pulse: Pulse) -> None:
    start = pulse.loop("start")
    start.waiting(f"database {settings.database_label}")
    # So that a database that lets nobody in is told as one sentence, before four loops meet it.
    await (await open_database(settings, "reporter", stop)).close()
    start.idle()
    # A batch may take an hour; each page of it is a beat.
    rendering = pulse.loop(Renderer.name, late=None)
    renderer = Renderer(settings, beat=rendering.beat)
    intake = Intake(settings)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(Reader(settings, renderer, rendering).run(stop))
            tasks.create_task(Reader(settings, intake, pulse.loop(intake.name)).run(stop))
            tasks.create_task(Courier(settings, pulse=pulse).run(stop))
            tasks.create_task(recall.run(settings, stop, pulse))
    finally:
        await renderer.close()
