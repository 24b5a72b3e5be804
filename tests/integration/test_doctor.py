"""`riskflow doctor` on a real database and a real broker, well and not."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from pydantic import SecretStr
from service_roles import SECRET, SERVICES, service_roles

from ops.demo.receivers import MailCatcher
from ops.doctor import broker as broker_checks
from ops.doctor import database as database_checks
from ops.doctor.broker import look_at_broker, look_at_letters
from ops.doctor.database import look_at_database
from ops.doctor.finding import Finding, State
from ops.doctor.mail import look_at_mail
from ops.stack.endpoint import free_port
from schemas.database import connect
from schemas.settings import Settings
from schemas.topics import DEAD_LETTER_SUFFIX, REPORTS, TRIGGERS


def by_check(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings}


@pytest.fixture
async def silent_server():
    """Address of a server that takes connections and never says anything."""
    taken: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _reader, writer: taken.append(writer), "127.0.0.1")
    host, port = server.sockets[0].getsockname()
    yield f"{host}:{port}"
    server.close()
    for writer in taken:
        writer.close()
        await writer.wait_closed()


def at(dsn: str, **changes: object) -> Settings:
    return Settings(_env_file=None, database_url=SecretStr(dsn), start_timeout=5, **changes)


async def test_a_migrated_database_is_well_but_nobody_works_on_it(database_url):
    found = by_check(await look_at_database(at(database_url)))
    well = {check for check, finding in found.items() if finding.state is State.OK}
    assert well == {"database", "encoding", "clock", "migrations", "role", "disk database"}
    assert found["services"].says == "none is connected"
    assert found["scheduler"].says.startswith("No scheduler has run on this database yet")


async def test_an_unmigrated_database_says_riskflow_migrate(empty_database_url):
    found = by_check(await look_at_database(at(empty_database_url)))
    assert found["migrations"].state is State.WRONG
    assert found["migrations"].remedy.startswith("riskflow migrate")
    assert found["scheduler"].state is State.NOT_CHECKED


async def test_a_database_of_a_later_version_and_a_changed_migration_are_wrong(database_url):
    owner = await asyncpg.connect(database_url)
    await owner.execute("INSERT INTO riskflow.migrations (number, name, digest) VALUES (9999, 'later', 'x')")
    found = by_check(await look_at_database(at(database_url)))
    assert "newer than this riskflow: it has 9999" in found["migrations"].says
    await owner.execute("UPDATE riskflow.migrations SET digest = 'x' WHERE number = 1")
    found = by_check(await look_at_database(at(database_url)))
    assert "applied with another text: 0001_climate_inputs" in found["migrations"].says
    await owner.close()


async def test_the_role_of_a_service_is_known_by_its_rights(database_url):
    async with service_roles(database_url) as roles:
        for service in SERVICES:
            found = by_check(await look_at_database(at(roles.dsn(service))))
            assert found["role"].state is State.OK
            assert found["role"].says.endswith(f"has the rights of: {service}")
            assert found["migrations"].state is (State.OK if service == "web" else State.NOT_CHECKED)


async def test_a_role_without_rights_is_wrong(database_url):
    owner = await asyncpg.connect(database_url)
    await owner.execute("CREATE ROLE doctors_stranger LOGIN PASSWORD 'stranger'")
    url = database_url.replace(database_url.split("//")[1].split("@")[0], "doctors_stranger:stranger")
    found = by_check(await look_at_database(at(url)))
    await owner.execute("DROP ROLE doctors_stranger")
    await owner.close()
    assert found["role"].state is State.WRONG
    assert "grant_service('doctors_stranger'" in found["role"].remedy


async def test_services_and_a_scheduler_that_look_are_seen(database_url):
    owner = await asyncpg.connect(database_url)
    await owner.execute(
        "INSERT INTO riskflow.schedules (name, job_type, enabled, expression, timezone, checked_until) "
        "VALUES ('weekly', 'weekly', true, '0 6 * * 1', 'UTC', now())"
    )
    names = ("scheduler", "worker a-machine:17", "sink")
    others = [await connect(database_url, application=name) for name in names]
    found = by_check(await look_at_database(at(database_url)))
    assert found["services"].says == "connected: producers, worker, sink; not connected: reporter"
    assert found["scheduler"].state is State.OK
    await owner.execute("UPDATE riskflow.schedules SET checked_until = now() - interval '1 day'")
    found = by_check(await look_at_database(at(database_url)))
    assert found["scheduler"].state is State.WARNING
    for connection in (owner, *others):
        await connection.close()


async def test_topics_that_are_there_are_well(settings):
    found = by_check(await look_at_broker(settings))
    assert {finding.state for finding in found.values()} == {State.OK}
    assert set(found) == {"broker", "topics", "replication"}


async def test_a_missing_topic_is_wrong_and_named(settings):
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    await admin.delete_topics([REPORTS.name])
    await admin.close()
    found = by_check(await look_at_broker(settings))
    assert (found["topics"].says, found["topics"].remedy) == (f"missing: {REPORTS.name}", "riskflow topics")


async def test_dead_letters_wait_until_somebody_deals_with_them(settings):
    (finding,) = await look_at_letters(settings)
    assert finding.says == "none wait"
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers)
    await producer.start()
    await producer.send_and_wait(TRIGGERS.name + DEAD_LETTER_SUFFIX, b"{}")
    await producer.stop()
    (finding,) = await look_at_letters(settings)
    assert (finding.state, finding.says) == (State.WARNING, f"1 wait: 1 of {TRIGGERS.name}")


async def test_a_server_that_says_nothing_does_not_hold_the_doctor(silent_server, monkeypatch):
    monkeypatch.setattr(database_checks, "LIMIT", 0.3)
    monkeypatch.setattr(broker_checks, "LIMIT", 0.3)
    settings = at(f"postgresql://me@{silent_server}/db", kafka_bootstrap_servers=silent_server)
    database, broker = await look_at_database(settings), await look_at_broker(settings)
    assert database[0].state is broker[0].state is State.WRONG
    assert "did not answer within" in broker[0].says
    assert "did not answer within" in database[0].says


async def test_the_mail_server_is_logged_in_to_and_gets_no_mail():
    server = MailCatcher("none", login=("me", SECRET))
    await server.start()
    mail = Settings(
        _env_file=None,
        smtp_host="127.0.0.1",
        smtp_port=server.port,
        smtp_from="me@example.org",
        smtp_security="none",
        smtp_user="me",
        smtp_password=SecretStr(SECRET),
    )

    async def asked(**changes: object) -> Finding:
        (finding,) = await look_at_mail(mail.model_copy(update=changes), asked=True)
        return finding

    assert (await asked()).state is State.OK
    refused = await asked(smtp_password=SecretStr("another-secret"))
    hidden = await asked(smtp_security="starttls")
    await server.stop()
    assert server.received == []
    assert refused.state is hidden.state is State.WRONG
    assert "another-secret" not in refused.says
    assert "STARTTLS" in hidden.says
    assert (await asked(smtp_port=free_port())).state is State.WRONG
