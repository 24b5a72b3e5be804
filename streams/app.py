"""The Faust app of the agents, set as DESIGN section 3 says."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, NoReturn, cast

import aiokafka
import faust
import faust.streams
import structlog
from faust.streams import Stream
from faust.transport.drivers import aiokafka as driver
from faust.types import StreamT
from faust.types.transports import TransportT
from yarl import URL

from schemas.broker import MAX_REQUEST_BYTES
from schemas.codec import Headers
from schemas.errors import RiskflowError
from schemas.settings import Settings
from schemas.topics import WORKER_GROUP
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
        return await producer.send_and_wait(topic, key, value, None, None, list(headers))

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
            end_process(EXIT_CRASHED if poisoned is None else EXIT_POISONED, faults)
        except Exception as fault:  # noqa: BLE001 - an exception that leaves an agent acknowledges its event
            end_process(EXIT_CRASHED, fault)

    topic = app.topic(agent.topic.name, key_type=bytes, value_type=bytes)
    app.agent(topic, name=agent.name)(work)


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
