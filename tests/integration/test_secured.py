"""Logins and TLS on a real broker, TLS to the database; and what is said to those who are not let in."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote

import pytest
from secured import PASSWORD, USER, Certificates, TlsFront, guarded_kafka, guarded_settings

from ops.context import database
from ops.progress import JobBars
from ops.stack.kafka import KafkaBroker
from ops.stack.protection import Protection
from ops.stack.servers import EmbeddedPostgres
from ops.terminal import console
from producers.offsets import OffsetReader
from producers.publisher import Publisher
from producers.topics import create_topics
from schemas.codec import encode
from schemas.errors import Unavailable
from schemas.messages import Trigger
from schemas.settings import Settings
from schemas.start import open_database
from schemas.topics import ALL_TOPICS, TRIGGERS
from streams.broker import wait_for_topics

SCRAM = {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "SCRAM-SHA-512"}
NO_LOGIN = {"kafka_sasl_username": None, "kafka_sasl_password": None}
WRONG = "guessed-wrong-0815"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
async def hidden(
    has_kafka: None,  # noqa: ARG001 - skips
    certificates: Certificates,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[KafkaBroker]:
    """SASL_SSL, for those alone who show a certificate of the authority."""
    protection = Protection(
        users={USER: PASSWORD},
        certificate=certificates.server,
        key=certificates.server_key,
        authorities=certificates.authority,
    )
    async with guarded_kafka(tmp_path_factory.mktemp("hidden"), protection) as broker:
        yield broker


@pytest.fixture(scope="module")
async def open_login(
    has_kafka: None,  # noqa: ARG001 - skips
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[KafkaBroker]:
    """SASL_PLAINTEXT."""
    async with guarded_kafka(tmp_path_factory.mktemp("open"), Protection(users={USER: PASSWORD})) as broker:
        yield broker


def hidden_settings(broker: KafkaBroker, certificates: Certificates, **changes: Any) -> Settings:
    files = {
        "kafka_ssl_cafile": certificates.authority,
        "kafka_ssl_certfile": certificates.client,
        "kafka_ssl_keyfile": certificates.client_key,
    }
    return guarded_settings(broker, **(SCRAM | files | changes))


async def round_trip(settings: Settings) -> None:
    """Every client of the producers and of the command line, one after the other."""
    assert set(await create_topics(settings)) == {topic.name for topic in ALL_TOPICS}
    assert await create_topics(settings) == []
    await wait_for_topics(settings)
    record = encode(TRIGGERS, Trigger(job_type="hazard", job_id="through"), source="test")
    offsets = OffsetReader(settings, "test")
    async with Publisher(settings) as publisher, JobBars(console(), settings, "through"):
        placed = await publisher.send(record)
        await offsets.start()
        ends = await offsets.ends(await offsets.partitions([TRIGGERS.name]))
        await offsets.stop()
    assert sum(ends.values()) == 1
    assert {place.partition: end for place, end in ends.items()}[placed.partition] == 1


async def test_clients_go_through_tls_and_scram(hidden: KafkaBroker, certificates: Certificates) -> None:
    await round_trip(hidden_settings(hidden, certificates))


async def test_clients_go_through_a_login_in_the_clear(open_login: KafkaBroker) -> None:
    await round_trip(guarded_settings(open_login, kafka_sasl_mechanism="PLAIN"))


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_a_wrong_password_is_told_at_once_and_not_repeated(
    open_login: KafkaBroker, mechanism: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = guarded_settings(open_login, kafka_sasl_mechanism=mechanism, kafka_sasl_password=WRONG)
    begun = monotonic()
    with pytest.raises(Unavailable) as caught:
        await Publisher(settings).start()
    assert str(caught.value) == (
        f"broker {open_login.address} refuses the login of '{USER}' by {mechanism}; "
        "look at KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"
    )
    assert monotonic() - begun < settings.start_timeout / 2
    with pytest.raises(Unavailable, match="refuses the login"):
        await create_topics(settings)
    with pytest.raises(Unavailable, match="refuses the login"):
        async with JobBars(console(), settings, "job"):
            pass
    assert WRONG not in caplog.text


async def test_a_broker_that_cannot_be_trusted_is_told_at_once(
    hidden: KafkaBroker, certificates: Certificates
) -> None:
    strange = hidden_settings(hidden, certificates, kafka_ssl_cafile=certificates.stranger)
    with pytest.raises(Unavailable, match=r"shows a certificate that is not trusted: .*; look at KAFKA_SSL"):
        await Publisher(strange).start()
    # The same broker under a name that its certificate does not have.
    named = hidden_settings(hidden, certificates).model_copy(
        update={"kafka_bootstrap_servers": f"localhost:{hidden.port}"}
    )
    with pytest.raises(Unavailable, match=r"Hostname mismatch.*localhost"):
        await Publisher(named).start()


@pytest.mark.parametrize(
    "protocol",
    [
        SCRAM,
        {"kafka_security_protocol": "PLAINTEXT"} | NO_LOGIN,
        {"kafka_security_protocol": "SSL"} | NO_LOGIN,
    ],
)
async def test_a_broker_that_hangs_up_is_told_with_the_setting_to_look_at(
    open_login: KafkaBroker, protocol: dict[str, Any]
) -> None:
    settings = guarded_settings(open_login, **protocol, start_timeout=2)
    said = (
        f"it listens but hangs up; .* KAFKA_SECURITY_PROTOCOL, which is {settings.kafka_security_protocol}; "
    )
    with pytest.raises(Unavailable, match=said):
        await Publisher(settings).start()


@pytest.mark.parametrize("service", ["sink", "worker"])
def test_a_service_that_is_refused_ends_with_a_sentence_and_a_code(
    open_login: KafkaBroker, database_url: str, service: str, tmp_path: Path
) -> None:
    environment = {
        "DATABASE_URL": database_url,
        "KAFKA_BOOTSTRAP_SERVERS": open_login.address,
        "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "KAFKA_SASL_USERNAME": USER,
        "KAFKA_SASL_PASSWORD": WRONG,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    argv = (sys.executable, "-m", "ops.cli", service)
    ended = subprocess.run(
        argv, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    said = ended.stdout + ended.stderr
    assert ended.returncode == 1, said
    last = " ".join(ended.stderr.splitlines()[-1:])
    assert last.startswith(f"riskflow: broker {open_login.address} refuses the login of '{USER}'"), said
    assert "Traceback" not in said
    assert WRONG not in said


@pytest.fixture
async def front(postgres: EmbeddedPostgres, certificates: Certificates) -> AsyncIterator[TlsFront]:
    async with TlsFront(postgres.port, certificates.context()) as front:
        yield front


def by_tls(database_url: str, front: TlsFront, authority: Path, host: str = "127.0.0.1") -> str:
    behind = database_url.rpartition("@")
    name = behind[2].partition("/")[2]
    return f"{behind[0]}@{host}:{front.port}/{name}?sslmode=verify-full&sslrootcert={quote(str(authority))}"


def secured(url: str) -> Settings:
    return Settings(_env_file=None, database_url=url, start_timeout=20)


async def test_the_database_is_spoken_to_by_tls(
    database_url: str, front: TlsFront, certificates: Certificates
) -> None:
    connection = await open_database(secured(by_tls(database_url, front, certificates.authority)), "test")
    assert await connection.fetchval("SELECT 7") == 7
    await connection.close()
    assert (front.passed, front.refused) == (1, 0)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (("stranger", "127.0.0.1"), "unable to get local issuer certificate"),
        (("authority", "localhost"), "Hostname mismatch"),
    ],
)
async def test_a_database_that_cannot_be_trusted_is_told_at_once(
    database_url: str, front: TlsFront, certificates: Certificates, place: tuple[str, str], said: str
) -> None:
    authority, host = place
    settings = secured(by_tls(database_url, front, getattr(certificates, authority), host))
    begun = monotonic()
    with pytest.raises(Unavailable) as caught:
        await open_database(settings, "test")
    assert str(caught.value).startswith(
        f"database {settings.database_label} shows a certificate that is not trusted: {said}"
    )
    with pytest.raises(Unavailable, match=said):
        async with database(settings, "test"):
            pass
    assert monotonic() - begun < settings.start_timeout / 2


async def test_a_connection_string_that_cannot_be_followed_is_told_at_once(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = secured(f"{database_url}?sslmode=verify-full")
    with pytest.raises(Unavailable, match="cannot be spoken to as the settings say: root certificate file"):
        await open_database(settings, "test")
