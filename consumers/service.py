"""The sink's process: acceptor of triggers, sink of results, sink of students' metrics."""

from __future__ import annotations

import asyncio

from consumers.acceptor import Acceptor
from consumers.reader import Reader
from consumers.sink import Sink
from consumers.tenant_sink import TenantSink
from schemas.pulse import Pulse
from schemas.settings import Settings
from schemas.stop import serve


async def run(settings: Settings, stop: asyncio.Event, pulse: Pulse | None = None) -> None:
    """Run until `stop` is set; `pulse` learns how it gets on.

    Raises:
        Unavailable: Broker or database did not answer within settings.start_timeout.
    """
    await serve(_work(settings, stop, pulse or Pulse()), stop)


async def _work(settings: Settings, stop: asyncio.Event, pulse: Pulse) -> None:
    handlers = (Acceptor(settings), Sink(), TenantSink())
    async with asyncio.TaskGroup() as tasks:
        for handler in handlers:
            tasks.create_task(Reader(settings, handler, pulse.loop(handler.name)).run(stop))
