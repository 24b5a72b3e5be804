"""The Faust app of the agents, set as DESIGN section 3 says."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, cast

import aiokafka
import faust
import faust.streams
import structlog
from aiokafka.errors import KafkaError
from faust.streams import Stream
from faust.transport.consumer import RecordMap
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, StreamT
from faust.types.auth import CredentialsT
from faust.types.transports import TransportT
from yarl import URL

from schemas.broker import MAX_REQUEST_BYTES
from schemas.codec import Headers
from schemas.errors import RiskflowError
from schemas.metrics import MESSAGES_WRITTEN
from schemas.security import broker_context
from schemas.settings import Settings
from schemas.topics import GRID_CHUNKS, WORKER_GROUP
from streams.agent import Agent, TooManyDeadLetters

log = structlog.get_logger(__name__)

FETCH_WAIT_MS = 100
"""How long a broker may hold an empty fetch [ms]; Faust's own 1500 delays each first message."""

SESSION_SECONDS = 6.0
HEARTBEAT_SECONDS = 1.5
REBALANCE_SECONDS = 10.0
"""How soon a dead worker's partitions go to another [s]; DESIGN, section 3."""

EXIT_CRASHED = 3
"""Exit code that a supervisor answers with a new start."""

EXIT_POISONED = os.EX_CONFIG
"""Exit code (78) that no supervisor answers: a person has to look."""


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread, asking the broker to answer an empty fetch sooner."""

    async def answers(self, seconds: float) -> bool:
        """Whether the broker answers within so many seconds; asked in this thread, past its queue."""
        try:
            async with asyncio.timeout(seconds):
                await self._ensure_consumer().end_offsets([aiokafka.TopicPartition(GRID_CHUNKS.name, 0)])
        except (KafkaError, TimeoutError):
            return False
        return True

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Go back to what is committed after a rebalance; to the beginning where nothing is.

        The library leaves a partition without a commit where it had been read to, although Faust has
        thrown away what it had read: those messages would never come.
        """
        committed: Mapping[TP, int] = await self.call_thread(self._go_back)
        return committed

    async def _go_back(self) -> Mapping[TP, int]:
        consumer = self._ensure_consumer()
        committed: Mapping[TP, int] = await consumer.seek_to_committed()
        fresh = [place for place, offset in committed.items() if not offset]
        beginnings = await consumer.beginning_offsets(fresh) if fresh else {}
        for place in consumer.assignment() & beginnings.keys():
            consumer.seek(place, beginnings[place])
        return committed

    def _create_worker_consumer(self, transport: driver.Transport) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        if not hasattr(consumer, "_fetch_max_wait_ms"):
            raise RiskflowError(
                f"aiokafka {aiokafka.__version__} keeps its fetch wait elsewhere; install 0.13 or 0.14"
            )
        # Faust fixes the value in its call, and the fetcher reads it when the consumer starts.
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001
        return consumer


class Consumer(driver.Consumer):
    """Faust's consumer on that thread."""

    turned_at = 0.0
    """When it last asked for records, on the clock of time.monotonic; it does so every second."""

    async def look(self, seconds: float) -> bool:
        """Whether the broker answers the consumer's thread.

        Raises:
            TimeoutError: The thread itself does not turn.
        """
        thread = cast("ConsumerThread", self._thread)
        looking = asyncio.run_coroutine_threadsafe(thread.answers(seconds), thread.thread_loop)
        async with asyncio.timeout(2 * seconds):
            return await asyncio.wrap_future(looking)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> RecordMap:  # noqa: ASYNC109 - Faust's
        self.turned_at = time.monotonic()
        return await super()._getmany(active_partitions, timeout)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)


class Transport(driver.Transport):
    """Faust's transport with that consumer."""

    Consumer = Consumer


