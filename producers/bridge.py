"""The bridge from PostgreSQL to the topics: drains the outbox and hears bare notifications."""

from __future__ import annotations

import asyncio

import asyncpg
import structlog
from aiokafka.errors import KafkaError

from producers.hearing import Hearing
from producers.offsets import OffsetReader
from producers.outbox import Outbox
from producers.publisher import Publisher
from producers.unanswered import publish_lost_again
from schemas.database import SESSION, session
from schemas.faults import is_passing
from schemas.metrics import ERRORS
from schemas.pauses import pause
from schemas.pulse import Pulse
from schemas.settings import Settings
from schemas.start import asked_of

OUTBOX_CHANNEL = "riskflow_outbox"
POLL_SECONDS = 2.0
"""How often the outbox is looked at without being woken (expert assumption)."""
LOST_SECONDS = 5.0
"""How often unanswered triggers are compared with the acceptor's offsets (expert assumption)."""
PURGE_SECONDS = 3600.0
KEPT = "14 days"
"""How long published events and dead letters stay in the outbox: as long as the topic keeps events."""
# A publish that waits through a broker's restart must outlast the producer's 40 s with its rows locked.
PATIENT = SESSION | {"idle_in_transaction_session_timeout": "120s"}

log = structlog.get_logger(__name__)

_PURGE = f"DELETE FROM outbox WHERE job_id IS NULL AND published_at < now() - interval '{KEPT}'"  # noqa: S608 - a constant


class Bridge:
    """Publishes what other parts and other systems wrote into PostgreSQL; any number may run.

    Hearing and publishing go side by side, so that a notification is kept while the broker is away.
    """

    def __init__(
        self, settings: Settings, publisher: Publisher, offsets: OffsetReader, pulse: Pulse | None = None
    ) -> None:
        self._settings = settings
        self._offsets = offsets
        self._outbox = Outbox(publisher)
        pulse = pulse or Pulse()
        self._hearing = Hearing(settings, pulse)
        self._loop = pulse.loop("bridge")
        self._wake = asyncio.Event()

    @property
    def hears(self) -> bool:
        """Whether this bridge is the one that takes bare notifications."""
        return self._hearing.leads

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`; an absent database or broker is waited for."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._hearing.run(stop))
            tasks.create_task(self._drain(stop))

    async def _drain(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                async with session(self._settings.dsn, application="bridge", settings=PATIENT) as connection:
                    await self._serve(connection, stop)
            except Exception as error:
                if not (is_passing(error) or isinstance(error, KafkaError)):
                    raise
                log.warning("bridge starts again", error=f"{type(error).__name__}: {error}")
                ERRORS.labels("bridge").inc()
                self._loop.waiting(asked_of(self._settings, error))
                await pause(stop, POLL_SECONDS)

    async def _serve(self, connection: asyncpg.Connection, stop: asyncio.Event) -> None:
        await connection.add_listener(OUTBOX_CHANNEL, lambda *_: self._wake.set())
        connection.add_termination_listener(lambda *_: self._wake.set())
        clock = asyncio.get_running_loop().time
        lost_due = purge_due = clock()
        while not stop.is_set():
            self._wake.clear()
            await self._outbox.publish(connection)
            while self._outbox.has_more and not stop.is_set():
                await self._outbox.publish(connection)
            if clock() >= lost_due:
                if await publish_lost_again(connection, self._offsets):
                    self._wake.set()
                lost_due = clock() + LOST_SECONDS
            if clock() >= purge_due:
                await connection.execute(_PURGE)
                purge_due = clock() + PURGE_SECONDS
            self._loop.ready()
            await pause(stop, POLL_SECONDS, self._wake)
