"""The whole with a role per service, and with every connection by TLS and login."""

from __future__ import annotations

import re
from urllib.parse import quote

import asyncpg
import pytest
from schools import REPORT_DATE, TENANTS, write_files
from secured import PASSWORD, USER, Certificates, TlsFront, guarded_kafka, guarded_settings
from service_roles import SECRET, service_roles
from whole import Whole, draw_grid, running

from ops.explain import explain
from ops.jobs import latest
from ops.load.loader import load
from ops.load.options import LoadOptions
from ops.services import services
from ops.stack.protection import Protection
from ops.stack.supervisor import Supervisor
from producers.topics import create_topics
from schemas.codec import Record
from schemas.topics import GRID_CHUNKS, TRIGGERS
from streams.models.inputs import Years

CELLS = 24
RISKS = 9


@pytest.fixture
async def roles(database_url):
    async with service_roles(database_url) as roles:
        yield roles


@pytest.fixture
async def apart(database_url, roles, tmp_path):
    """The whole on an embedded broker, every service under a role of its own; grid and schools loaded."""
    files = write_files(tmp_path)
    tenants = tmp_path / "tenants.yaml"
    tenants.write_text(re.sub(r"(?m)^ +(email|slack_webhook_env):.*\n", "", TENANTS), encoding="utf-8")
    async with running(database_url, tmp_path, batch_size=8, tenants_file=tenants) as whole:
        whole.services = Supervisor(
            roles.applied(services(whole.settings)),
            whole.logs,
            env={"KAFKA_BOOTSTRAP_SERVERS": whole.broker.address},
        )
        await draw_grid(whole.connection, CELLS)
        for table, path in files.items():
            await load(table, [path], whole.connection, LoadOptions(baseline=Years(1991, 2020)))
        try:
            yield whole
        finally:
            await whole.services.stop()


async def test_a_role_per_service_with_its_own_rights_does_all_the_work(apart: Whole, roles):
    await apart.services.start()
    # Months that are stale when the job is accepted, so that the sink's role packs them.
    await apart.connection.execute("UPDATE climate_data SET ta = ta + 0.01 WHERE year = 2001")
    async with roles.login("requester") as requester:
        job_id = await requester.fetchval("SELECT riskflow.request('climate')")
    await apart.trigger("weekly", "week", report_date=REPORT_DATE)
    await apart.trigger("hazard", "nowhere", scenario="nosuch")
    await apart.publish(Record(topic=TRIGGERS.name, key=b"k", value=b"{", headers=[]))
    await apart.publish(Record(topic=GRID_CHUNKS.name, key=b"k", value=b"{", headers=[]))

    climate, week = await apart.ended(job_id), await apart.ended("week")
    assert (climate.status, climate.processed_grids, climate.failed_grids) == ("completed", CELLS, 0)
    assert (week.status, week.processed_grids, week.failed_grids) == ("completed", 3, 0)
    rows = await apart.rows()
    assert {table: len(found) for table, found in rows.items()} == {
        "probability_results": CELLS * RISKS,
        "hazard_results": CELLS * RISKS,
    }
    assert (await apart.ended("nowhere")).status == "failed"
    # The bridge listens by now.
    async with roles.login("requester") as requester:
        await requester.execute("NOTIFY aiops_trigger, 'nonsense'")
    await apart.until(
        "SELECT count(*) = 1 FROM batch_job_logs WHERE status = 'failed' AND job_type = 'nonsense'"
    )
    await apart.until(
        "SELECT count(*) = 3 FROM outbox WHERE topic = 'risk.triggers.v1.dlq' AND published_at IS NOT NULL"
    )
    assert await apart.connection.fetchval("SELECT count(*) FROM climate_stale") == 0
    assert await apart.connection.fetchval("SELECT count(*) FROM report_deliveries WHERE state = 'kept'") == 2
    await apart.services.stop()
    assert {name: each.exit_code for name, each in apart.services.instances.items()} == dict.fromkeys(
        ("sink", "producers", "reporter", "worker"), 0
    )
    logs = "".join(path.read_text() for path in apart.logs.glob("*.log"))
    assert "permission denied" not in logs
    assert SECRET not in logs
    await what_a_reader_sees(apart, roles, job_id)


async def what_a_reader_sees(apart: Whole, roles, job_id: str) -> None:
    cell = await apart.connection.fetchrow(
        "SELECT latitude::float8, longitude::float8 FROM grid_cells LIMIT 1"
    )
    async with roles.login("reader") as reader:
        assert await reader.fetchval("SELECT count(*) FROM current_hazard_results") == CELLS * RISKS
        ids = {job.job_id for job in await latest(reader, 20)}
        assert job_id in ids
        assert "week" not in ids, "a weekly job's row names tenants"
        found = await explain(
            reader,
            apart.settings,
            latitude=cell["latitude"],
            longitude=cell["longitude"],
            risk="drought",
        )
        assert found["risk_type"] == "drought"
        assert await reader.fetch("SELECT * FROM tenant_risk_summary") == []
        assert await reader.fetch("SELECT * FROM student_risk_metrics") == []
        await apart.connection.execute("SELECT riskflow.grant_tenant($1, 'hudson-ms')", roles.name("reader"))
        seen = await reader.fetch("SELECT org_id FROM tenant_risk_summary")
        assert [row["org_id"] for row in seen] == ["hudson-ms"]


@pytest.mark.usefixtures("has_kafka")
async def test_everything_by_tls_and_login_ends_in_the_same_rows(postgres, database_url, roles, tmp_path):
    certificates = Certificates(tmp_path)
    protection = Protection(
        users={USER: PASSWORD}, certificate=certificates.server, key=certificates.server_key
    )
    async with (
        guarded_kafka(tmp_path / "kafka", protection) as broker,
        TlsFront(postgres.port, certificates.context()) as front,
    ):
        login = {"kafka_security_protocol": "SASL_SSL", "kafka_ssl_cafile": certificates.authority}
        settings = guarded_settings(
            broker,
            **login,
            database_url=database_url,
            batch_size=8,
            parallel_workers=1,
            reports_dir=tmp_path / "reports",
        )
        await create_topics(settings)
        told = {
            "KAFKA_BOOTSTRAP_SERVERS": broker.address,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_USERNAME": USER,
            "KAFKA_SASL_PASSWORD": PASSWORD,
            "KAFKA_SSL_CAFILE": str(certificates.authority),
        }
        query = f"sslmode=verify-full&sslrootcert={quote(str(certificates.authority))}"
        connection = await asyncpg.connect(database_url)
        own = Supervisor(roles.applied(services(settings), front.port, query), tmp_path / "logs", env=told)
        whole = Whole(settings, broker, own, connection, tmp_path / "logs")
        try:
            await draw_grid(connection, CELLS)
            await own.start()
            await whole.trigger("climate", "hidden")
            job = await whole.ended("hidden")
            counts = (job.status, job.processed_grids, job.failed_grids)
            rows = await whole.rows()
        finally:
            await own.stop()
            await connection.close()
    assert counts == ("completed", CELLS, 0)
    assert {len(found) for found in rows.values()} == {CELLS * RISKS}
    assert front.passed > 4, "one connection at least of each service"
    logs = "".join(path.read_text() for path in whole.logs.glob("*.log"))
    assert not [secret for secret in (PASSWORD, SECRET) if secret in logs]
