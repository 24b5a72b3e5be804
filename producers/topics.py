"""Creates the topics of the table, and checks those that exist."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from schemas.broker import client_options, why_refused
from schemas.errors import RiskflowError, Unavailable
from schemas.settings import Settings
from schemas.topics import ALL_TOPICS, Topic

SEEN_SECONDS = 15.0
"""How long the broker may take to show a topic that it has created (expert assumption)."""

SEEN_POLL_SECONDS = 0.05

log = structlog.get_logger(__name__)


async def create_topics(settings: Settings) -> list[str]:
    """Create what is missing of ALL_TOPICS; safe twice and beside another that does the same.

    Args:
        settings: Name the broker, and the copies of each new topic.

    Returns:
        Names of the topics created now.

    Raises:
        Unavailable: The broker does not answer, or refuses us.
        RiskflowError: A topic could not be created, or an existing one would lose messages.
    """
    async with _administrator(settings) as admin:
        existing = set(await admin.list_topics())
        missing = [topic for topic in ALL_TOPICS if topic.name not in existing]
        created = await _create(admin, missing, settings.topic_replication) if missing else []
        await _check(admin, [topic for topic in ALL_TOPICS if topic.name in existing])
    return created


@dataclass(frozen=True, slots=True)
class Standing:
    """How the topics of the table are on a broker.

    `faults` are topics that would lose or hold up messages, `remarks` what only differs; `copies` is the
    least number of copies of a partition, 0 where no topic is there; `behind` counts partitions with a
    copy that is not up to date.
    """

    missing: tuple[str, ...]
    faults: tuple[str, ...]
    remarks: tuple[str, ...]
    copies: int
    behind: int


async def standing(settings: Settings) -> Standing:
    """Look at the topics and change nothing.

    Raises:
        Unavailable: The broker does not answer, or refuses us.
    """
    async with _administrator(settings) as admin:
        names = set(await admin.list_topics())
        existing = [topic for topic in ALL_TOPICS if topic.name in names]
        described = await admin.describe_topics([topic.name for topic in existing]) if existing else []
        faults, remarks = await _judged(admin, existing)
    each = [partition for topic in described for partition in topic["partitions"]]
    return Standing(
        missing=tuple(topic.name for topic in ALL_TOPICS if topic.name not in names),
        faults=tuple(faults),
        remarks=tuple(remarks),
        copies=min((len(partition["replicas"]) for partition in each), default=0),
        behind=sum(len(partition["isr"]) < len(partition["replicas"]) for partition in each),
    )


@asynccontextmanager
async def _administrator(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**client_options(settings, "topics"))
    try:
        await admin.start()
        yield admin
    except (KafkaError, OSError) as error:
        said = await why_refused(settings)
        raise Unavailable(
            said or f"broker {settings.kafka_bootstrap_servers} does not answer: {error!r}"
        ) from error
    finally:
        await admin.close()


async def _create(admin: AIOKafkaAdminClient, topics: Sequence[Topic], replication: int) -> list[str]:
    wanted = [
        NewTopic(topic.name, topic.partitions, replication, topic_configs=topic.config) for topic in topics
    ]
    answer = await admin.create_topics(wanted)
    faults, created = [], []
    for name, code, *message in answer.topic_errors:
        if code == 0:
            created.append(name)
        elif code != TopicAlreadyExistsError.errno:
            faults.append(f"{name}: {for_code(code).__name__} {message[0] if message and message[0] else ''}")
    if faults:
        raise RiskflowError("the broker could not create topics: " + "; ".join(faults))
    await _until_seen(admin, {topic.name for topic in topics})
    return created


async def _until_seen(admin: AIOKafkaAdminClient, names: set[str]) -> None:
    """Return when each partition of the topics has a leader; what is written before that is refused."""
    deadline = asyncio.get_running_loop().time() + SEEN_SECONDS
    while unseen := names - await _led(admin, names):
        if asyncio.get_running_loop().time() > deadline:
            raise RiskflowError(
                f"the broker created topics but does not show them: {', '.join(sorted(unseen))}"
            )
        await asyncio.sleep(SEEN_POLL_SECONDS)


async def _led(admin: AIOKafkaAdminClient, names: set[str]) -> set[str]:
    described = await admin.describe_topics(sorted(names))
    return {
        topic["topic"]
        for topic in described
        if topic["partitions"] and all(each["leader"] >= 0 for each in topic["partitions"])
    }


async def _check(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> None:
    faults, remarks = await _judged(admin, topics)
    for remark in remarks:
        log.warning(remark)
    if faults:
        raise RiskflowError("topics exist that would lose or hold up messages:\n  " + "\n  ".join(faults))


async def _judged(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> tuple[list[str], list[str]]:
    """Faults and remarks, as `Standing` has them."""
    if not topics:
        return [], []
    described = await admin.describe_topics([topic.name for topic in topics])
    partitions = {topic["topic"]: len(topic["partitions"]) for topic in described}
    configs = await _configs(admin, topics)
    faults = [fault for topic in topics for fault in _faults(topic, partitions, configs)]
    return faults, [remark for topic in topics for remark in _remarks(topic, configs)]


async def _configs(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in topics]
    found: dict[str, dict[str, str]] = {}
    for answer in await admin.describe_configs(resources):
        for resource in answer.resources:
            code, _, _, name, entries, *_ = resource
            if code == 0:
                found[name] = {entry[0]: entry[1] for entry in entries}
    return found


def _faults(
    topic: Topic, partitions: Mapping[str, int], configs: Mapping[str, Mapping[str, str]]
) -> list[str]:
    faults = []
    if partitions[topic.name] < topic.partitions:
        faults.append(
            f"{topic.name} has {partitions[topic.name]} partitions; it needs {topic.partitions} "
            "(kafka-topics --alter --partitions)"
        )
    config = configs.get(topic.name, {})
    limit = config.get("max.message.bytes")
    if limit is not None and int(limit) < topic.max_message_bytes:
        faults.append(f"{topic.name} takes {limit} bytes a message; it needs {topic.max_message_bytes}")
    if "compact" in (config.get("cleanup.policy") or ""):
        faults.append(f"{topic.name} is compacted; it needs cleanup.policy=delete")
    return faults


def _remarks(topic: Topic, configs: Mapping[str, Mapping[str, str]]) -> list[str]:
    kept, meant = configs.get(topic.name, {}).get("retention.ms"), topic.config["retention.ms"]
    if kept is None or kept == meant:
        return []
    return [f"{topic.name} keeps messages for retention.ms={kept} instead of {meant}"]
