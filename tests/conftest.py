"""A real broker and a real PostgreSQL for the tests that ask for them; unit tests start neither."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from ops.setup import prepare_database
from ops.stack.data_dir import locked_data_dir
from ops.stack.jars import kafka_jars, why_missing
from ops.stack.kafka import KafkaBroker
from ops.stack.servers import EmbeddedBroker, EmbeddedPostgres
from producers.topics import create_topics
from schemas.errors import Unavailable
from schemas.settings import Settings

SHARED_VARIABLE = "RISKFLOW_SHARED"
SHARED_BESIDE = Path(__file__).parents[2] / "shared"
TEMPLATE = "template_migrated"
DATABASE_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def server_home() -> Iterator[Path]:
    """A folder that PostgreSQL's user may enter when root runs the tests; pytest's own are closed to it."""
    with locked_data_dir(None) as folder:
        yield folder


@pytest.fixture(scope="session")
async def broker(server_home: Path) -> AsyncIterator[EmbeddedBroker]:
    """An embedded broker for the whole session; its topics are shared, so tests choose names of their own."""
    server = EmbeddedBroker(server_home / "broker.log")
    try:
        await server.start()
        await server.wait_ready()
        yield server
    finally:
        await server.stop()


@pytest.fixture(scope="session")
async def has_kafka() -> None:
    """Skips what asks for Apache Kafka where it cannot be had, and says why."""
    if (fault := why_missing()) is not None:
        pytest.skip(f"no Apache Kafka: {fault}")
    try:
        await kafka_jars()
    except Unavailable as error:
        pytest.skip(f"no Apache Kafka: {error}")


@pytest.fixture(scope="session")
async def kafka(
    server_home: Path,
    has_kafka: None,  # noqa: ARG001 - skips
) -> AsyncIterator[KafkaBroker]:
    """An Apache Kafka with riskflow's topics for the whole session, shared as `broker` is."""
    server = KafkaBroker(server_home / "kafka")
    try:
        await server.start()
        await server.wait_ready()
        await create_topics(Settings(_env_file=None, kafka_bootstrap_servers=server.address))
        yield server
    finally:
        await server.stop()


@pytest.fixture(scope="session")
async def postgres(server_home: Path) -> AsyncIterator[EmbeddedPostgres]:
    """An embedded PostgreSQL for the whole session, without fsync."""
    server = EmbeddedPostgres(server_home / "postgresql", durable=False)
    try:
        await server.start()
        await server.wait_ready()
        yield server
    finally:
        await server.stop()


@pytest.fixture(scope="session")
async def migrated_template(postgres: EmbeddedPostgres) -> str:
    """Name of a database with all migrations and risks, which the databases of the tests are copied from."""
    await administer(postgres, f"CREATE DATABASE {TEMPLATE}")
    await prepare_database(postgres.database_url(TEMPLATE))
    return TEMPLATE


@pytest.fixture
async def empty_database_url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """DSN of a fresh database without a single table."""
    name = f"test_{next(DATABASE_NUMBERS)}"
    await administer(postgres, f"CREATE DATABASE {name}")
    yield postgres.database_url(name)
    await administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database_url(postgres: EmbeddedPostgres, migrated_template: str) -> AsyncIterator[str]:
    """DSN of a fresh, migrated database that only this test sees."""
    name = f"test_{next(DATABASE_NUMBERS)}"
    await administer(postgres, f"CREATE DATABASE {name} TEMPLATE {migrated_template}")
    yield postgres.database_url(name)
    await administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real weather and reference values, which a user's clone does not have."""
    folder = Path(os.environ.get(SHARED_VARIABLE, SHARED_BESIDE)) / "data"
    if not folder.is_dir():
        pytest.skip(
            f"no real records: no folder 'shared' stands beside this clone, and {SHARED_VARIABLE} names none"
        )
    return folder


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation, built without a warning."""
    folder, root = tmp_path_factory.mktemp("site"), request.config.rootpath
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=root,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    said = (done.stdout + done.stderr).splitlines()
    assert [line for line in said if not line.startswith("INFO ")] == []
    assert done.returncode == 0
    return folder


async def administer(server: EmbeddedPostgres, statement: str) -> None:
    """Run a statement that no transaction may hold."""
    connection = await asyncpg.connect(server.database_url("postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
