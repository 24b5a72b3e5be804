"""The sink's process: acceptor of triggers, sink of results, sink of students' metrics."""

from __future__ import annotations

import asyncio

from consumers.acceptor import Acceptor
from consumers.reader import Reader
from consumers.sink import Sink
from consumers.tenant_sink import TenantSink
from schemas.settings import Settings
from schemas.stop import serve


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run until `stop` is set.

    Raises:
        Unavailable: Broker or database did not answer within settings.start_timeout.
    """
    await serve(_work(settings, stop), stop)


async def _work(settings: Settings, stop: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(Reader(settings, Acceptor(settings)).run(stop))
        tasks.create_task(Reader(settings, Sink()).run(stop))
        tasks.create_task(Reader(settings, TenantSink()).run(stop))
