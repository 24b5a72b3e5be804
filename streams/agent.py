"""The agent: chunks of one kind in, result messages out, in the order of delivery and none lost."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Generic, cast

import asyncpg
import structlog
from faust.streams import Stream
from faust.types import EventT
from pydantic import ValidationError

from schemas.codec import Headers, Record, dead_letter_headers, dead_letter_value, header
from schemas.errors import RiskflowError
from schemas.fault_points import fault_point
from schemas.metrics import CHUNK_SECONDS, DEAD_LETTERS, MESSAGES_READ
from schemas.pulse import Pulse
from schemas.topics import Topic, dead_letters
from schemas.tracing import tracing_headers
from streams.ledger import Start, take_up
from streams.window import Window
from streams.work import C, Compute, UncomputableChunk, Work

log = structlog.get_logger(__name__)

WINDOW = 3
"""Chunks in work at a time: one is read and one sent while one is computed; DESIGN, section 3."""

STEP_SECONDS = 900.0
"""How long a window may hold chunks and end no step of any before it counts as dead. Of 400 cells with
uncertainty the longest step takes 8.7 s of a core, and took 58 s at a load of 27 on 2 (expert assumption)."""

DEATHS_ALONE = 5
"""Deaths of the worker over one chunk, worked on alone, after which it is failed; DESIGN, section 3."""

Send = Callable[[str, bytes | None, bytes | None, Headers], Awaitable[object]]
"""Publishes topic, key, value and headers; returns after the broker's acknowledgement."""


class TooManyDeadLetters(RiskflowError):  # noqa: N818 - named by what is wrong, as all errors here
    """So many dead letters in a row that the fault is not the messages'; a person has to look."""


