"""Sends what waits in report_deliveries; never twice by itself.

A delivery is marked `sending`, and that committed, before the server is spoken to. What a courier
finds so when it takes the lead may have been sent or not: it becomes `unknown`, and a person decides.
What a stop cuts off before it was handed over waits again instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import asyncpg
import structlog

from consumers import mail, slack
from consumers.parcel import CHANNEL, Parcel, abandon, end, give_back, take
from consumers.verdict import CannotSend, NotHandedOver, ReportIsGone, Verdict
from schemas.database import session
from schemas.faults import is_passing
from schemas.leadership import leads
from schemas.metrics import DELIVERIES, DELIVERY_SECONDS, ERRORS, leading, stands_by
from schemas.pauses import pause
from schemas.pulse import Pulse
from schemas.settings import Settings, environment
from schemas.start import asked_of
from schemas.stop import STOP_SECONDS
from schemas.tracing import tracing

LEADER_LOCK = "riskflow.courier"
POLL_SECONDS = 1.0
"""How often it looks without being woken (expert assumption)."""
AT_ONCE = 4
"""Deliveries that are sent at the same time (expert assumption)."""
LONGEST_BACKOFF = 3600.0
LONGEST_WAIT = 86_400.0
"""Longest pause that a server may ask for [s] (expert assumption)."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0  # seconds between tries to record an end (expert assumption)
GIVE_BACK_SECONDS = 2.0
"""How long a stop may wait for PostgreSQL to take back what was not handed over (expert assumption)."""

Sender = Callable[[Settings, Mapping[str, str], Parcel], Awaitable[Verdict]]
SENDERS: dict[str, Sender] = {"email": mail.send, "slack": slack.send}

log = structlog.get_logger(__name__)


class Courier:
    """One leader, chosen by a session lock, sends; the others wait for its place."""

    def __init__(
        self, settings: Settings, environ: Mapping[str, str] | None = None, pulse: Pulse | None = None
    ) -> None:
        self._settings = settings
        self._environ = environment() if environ is None else environ
        self._wake = asyncio.Event()
        self._loop = (pulse or Pulse()).loop("courier")
        stands_by("courier")
        self._untouched: list[Parcel] = []

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`, then end what is being sent; an absent database is waited for."""
        while not stop.is_set():
            try:
                async with session(self._settings.dsn, application="courier") as connection:
                    if await leads(connection, LEADER_LOCK, stop, loop=self._loop):
                        with leading("courier"):
                            await self._serve(connection, stop)
            except Exception as error:
                if not is_passing(error):
                    raise
                log.warning("courier starts again", error=f"{type(error).__name__}: {error}")
                ERRORS.labels("courier").inc()
                self._loop.waiting(asked_of(self._settings, error))
                await pause(stop, POLL_SECONDS)

    async def _serve(self, connection: asyncpg.Connection, stop: asyncio.Event) -> None:
        await connection.add_listener(CHANNEL, lambda *_: self._wake.set())
        connection.add_termination_listener(lambda *_: self._wake.set())
        if left := await abandon(connection):
            log.warning("deliveries were interrupted; riskflow reports shows them", deliveries=left)
        sending: set[asyncio.Task[None]] = set()
        limit = None
        try:
            while not stop.is_set():
                self._wake.clear()
                for parcel in await take(connection, AT_ONCE - len(sending)):
                    # The task carries the context on.
                    with tracing(parcel.job_id, parcel.traceparent):
                        sending.add(asyncio.create_task(self._deliver(parcel)))
                self._loop.ready()
                await pause(stop, POLL_SECONDS, self._wake)
                sending = _unfinished(sending)
        except asyncio.CancelledError:
            limit = STOP_SECONDS
            raise
        finally:
            # Without its session it leads no more; it must not lead anew, and take its own deliveries
            # for interrupted, before they have ended.
            try:
                await _finished(sending, limit)
            finally:
                await self._give_back(connection)

    async def _deliver(self, parcel: Parcel) -> None:
        try:
            try:
                with DELIVERY_SECONDS.labels(parcel.channel).time():
                    verdict = await SENDERS[parcel.channel](self._settings, self._environ, parcel)
            except ReportIsGone as error:
                verdict = Verdict("refused", str(error))
            except CannotSend as error:
                verdict = Verdict("refused", f"{error}; then: {parcel.resend}")
            await self._record(parcel, verdict)
        except NotHandedOver:
            self._untouched.append(parcel)
            raise
        finally:
            self._wake.set()

    async def _give_back(self, connection: asyncpg.Connection) -> None:
        """Let what a stop has cut off before it was handed over wait again; if that fails, it is in doubt."""
        parcels, self._untouched = self._untouched, []
        if not parcels:
            return
        try:
            # By the leading session: no other courier has taken these for interrupted meanwhile.
            await give_back(connection, parcels, GIVE_BACK_SECONDS)
        except Exception as error:
            if not is_passing(error):
                raise
            log.warning("deliveries not given back", deliveries=len(parcels), error=type(error).__name__)
            connection.terminate()

    async def _record(self, parcel: Parcel, verdict: Verdict) -> None:
        """Write the end as often as it takes: this is the only one who knows it."""
        state, detail, wait = self._ending(parcel, verdict)
        seconds = FIRST_PAUSE
        while True:
            try:
                async with session(self._settings.dsn, application="courier") as connection:
                    written = await end(connection, parcel, state, detail, wait)
            except Exception as error:
                if not is_passing(error):
                    raise
                log.warning("delivery not recorded yet; trying again", error=type(error).__name__)
                await asyncio.sleep(seconds)
                seconds = min(2 * seconds, LONGEST_PAUSE)
            else:
                break
        DELIVERIES.labels(parcel.channel, state).inc()
        tell = log.info if state == "sent" else log.warning
        tell(
            f"delivery {state}" if written else f"delivery {state}, but its row has moved on",
            org_id=parcel.org_id,
            report_date=f"{parcel.report_date}",
            channel=parcel.channel,
            attempt=parcel.attempts,
            detail=detail,
        )

    def _ending(self, parcel: Parcel, verdict: Verdict) -> tuple[str, str, float | None]:
        if verdict.state == "unknown":
            return "unknown", f"{verdict.detail}; look whether it came, then: {parcel.resend}", None
        if verdict.state != "passing":
            return verdict.state, verdict.detail, None
        if parcel.attempts >= self._settings.delivery_attempts:
            tries = "1 try" if parcel.attempts == 1 else f"{parcel.attempts} tries"
            return "failed", f"given up after {tries}: {verdict.detail}", None
        return "retrying", verdict.detail, backoff(self._settings, parcel.attempts, verdict.wait)


def backoff(settings: Settings, attempt: int, asked: float | None = None) -> float:
    """Seconds from the `attempt`-th try to the next: twice as long each time, and no less than asked."""
    own = min(settings.delivery_pause * 2.0 ** (attempt - 1), LONGEST_BACKOFF)
    return max(own, min(asked or 0.0, LONGEST_WAIT))


def _unfinished(tasks: set[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """Those still running; an error of a finished one is raised."""
    for task in tasks:
        if task.done():
            task.result()
    return {task for task in tasks if not task.done()}


async def _finished(tasks: set[asyncio.Task[None]], limit: float | None) -> None:
    """Wait for tasks, at most `limit` seconds; what runs longer, or than the caller, is cancelled."""
    if not tasks:
        return
    try:
        await asyncio.wait(tasks, timeout=limit)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()
