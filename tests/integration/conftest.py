"""A broker of its own per test, a small grid, and the parts of the flow on them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from flow_samples import GRID, RISKS
from pydantic import SecretStr

from consumers import reader
from consumers.report.pool import Pool
from ops.stack.servers import EmbeddedBroker
from producers.offsets import OffsetReader
from producers.publisher import Publisher
from producers.topics import create_topics
from schemas.settings import Settings


@pytest.fixture
async def own_broker(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    """An embedded broker with all topics, empty, that only this test sees."""
    server = EmbeddedBroker(tmp_path / "broker.log")
    await server.start()
    try:
        await server.wait_ready()
        await create_topics(Settings(_env_file=None, kafka_bootstrap_servers=server.address))
        yield server
    finally:
        await server.stop()


@pytest.fixture
def flow_settings(database_url: str) -> Settings:
    """Settings of a flow with two cells a chunk; the broker's address is not set."""
    return Settings(
        _env_file=None,
        database_url=SecretStr(database_url),
        batch_size=2,
        chunks_ahead=2,
        start_timeout=20,
    )


@pytest.fixture
def settings(flow_settings: Settings, own_broker: EmbeddedBroker) -> Settings:
    """The same with the test's own broker."""
    return flow_settings.model_copy(update={"kafka_bootstrap_servers": own_broker.address})


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the test's database, with the small grid and two risks in it."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("DELETE FROM riskflow.risk_types")
    await connection.executemany(
        "INSERT INTO riskflow.risk_types (risk_type, title, intensity, unit, position) "
        "VALUES ($1, $1, '', '', $2)",
        [(risk, place) for place, risk in enumerate(RISKS)],
    )
    await connection.executemany(
        "INSERT INTO climate_data (latitude, longitude, year, month, ta) "
        "VALUES ($1::float8, $2::float8, 2020, 7, 25)",
        GRID,
    )
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture(autouse=True)
def quick_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short sessions: the embedded broker lets a new group wait for half of one."""
    monkeypatch.setattr(reader, "SESSION_MS", 1_000)
    monkeypatch.setattr(reader, "HEARTBEAT_MS", 300)


@pytest.fixture
async def publisher(settings: Settings) -> AsyncIterator[Publisher]:
    """A producer on the test's own broker."""
    async with Publisher(settings) as publisher:
        yield publisher


@pytest.fixture
async def offsets(settings: Settings) -> AsyncIterator[OffsetReader]:
    """Offsets of the test's own broker."""
    reader = OffsetReader(settings, "test")
    await reader.start()
    yield reader
    await reader.stop()


@pytest.fixture
def report_settings(flow_settings: Settings, tmp_path: Path) -> Settings:
    """Settings of a flow with a folder of its own for the reports; the broker's address is not set."""
    return flow_settings.model_copy(update={"reports_dir": tmp_path / "reports"})


@pytest.fixture
async def writer(report_settings: Settings) -> AsyncIterator[asyncpg.Connection]:
    """The connection of the handler that a test calls."""
    writer = await asyncpg.connect(report_settings.dsn)
    yield writer
    await writer.close()


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """Two processes that write the reports of a module's tests."""
    pool = Pool(2)
    yield pool
    pool.close()
