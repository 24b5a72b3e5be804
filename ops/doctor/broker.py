"""The broker and its topics, and the dead letters that wait there."""

from __future__ import annotations

import asyncio
from collections import Counter

from aiokafka.conn import collect_hosts
from aiokafka.errors import KafkaError

from ops.context import database
from ops.doctor.bounded import LIMIT, one_line, unknown_host
from ops.doctor.finding import Finding, not_checked, ok, unreachable, warning, wrong
from ops.letters import marks, read_all, source_topics
from ops.stack.registry import BROKER
from producers.topics import Standing, standing
from schemas.errors import RiskflowError
from schemas.settings import Settings
from schemas.topics import ALL_TOPICS

START = (
    "start it, or set KAFKA_BOOTSTRAP_SERVERS to where it is (docs/operations.md); riskflow up brings its own"
)
CHECKS = ("topics", "replication")


async def look_at_broker(settings: Settings) -> list[Finding]:
    """All that is to be known of the broker of the settings."""
    hosts = [host for host, _, _ in collect_hosts(settings.kafka_bootstrap_servers)]
    faults = [fault for fault in await asyncio.gather(*map(unknown_host, hosts)) if fault]
    place = f"broker {settings.kafka_bootstrap_servers}"
    if len(faults) == len(hosts):
        return _nothing_of_it(settings, f"{place}: {'; '.join(faults)}")
    try:
        async with asyncio.timeout(LIMIT):
            found = await standing(settings)
    except TimeoutError:
        return _nothing_of_it(settings, f"{place} did not answer within {LIMIT:g} s")
    except RiskflowError as error:
        return _nothing_of_it(settings, one_line(error))
    answers = ok("broker", f"{settings.kafka_bootstrap_servers} answers")
    return [answers, *judged_topics(found), *judged_replication(found, settings.topic_replication)]


async def look_at_letters(settings: Settings) -> list[Finding]:
    """Dead letters that nobody has replayed or dropped."""
    topics = source_topics(None)
    try:
        letters = await read_all(settings, topics)
        async with database(settings, "doctor") as connection:
            done = await marks(connection, topics)
    except (RiskflowError, KafkaError) as error:
        return [not_checked("dead letters", one_line(error))]
    waiting = Counter(letter.topic for letter in letters if letter.place not in done)
    return [judged_letters(waiting)]


def judged_topics(found: Standing) -> list[Finding]:
    """Topics that are missing, would lose messages, or differ."""
    if found.missing:
        return [wrong("topics", f"missing: {', '.join(found.missing)}", "riskflow topics")]
    if found.faults:
        return [
            wrong(
                "topics", "; ".join(found.faults), "mend them with your broker's tools, then: riskflow topics"
            )
        ]
    if found.remarks:
        return [
            warning(
                "topics", "; ".join(found.remarks), "set retention.ms with your broker's tools, if not meant"
            )
        ]
    return [ok("topics", f"all {len(ALL_TOPICS)} are there, with their partitions and message sizes")]


def judged_replication(found: Standing, wanted: int) -> list[Finding]:
    """Copies of the partitions against TOPIC_REPLICATION."""
    if not found.copies:
        return [not_checked("replication", "no topic is there")]
    said = f"at least {found.copies} of each partition, TOPIC_REPLICATION is {wanted}"
    if found.behind:
        remedy = "look at the brokers of the cluster: one is down, or too slow"
        return [
            warning("replication", f"{said}; {found.behind} partitions have a copy that is behind", remedy)
        ]
    if found.copies < wanted:
        remedy = "raise it by kafka-reassign-partitions; the setting counts for new topics only"
        return [warning("replication", said, remedy)]
    return [ok("replication", said)]


def judged_letters(waiting: Counter[str]) -> Finding:
    """Number of dead letters per topic."""
    if not waiting:
        return ok("dead letters", "none wait")
    said = ", ".join(f"{count} of {topic}" for topic, count in sorted(waiting.items()))
    return warning("dead letters", f"{waiting.total()} wait: {said}", "riskflow dlq list")


def _nothing_of_it(settings: Settings, said: str) -> list[Finding]:
    tried = None if settings.model_fields_set & BROKER else settings.kafka_bootstrap_servers
    return unreachable("broker", said, START, named=tried, others=CHECKS)
