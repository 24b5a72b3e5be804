"""Apache Kafka as a process of ours: who is let in, what it keeps, and how a stack brings it back."""

from __future__ import annotations

import asyncio
import ssl
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import trustme
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError
from cryptography.hazmat.primitives import serialization
from waiting import until

from ops.stack.kafka import KafkaBroker
from ops.stack.protection import Protection
from ops.stack.stack import Hooks, Stack, StackState, running_stack
from ops.stack.supervisor import RestartPolicy

USERS = {"writer": "first-word", "reader": "second-word"}
SECONDS = 120


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Files with a certificate for 127.0.0.1, its key in PKCS #8, and their authority."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    form = serialization.PrivateFormat.PKCS8
    files = {
        "certificate.pem": b"".join(each.bytes() for each in issued.cert_chain_pems),
        "key.pem": key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()),
        "authority.pem": authority.cert_pem.bytes(),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    certificate, key_file, trusted = (folder / name for name in files)
    return certificate, key_file, trusted


def login(name: str, password: str, mechanism: str) -> dict[str, str]:
    return {
        "sasl_mechanism": mechanism,
        "sasl_plain_username": name,
        "sasl_plain_password": password,
    }


@pytest.mark.usefixtures("has_kafka")
async def test_only_users_are_let_in_and_the_log_outlives_kills_stops_and_another_listener(
    tmp_path: Path,
) -> None:
    certificate, key, trusted = certificates(tmp_path)
    home = tmp_path / "kafka"
    guarded = KafkaBroker(home, protection=Protection(USERS, certificate, key, trusted))
    context = ssl.create_default_context(cafile=str(trusted))
    context.load_cert_chain(certificate, key)
    options: dict[str, Any] = {"security_protocol": "SASL_SSL", "ssl_context": context}
    try:
        await guarded.start()
        await guarded.wait_ready()
        process, log_id, port = psutil.Process(guarded.pid), guarded.log_id, guarded.port
        options["bootstrap_servers"] = guarded.address
        await check_logins(options, trusted)
        await write_as(options | login("writer", USERS["writer"], "SCRAM-SHA-512"))
        guarded.kill()
        assert await guarded.wait_exit() == -9
        await guarded.start()
        await guarded.wait_ready()
        assert (guarded.log_id, guarded.port) == (log_id, port)
    finally:
        await guarded.stop()
    assert guarded.pid is None
    assert not process.is_running()
    secrets = ["server.properties", "keystore.pem"]
    assert {stat.S_IMODE((home / name).stat().st_mode) for name in secrets} == {0o600}
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    plain = KafkaBroker(home)
    try:
        await plain.start()
        await plain.wait_ready()
        assert plain.log_id == log_id
        assert await read_all(plain.address) == [(0, b"kept"), (1, b"kept too")]
    finally:
        await plain.stop()


async def check_logins(options: dict[str, Any], trusted: Path) -> None:
    """Each user by each mechanism; nobody with a wrong password or without a certificate."""
    for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"):
        for name, password in USERS.items():
            await topics_of(options | login(name, password, mechanism))
        with pytest.raises(KafkaConnectionError):
            await topics_of(options | login("reader", USERS["writer"], mechanism))
    unproven = {"ssl_context": ssl.create_default_context(cafile=str(trusted))}
    with pytest.raises(KafkaConnectionError):
        await topics_of(options | login("reader", USERS["reader"], "PLAIN") | unproven)


async def topics_of(options: dict[str, Any]) -> list[str]:
    admin = AIOKafkaAdminClient(**options)
    try:
        await admin.start()
        return await admin.list_topics()
    finally:
        await admin.close()


async def write_as(options: dict[str, Any]) -> None:
    admin = AIOKafkaAdminClient(**options)
    await admin.start()
    await admin.create_topics([NewTopic("kept", 1, 1)])
    await admin.close()
    async with AIOKafkaProducer(**options) as producer:
        for value in (b"kept", b"kept too"):
            await producer.send_and_wait("kept", value)


async def read_all(address: str) -> list[tuple[int, bytes]]:
    async with AIOKafkaConsumer("kept", bootstrap_servers=address, auto_offset_reset="earliest") as consumer:
        async with asyncio.timeout(SECONDS):
            records = [await consumer.getone(), await consumer.getone()]
    return [(record.offset, record.value) for record in records]


@pytest.mark.parametrize("user", [{"a,b": "word"}, {"name": "with space"}, {"name": ""}])
def test_a_user_that_kafka_could_not_be_told_of_is_refused(user: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"letters, digits and \._~-"):
        Protection(user)


def noting(notes: list[str]) -> Hooks:
    def hook(word: str) -> Callable[[str], Awaitable[object]]:
        async def note(_: str) -> None:
            notes.append(word)

        return note

    return Hooks(hook("migrate"), hook("topics"), hook("unsent"))


async def recorded_again(folder: Path, first: int | None) -> StackState:
    """The stack's record once it names another process of the broker than the first."""

    def recorded() -> StackState | None:
        state = running_stack(folder)
        return state if state and state.processes["broker"].pid != first else None

    found: StackState = await until(recorded, "a record of the broker's next process", SECONDS)
    return found


@pytest.mark.usefixtures("has_kafka")
async def test_a_stack_restarts_it_alone_and_sends_again_only_what_another_log_held(
    server_home: Path,
) -> None:
    folder, notes = server_home / "kafka-stack", []
    quick = RestartPolicy(first=0.1, cap=0.5)
    async with Stack([], noting(notes), data_dir=folder, broker="kafka", policy=quick) as stack:
        assert notes == ["migrate", "topics", "unsent"]
        first, address = stack.broker.pid, stack.broker.address
        await stack.kill("broker")
        state = await recorded_again(folder, first)
        assert state.processes["broker"].pid == stack.broker.pid
        assert state.environment()["KAFKA_BOOTSTRAP_SERVERS"] == address == stack.broker.address
    assert notes == ["migrate", "topics", "unsent", "topics"]
    assert (folder / "logs" / "broker.log").exists()
    async with Stack([], noting(notes), data_dir=folder, broker="kafka", policy=quick):
        assert notes[4:] == ["migrate", "topics"]
    async with Stack([], noting(notes), data_dir=folder, policy=quick):
        assert notes[6:] == ["migrate", "topics", "unsent"]