class Agent(Generic[C]):
    """Computes chunks in the order of their delivery.

    Args:
        work: What is done with a chunk.
        pool: Connections for as many chunks as the window holds.
        send: Publishes a record and waits for the broker.
        commit: Commits what is acknowledged.
        dead_letters_in_a_row: So many without a good chunk between end the worker.
        pulse: Learns how the window gets on.
    """

    def __init__(  # noqa: PLR0913 - each named at the call
        self,
        work: Work[C],
        pool: asyncpg.Pool,
        *,
        send: Send,
        commit: Callable[[], Awaitable[object]],
        dead_letters_in_a_row: int,
        pulse: Pulse | None = None,
    ) -> None:
        self._work = work
        self._pool = pool
        self._send = send
        self._commit = commit
        self._limit = dead_letters_in_a_row
        self._kernels = ThreadPoolExecutor(1, thread_name_prefix=f"{work.name}-kernels")
        self._window: Window | None = None
        self._loop = (pulse or Pulse()).loop(f"{work.name} window", STEP_SECONDS, None)
        self._loop.idle()
        self._dead_letters_in_a_row = 0

    @property
    def name(self) -> str:
        """Of its work, in logs."""
        return self._work.name

    @property
    def topic(self) -> Topic:
        """Where its chunks come from."""
        return self._work.topic

    async def run(self, stream: Stream[bytes]) -> None:
        """Work on the stream until it ends; an exception means that the process must end.

        Raises:
            BaseExceptionGroup: Whatever was not foreseen, TooManyDeadLetters among it.
        """
        async with asyncio.TaskGroup() as tasks:
            self._window = window = Window(WINDOW, tasks, stream.ack, self._loop)
            async for event in stream.noack().events():
                await window.admit()
                # Whatever is started in this block carries the context on.
                with tracing_headers(_headers(event)):
                    await self._take(event, window)
                MESSAGES_READ.labels(self.topic.name).inc()

    def excuse(self) -> None:
        """The broker is away: what the window holds waits for it, and is not stuck by itself."""
        if self._window is not None and self._window.holds:
            self._loop.beat()

    async def finish(self) -> None:
        """Take nothing more; return when what is held is sent, acknowledged and committed."""
        if self._window is not None:
            await self._window.close()
            await self._commit()
        self._kernels.shutdown()

    async def _take(self, event: EventT[bytes], window: Window) -> None:
        try:
            chunk = self._work.read_message(event.message.value)
        except RiskflowError as error:
            window.start(event, self._refuse(event, error))
            return
        start = await take_up(self._pool, self.topic, chunk.chunk_id, chunk.job_seq)
        if start is None:
            unknown = UncomputableChunk(f"chunk {chunk.chunk_id} is not in batch_job_chunks")
            window.start(event, self._refuse(event, unknown))
        elif not start.wanted or fault_point(f"{self.name}.take", chunk.chunk_id):
            log.debug("chunk skipped", chunk=chunk.chunk_id, job_status=start.status)
            window.start(event, _nothing())
        elif start.starts == 1:
            window.start(event, self._answer(event, chunk, start))
        else:
            await self._take_alone(event, chunk, start, window)

    async def _take_alone(self, event: EventT[bytes], chunk: C, start: Start, window: Window) -> None:
        """Work on a chunk over which a worker may have died, so that the next death is surely its own."""
        log.warning("chunk taken up again, alone", chunk=chunk.chunk_id, starts=start.starts)
        await window.empty()
        if start.starts > 1 + DEATHS_ALONE:
            deadly = UncomputableChunk(f"the worker died {DEATHS_ALONE} times over this chunk")
            window.start(event, self._refuse(event, deadly))
        else:
            window.start(event, self._answer(event, chunk, start))
        await window.empty()
        await self._commit()

    async def _answer(self, event: EventT[bytes], chunk: C, start: Start) -> None:
        try:
            with self._step("read"):
                compute = await self._work.prepare(chunk, start, _traceparent(event))
            loop, context = asyncio.get_running_loop(), contextvars.copy_context()
            records = await loop.run_in_executor(self._kernels, context.run, self._compute, chunk, compute)
        except (UncomputableChunk, ValidationError, asyncpg.DataError) as error:
            await self._refuse(event, error)
            return
        with self._step("send"):
            await self._send_all(records)
        self._dead_letters_in_a_row = 0

    def _compute(self, chunk: C, compute: Compute) -> list[Record]:
        with self._step("compute"):
            fault_point(f"{self.name}.compute", chunk.chunk_id)
            return compute()

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        with CHUNK_SECONDS.labels(self.name, name).time():
            yield
        self._loop.beat()

    async def _refuse(self, event: EventT[bytes], error: Exception) -> None:
        """Put the message to the dead letters, tell its job, and go on.

        Raises:
            TooManyDeadLetters: It was one of too many.
        """
        message = event.message
        source = (message.topic, message.partition, message.offset)
        log.error("chunk refused", agent=self.name, reason=str(error), partition=source[1], offset=source[2])
        letter = dead_letter_headers(
            _headers(event),
            reason=str(error),
            error=error,
            source=source,
            timestamp=round(1000 * message.timestamp),
        )
        value = dead_letter_value(message.key, message.value)
        await self._send(dead_letters(self.topic).name, message.key, value, letter)
        await self._send_all(
            await self._work.failures(message.key, message.value, error, _traceparent(event))
        )
        DEAD_LETTERS.labels(self.topic.name).inc()
        self._dead_letters_in_a_row += 1
        if self._dead_letters_in_a_row >= self._limit:
            # Otherwise the next start would meet the same letters again and get no further.
            await self._commit()
            raise TooManyDeadLetters(
                f"{self._limit} messages of {self.topic.name} in a row could not be computed, the last "
                f"because: {error}; look at them with: riskflow dlq list --topic {self.topic.name}; "
                "then start the worker again"
            )

    async def _send_all(self, records: Sequence[Record]) -> None:
        await asyncio.gather(
            *(
                self._send(record.topic, record.key, record.value, record.headers)
                for record in records
                if not fault_point(f"{self.name}.send", (record.key or b"").decode())
            )
        )


def _traceparent(event: EventT[bytes]) -> str | None:
    return header(_headers(event), "traceparent")


def _headers(event: EventT[bytes]) -> Headers:
    """As Kafka gives them, repeated names included; Faust's type allows other forms."""
    return list(cast("Headers", event.message.headers or ()))


async def _nothing() -> None:
    """No work: the event only waits for its turn to be acknowledged."""
