"""Bare notifications of other systems: heard by one bridge of several, and kept in the outbox at once."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import asyncpg
import structlog

from producers.notifications import trigger_of
from producers.outbox import put
from schemas.database import SESSION, session
from schemas.faults import is_passing
from schemas.leadership import IDLE_LIMIT, try_to_lead
from schemas.metrics import ERRORS, LEADER
from schemas.pauses import pause
from schemas.pulse import Pulse
from schemas.settings import Settings
from schemas.start import asked_of

NOTIFY_LOCK = "riskflow.notify"
POLL_SECONDS = 0.5
"""How often a bridge that does not hear tries to take over (expert assumption)."""
# A payload whose job_id is just being asked for in an open transaction must not deafen the bridge.
PROMPT = SESSION | {"lock_timeout": "2s"}

log = structlog.get_logger(__name__)


class Hearing:
    """Turns each bare notification into one outbox row, however many bridges listen.

    Only the bridge whose listening session holds an advisory lock does so. A notification that came
    before its session had the lock is left out: whoever held it before may have kept it.
    """

    def __init__(self, settings: Settings, pulse: Pulse | None = None) -> None:
        self._settings = settings
        self._wake = asyncio.Event()
        self._heard: deque[str] = deque()
        self._leads = False
        self._loop = (pulse or Pulse()).loop("hearing")

    @property
    def leads(self) -> bool:
        """Whether this is the one that takes bare notifications."""
        return self._leads

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`, whatever the broker does; an absent database is waited for."""
        while not stop.is_set():
            try:
                async with session(
                    self._settings.dsn, application="bridge listener", settings=PROMPT
                ) as connection:
                    await self._serve(connection, stop)
            except Exception as error:
                if not is_passing(error):
                    raise
                log.warning("listening starts again", error=f"{type(error).__name__}: {error}")
                ERRORS.labels("hearing").inc()
                self._loop.waiting(asked_of(self._settings, error))
                await pause(stop, POLL_SECONDS)
            finally:
                self._leads = False
                LEADER.labels("hearing").set(0)
        if self._heard:
            log.error("heard, but not kept before the end", notifications=list(self._heard))

    async def _serve(self, connection: asyncpg.Connection, stop: asyncio.Event) -> None:
        await connection.add_listener(self._settings.notify_channel, self._hear)
        connection.add_termination_listener(self._lose)
        while not stop.is_set():
            self._wake.clear()
            await self._take_lead(connection)
            await self._keep(connection)
            self._loop.ready(None if self._leads else "standing by: another hears")
            LEADER.labels("hearing").set(self._leads)
            await pause(stop, POLL_SECONDS, self._wake)
        await self._keep(connection)

    async def _take_lead(self, connection: asyncpg.Connection) -> None:
        # Asked of the listening session each time, so that its loss is noticed within one poll and it is
        # never idle for long. The lock is held once: a second call of the same session would stack another.
        if self._leads:
            await connection.execute("SELECT")
        else:
            # Set after the answer: PostgreSQL delivers what was sent before the lock ahead of it.
            self._leads = await try_to_lead(connection, NOTIFY_LOCK, IDLE_LIMIT)

    def _hear(self, _connection: Any, _pid: int, channel: str, payload: object) -> None:
        if self._leads:
            log.info("heard a notification", channel=channel)
            self._heard.append(str(payload))
            self._wake.set()

    def _lose(self, _connection: Any) -> None:
        self._leads = False
        self._wake.set()

    async def _keep(self, connection: asyncpg.Connection) -> None:
        # What was heard before a session was lost is still this bridge's: no other one led then.
        while self._heard:
            job_id, record = trigger_of(self._heard[0])
            try:
                is_new = await put(connection, record, job_id)
            except asyncpg.LockNotAvailableError:
                is_new = False
            if not is_new:
                # Another trigger has this id; whether it asks for the same is for the acceptor to say.
                await put(connection, record)
            self._heard.popleft()