class App(faust.App):
    """Faust's app with that transport."""

    def _new_transport(self) -> TransportT:
        return Transport(self.conf.broker_consumer, self)

    async def publish(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> object:
        """Send one record and wait for the broker's acknowledgement, through an outage if need be."""
        producer = await self.maybe_start_producer()
        sent: object = await producer.send_and_wait(topic, key, value, None, None, list(headers))
        MESSAGES_WRITTEN.labels(topic).inc()
        return sent

    async def commit_acknowledged(self) -> None:
        """Commit everything that is acknowledged now."""
        # A call that finds a commit under way only waits for it, so a second one may be needed.
        if not await self.consumer.commit():
            await self.consumer.commit()


def create_app(settings: Settings, data_dir: Path) -> App:
    """The app, without its agents.

    Args:
        settings: Which broker.
        data_dir: Folder of this worker alone; Faust keeps its files there.

    Raises:
        RiskflowError: The stream iterator that acknowledgements rely on is not there.
    """
    require_compiled_iterator()
    return App(
        WORKER_GROUP,
        broker_credentials=credentials(settings),
        broker=[URL(f"kafka://{server.strip()}") for server in settings.kafka_bootstrap_servers.split(",")],
        datadir=data_dir,
        store="memory://",
        key_serializer="raw",
        value_serializer="raw",
        broker_session_timeout=SESSION_SECONDS,
        broker_heartbeat_interval=HEARTBEAT_SECONDS,
        broker_rebalance_timeout=REBALANCE_SECONDS,
        consumer_auto_offset_reset="earliest",
        producer_acks=-1,
        # End offsets of the embedded broker count batches, so a batch must be one record.
        producer_max_batch_size=1,
        producer_max_request_size=MAX_REQUEST_BYTES,
        stream_wait_empty=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        autodiscover=False,
    )


def credentials(settings: Settings) -> CredentialsT | None:
    """How Faust's producer and consumer hide the connection and log in; None where they do neither."""
    context = broker_context(settings)
    if settings.kafka_sasl_password is not None:
        return faust.SASLCredentials(
            username=settings.kafka_sasl_username,
            password=settings.kafka_sasl_password.get_secret_value(),
            mechanism=settings.kafka_sasl_mechanism,
            ssl_context=context,
        )
    return None if context is None else faust.SSLCredentials(context)


def require_compiled_iterator() -> None:
    """Refuse to go on where Faust would run its Python iterator, which acknowledges skipped events.

    Raises:
        RiskflowError: It would.
    """
    if getattr(faust.streams, "_CStreamIterator", None) is None:
        raise RiskflowError(
            "Faust's compiled stream iterator is not there, and without it messages can be lost in a "
            "rebalance; unset NO_CYTHON and install faust-streaming as a wheel or with a C compiler"
        )


def attach(app: App, agent: Agent[Any]) -> None:
    """Let an agent work on its topic's stream of chunks; what it does not handle ends the process."""

    async def work(stream: StreamT[Any]) -> None:
        try:
            await agent.run(cast("Stream[bytes]", stream))
        except BaseExceptionGroup as faults:
            poisoned = faults.subgroup(TooManyDeadLetters)
            if poisoned is not None:
                end_poisoned(leaves(poisoned)[0])
            end_process(EXIT_CRASHED, faults)
        except Exception as fault:  # noqa: BLE001 - an exception that leaves an agent acknowledges its event
            end_process(EXIT_CRASHED, fault)

    topic = app.topic(agent.topic.name, key_type=bytes, value_type=bytes)
    app.agent(topic, name=agent.name)(work)


def end_poisoned(fault: BaseException) -> NoReturn:
    """End at once with the code that no supervisor answers; the last line is for whoever looks."""
    sentence = f"the worker ends: {fault}"
    log.critical(sentence, exit_code=EXIT_POISONED)
    logging.shutdown()
    os._exit(EXIT_POISONED)


def end_process(code: int, fault: BaseException | None) -> NoReturn:
    """End at once: a soft crash would let Faust commit what was not done."""
    reasons: dict[str, Any] = {} if fault is None else {"reasons": [str(one) for one in leaves(fault)]}
    log.critical("the worker ends", exit_code=code, exc_info=fault, **reasons)
    logging.shutdown()
    os._exit(code)


def leaves(fault: BaseException) -> list[BaseException]:
    """The exceptions that a group holds, or the one that is no group."""
    if isinstance(fault, BaseExceptionGroup):
        return [leaf for one in fault.exceptions for leaf in leaves(one)]
    return [fault]
