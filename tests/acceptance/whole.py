"""The running whole, as the acceptance tests speak to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr
from waiting import until

from ops import jobs
from ops.demo.sources import demo_table
from ops.generator.cells import Cells, regular_grid
from ops.generator.stored import store_cells
from ops.load.loader import load
from ops.load.options import LoadOptions
from ops.services import services
from ops.stack.broker import Broker, BrokerKind, make_broker
from ops.stack.jars import why_missing
from ops.stack.supervisor import Supervisor
from producers.publisher import Publisher
from producers.topics import create_topics
from schemas import topics
from schemas.codec import Record, encode
from schemas.messages import Trigger
from schemas.settings import Settings
from streams.models.inputs import Years

SEED = 11
YEARS = Years(1991, 2020)
JOB_SECONDS = 120
NO_SCHEDULES = {f"{name}_schedule_enabled": False for name in ("probability", "hazard", "weekly")}
"""Settings of tests that count jobs, so that a Monday morning adds none."""

RESULTS = {
    "probability_results": "latitude, longitude, risk_type, scenario, window_start, window_end, probability, "
    "bin_data, aal, aal_p05, aal_p95, reason, basis, risk_table",
    "hazard_results": "latitude, longitude, risk_type, scenario, window_start, window_end, hazard_score, "
    "hazard_score_100, hazard_level, reason, basis, risk_table",
}


@dataclass
class Whole:
    """Broker, services and database of one test."""

    settings: Settings
    broker: Broker
    services: Supervisor
    connection: asyncpg.Connection
    logs: Path

    async def publish(self, record: Record) -> None:
        """Write one record as any Kafka client would."""
        async with Publisher(self.settings) as publisher:
            await publisher.send(record)

    async def trigger(self, job_type: str, job_id: str, **fields: Any) -> None:
        """Write a trigger to its topic."""
        message = Trigger(job_type=job_type, job_id=job_id, **fields)
        await self.publish(encode(topics.TRIGGERS, message, source="test"))

    async def ended(self, job_id: str, limit: float = JOB_SECONDS) -> jobs.Job:
        """The job once it has ended; its last state in the error otherwise."""
        job = await jobs.wait(self.connection, job_id, limit=limit)
        assert job is not None, f"job {job_id} was not accepted within {limit} s\n{self.last_lines()}"
        assert job.ended, f"job {job_id} is {job} after {limit} s\n{self.last_lines()}"
        return job

    async def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """All results without what differs between runs: id, time and job."""
        return {
            table: [
                tuple(row)
                for row in await self.connection.fetch(
                    f"SELECT {columns} FROM {table} ORDER BY latitude, longitude, risk_type"  # noqa: S608 - names of this file
                )
            ]
            for table, columns in RESULTS.items()
        }

    async def until(self, query: str, *arguments: Any, limit: float = 60) -> Any:
        """The query's first value once it is true."""
        return await until(lambda: self.connection.fetchval(query, *arguments), query, limit)

    def last_lines(self) -> str:
        """The end of every service's log."""
        return "\n".join(
            f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-15:])
            for path in sorted(self.logs.glob("*.log"))
        )


@asynccontextmanager
async def running(
    database_url: str,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    *,
    broker: BrokerKind = "embedded",
    **changes: object,
) -> AsyncIterator[Whole]:
    """A new broker with topics, the services defined but not started, a connection.

    `environment` is what services find beside the settings, which `changes` change. On the broker `kafka`
    the test is skipped where there is no Java.
    """
    if broker == "kafka" and (fault := why_missing()) is not None:
        pytest.skip(f"no Apache Kafka: {fault}")
    server = make_broker(broker, folder)
    await server.start()
    connection = await asyncpg.connect(database_url)
    settings = Settings(
        _env_file=None,
        database_url=SecretStr(database_url),
        kafka_bootstrap_servers=server.address,
        **{"parallel_workers": 1, "reports_dir": folder / "reports"} | NO_SCHEDULES | changes,
    )
    addresses = {"DATABASE_URL": database_url, "KAFKA_BOOTSTRAP_SERVERS": server.address}
    env = addresses | dict(environment or {})
    supervisor = Supervisor(services(settings), folder / "logs", env=env)
    try:
        await server.wait_ready()
        await create_topics(settings)
        yield Whole(settings, server, supervisor, connection, folder / "logs")
    finally:
        await supervisor.stop()
        await connection.close()
        await server.stop()


async def draw_grid(connection: asyncpg.Connection, count: int) -> Cells:
    """A grid of drawn cells with months, annual indices, sites, sea and basins: all but storms."""
    cells = regular_grid(count)
    async with connection.transaction():
        await store_cells(connection, cells, YEARS, SEED)
        for table in ("sea-level-stations", "sea-level-rise", "basins", "demand", "warming"):
            await load(table, [demo_table(table)], connection, LoadOptions(baseline=YEARS))
    return cells
