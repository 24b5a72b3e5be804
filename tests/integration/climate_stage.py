"""What the worker's tests share: a filled database, a job in its ledger, the worker as a process."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from waiting import until

from ops.stack.servers import EmbeddedBroker
from producers.topics import create_topics
from schemas.codec import encode
from schemas.messages import GridChunk, Window
from schemas.settings import Settings
from schemas.topics import (
    GRID_CHUNKS,
    HAZARDS,
    PROBABILITIES,
    TENANT_CHUNKS,
    TENANT_METRICS,
    Topic,
    dead_letters,
)
from streams.models.risks import RISKS

ROOT = Path(__file__).parents[2]
BASELINE = Window(start=1991, end=2020)
FUTURE = Window(start=2021, end=2050)
SCENARIO = "ssp585"
WAIT = 60.0

PROGRAM = """
import sys
from pathlib import Path
from ops.logs import configure
from schemas.settings import load_settings
from streams.worker import main
settings = load_settings()
configure(settings, "worker")
sys.exit(main(settings, Path(sys.argv[1])))
"""

Cell = tuple[float, float]


async def fill(connection: asyncpg.Connection, cells: Sequence[Cell], seed: int = 7) -> None:
    """Every input of the nine risks: weather of both scenarios, sites, sea, basins and storms."""
    random = np.random.default_rng(seed)
    for scenario, years in (("historical", BASELINE), (SCENARIO, FUTURE)):
        await _weather(connection, cells, scenario, years, random)
    await connection.execute("SELECT riskflow.repack()")
    await connection.executemany(
        """
        INSERT INTO grid_cells (latitude, longitude, elevation_m, coast_km, river_km, imperviousness,
                                slope, land_cover, station, basin)
        VALUES ($1, $2, 1.5, 2, 3, 0.6, 0.02, 'forest', 'Busan', 'Nakdong')
        ON CONFLICT (latitude, longitude) DO UPDATE
            SET (elevation_m, coast_km, river_km, imperviousness, slope, land_cover, station, basin)
                = (excluded.elevation_m, excluded.coast_km, excluded.river_km, excluded.imperviousness,
                   excluded.slope, excluded.land_cover, excluded.station, excluded.basin)
        """,
        cells,
    )
    await connection.execute("INSERT INTO sea_level_stations VALUES ('Busan', 35.1, 129.0, 0.9, 0.12, 0.05)")
    await connection.execute("INSERT INTO water_basins VALUES ('Nakdong', 900, 300)")
    for table, columns, value in (
        ("sea_level_rise", "station, scenario, year, rise_mm", "'Busan', $1, year, (year - 2005) * 5"),
        ("water_demand", "scenario, year, ratio", "$1, year, 1 + (year - 2020) * 0.01"),
        ("climate_warming", "scenario, year, dt_c", "$1, year, (year - 2005) * 0.03"),
    ):
        await connection.execute(
            f"INSERT INTO {table} ({columns}) SELECT {value} FROM generate_series(2020, 2060, 10) year",  # noqa: S608 - names of this file
            SCENARIO,
        )
    await connection.execute(
        """
        INSERT INTO storm_fixes
        SELECT storm || '-' || year,
               make_timestamptz(year, 8, 1 + storm, 0, 0, 0, 'UTC') + step * interval '6 hours',
               25 + step, 124 + storm + 0.4 * step, 20 + 2 * storm + year % 7, 990 - 5 * storm, NULL
        FROM generate_series(1991, 2024) year, generate_series(1, 3) storm, generate_series(0, 14) step
        """
    )


async def _weather(
    connection: asyncpg.Connection,
    cells: Sequence[Cell],
    scenario: str,
    years: Window,
    random: np.random.Generator,
) -> None:
    months, extremes = [], []
    for latitude, longitude in cells:
        for year in range(years.start, years.end + 1):
            wsdi, csdi = random.choice([0, 0, 6, 9, 14], 2)
            rain = random.gumbel(110, 35)
            extremes.append(
                (latitude, longitude, scenario, year, float(wsdi), float(csdi), max(rain, 20.0), 1991, 2020)
            )
            for month in range(1, 13):
                warm = 12 - 12 * np.cos(2 * np.pi * month / 12) + random.normal(0, 1)
                rain = random.gamma(2, 15 + 40 * (month in {6, 7, 8}))
                months.append(
                    (latitude, longitude, year, month, warm, warm + 5, warm - 5, rain, 60.0, 3.0, scenario)
                )
    await connection.copy_records_to_table(
        "climate_data",
        records=months,
        columns=[
            *("latitude", "longitude", "year", "month"),
            *("ta", "tamax", "tamin", "rn", "rhm", "ws", "scenario"),
        ],
    )
    await connection.copy_records_to_table(
        "climate_extremes",
        records=extremes,
        columns=[
            *("latitude", "longitude", "scenario", "year"),
            *("wsdi", "csdi", "rx1day", "baseline_start", "baseline_end"),
        ],
    )


@dataclass
class Worker:
    """The worker as a process of its own, and what it has logged."""

    process: asyncio.subprocess.Process
    log: Path

    @classmethod
    async def start(cls, folder: Path, stage: Stage, *, before: str = "", **environment: str) -> Worker:
        """Start one in `folder`, which must be its own; `before` is Python that runs in it first."""
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        log = folder / "log"
        inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", before + PROGRAM, str(folder / "data")),
                env=inherited | stage.environment | environment,
                cwd=folder,
                stdout=output,
                stderr=output,
            )
        return cls(process, log)

    @property
    def text(self) -> str:
        """Everything logged so far."""
        return self.log.read_text()

    async def wait_for(self, words: str) -> None:
        """Return when the log says so; fails when the process ends before."""

        def said() -> bool:
            assert words in self.text or self.process.returncode is None, self.text
            return words in self.text

        await until(said, words, WAIT)

    async def exit_code(self) -> int:
        """Wait for the end."""
        return await asyncio.wait_for(self.process.wait(), WAIT)

    async def stop(self) -> int:
        """Ask it to stop, as a supervisor does."""
        if self.process.returncode is None:
            self.process.terminate()
        return await self.exit_code()


@dataclass
class Stage:
    """A broker with the topics, a database, and what moves between them and the worker."""

    broker: EmbeddedBroker
    database: asyncpg.Connection
    database_url: str
    producer: AIOKafkaProducer
    reader: AIOKafkaConsumer
    seen: list[ConsumerRecord] = field(default_factory=list)

    @classmethod
    async def build(cls, broker: EmbeddedBroker, database_url: str) -> Stage:
        """Create the topics and connect."""
        await create_topics(Settings(_env_file=None, kafka_bootstrap_servers=broker.address))
        producer = AIOKafkaProducer(
            bootstrap_servers=broker.address, acks="all", max_batch_size=1, max_request_size=2 << 20
        )
        reader = AIOKafkaConsumer(
            *(topic.name for topic in (PROBABILITIES, HAZARDS, TENANT_METRICS)),
            *(dead_letters(topic).name for topic in (GRID_CHUNKS, TENANT_CHUNKS)),
            bootstrap_servers=broker.address,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
        )
        await producer.start()
        await reader.start()
        return cls(broker, await asyncpg.connect(database_url), database_url, producer, reader)

    async def close(self) -> None:
        """Disconnect."""
        await self.producer.stop()
        await self.reader.stop()
        await self.database.close()

    @property
    def environment(self) -> dict[str, str]:
        """Settings of a worker on this stage."""
        return {
            "DATABASE_URL": self.database_url,
            "KAFKA_BOOTSTRAP_SERVERS": self.broker.address,
            "PYTHONPATH": str(ROOT),
            "START_TIMEOUT": "10",
        }

    async def plan(
        self, job_id: str, chunks: Sequence[Sequence[Cell]], *, status: str = "running", **fields: Any
    ) -> list[GridChunk]:
        """Enter a job and its chunks into the ledger; returns the messages, which are not sent yet."""
        job_seq = await self.database.fetchval("SELECT nextval('riskflow.job_seq')")
        chosen: dict[str, Any] = {
            "kinds": ["probability", "hazard"],
            "risks": list(RISKS),
            "scenario": SCENARIO,
            "window": FUTURE,
        } | fields
        await self.database.execute(
            """
            INSERT INTO batch_job_logs (job_id, job_type, status, job_seq, kinds, risks, scenario,
                                        window_start, window_end, total_grids, chunks_total)
            VALUES ($1, 'climate', $2, $3, $4, $5, $6, $7, $8, $9, $10)
            """,
            *(job_id, status, job_seq, chosen["kinds"], chosen["risks"], chosen["scenario"]),
            *(chosen["window"].start, chosen["window"].end, sum(map(len, chunks)), len(chunks)),
        )
        messages = [
            GridChunk(
                job_id=job_id,
                job_seq=job_seq,
                chunk_id=f"{job_id}:{number}",
                chunk=number,
                chunks=len(chunks),
                baseline=BASELINE,
                cells=list(cells),
                **chosen,
            )
            for number, cells in enumerate(chunks, 1)
        ]
        await self.database.executemany(
            """
            INSERT INTO batch_job_chunks (job_id, chunk, chunk_id, latitudes, longitudes, cells, kinds_left)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            """,
            [
                (
                    *(job_id, message.chunk, message.chunk_id),
                    *map(list, zip(*message.cells, strict=True)),
                    *(len(message.cells), len(message.kinds)),
                )
                for message in messages
            ],
        )
        return messages

    async def send(self, chunk: GridChunk, partition: int = 0) -> None:
        """Publish a chunk as the dispatcher does."""
        record = encode(GRID_CHUNKS, chunk, source="dispatcher")
        await self.send_raw(record.key, record.value, record.headers, partition)

    async def send_raw(
        self,
        key: bytes,
        value: bytes | None,
        headers: list[tuple[str, bytes]],
        partition: int = 0,
        topic: Topic = GRID_CHUNKS,
    ) -> None:
        """Publish any bytes on a topic of chunks."""
        await self.producer.send_and_wait(topic.name, value, key=key, headers=headers, partition=partition)

    async def records(self, topic: str, key: str, count: int = 1) -> list[ConsumerRecord]:
        """The records of a topic under a key, once there are `count`."""
        async with asyncio.timeout(WAIT):
            while len(found := self.found(topic, key)) < count:
                self.seen.append(await self.reader.getone())
        return found

    def found(self, topic: str, key: str) -> list[ConsumerRecord]:
        """Those that were read until now."""
        return [record for record in self.seen if (record.topic, record.key) == (topic, key.encode())]

    async def results(self, chunk: GridChunk) -> dict[str, dict[str, Any]]:
        """Probability and hazard result of a chunk, as plain JSON."""
        topics = {"probability": PROBABILITIES.name, "hazard": HAZARDS.name}
        return {
            kind: orjson.loads((await self.records(topics[kind], chunk.chunk_id))[-1].value)
            for kind in chunk.kinds
        }


def columns(result: dict[str, Any], risk: str) -> dict[str, Any]:
    """One risk's columns of a result."""
    return next(columns for columns in result["risks"] if columns["risk_type"] == risk)
