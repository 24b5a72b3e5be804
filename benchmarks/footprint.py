"""What one cell costs: CPU by process, bytes on each topic, rows and bytes in each table, bytes in Parquet.

`python -m benchmarks.footprint` prints what `benchmarks.capacity` holds as constants.
"""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Mapping
from typing import Any

import asyncpg
import orjson
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.stage import Stage, stage
from ops.logs import configure
from schemas.settings import Settings
from schemas.topics import GRID_CHUNKS, HAZARDS, JOB_EVENTS, PROBABILITIES, Topic

TABLES = (
    *("climate_data", "climate_packed", "climate_extremes", "grid_cells"),
    *("probability_results", "hazard_results"),
    *("batch_job_chunks", "batch_job_outcomes", "outbox"),
)
QUIET_MS = 2000
"""A topic without a record for so long has been read to its end."""


async def footprint(cells: int) -> dict[str, Any]:
    """Per cell of one job of both kinds and nine risks over a drawn grid, 30 years, annual indices loaded.

    Returns:
        Of a job that inserts and of one that updates: `cpu_ms` by process and, of PostgreSQL's sessions, by
        service; `wal_bytes` without full-page images. Bytes per cell on the `topics`, rows and bytes in the
        `tables`, rows and indexes apart, and bytes of both kinds in `parquet`.
    """
    async with stage("worker", "sink", "producers") as here:
        await here.draw(cells, indices=True)
        await here.job()  # compiles what is not compiled
        await here.connection.execute("TRUNCATE probability_results, hazard_results, outbox")
        await here.connection.execute("TRUNCATE batch_job_logs CASCADE")
        begun = {
            topic.name: await _bytes(here, topic)
            for topic in (GRID_CHUNKS, PROBABILITIES, HAZARDS, JOB_EVENTS)
        }
        insert, insert_wal = await _job(here, cells)
        tables = {name: await _table(here.connection, name, cells) for name in TABLES}
        topics = {
            topic.name: (await _bytes(here, topic) - begun[topic.name]) / cells
            for topic in (GRID_CHUNKS, PROBABILITIES, HAZARDS, JOB_EVENTS)
        }
        parquet = {name: await _parquet(here.connection, name) / cells for name in TABLES[4:6]}
        update, update_wal = await _job(here, cells)
        grown = {name: await _table(here.connection, name, cells) for name in TABLES[4:6]}
    return {
        "cells": cells,
        "cpu_ms": {"insert": insert, "update": update},
        "wal_bytes": {"insert": insert_wal, "update": update_wal},
        "topics": topics,
        "tables": tables,
        "tables after an update": grown,
        "parquet": parquet,
    }


async def _job(here: Stage, cells: int) -> tuple[dict[str, float], float]:
    spent, where = await _spent(here), await _position(here.connection)
    await here.job()
    now = await _spent(here)
    used = {name: 1e3 * (now[name] - spent.get(name, 0.0)) / cells for name in now}
    return used, (await _position(here.connection) - where) / cells


async def _spent(here: Stage) -> dict[str, float]:
    found = here.cpu_seconds()
    for row in await here.connection.fetch(
        "SELECT pid, application_name FROM pg_stat_activity WHERE application_name LIKE 'riskflow %'"
    ):
        name = f"postgresql for {row['application_name'].removeprefix('riskflow ')}"
        spent = psutil.Process(row["pid"]).cpu_times()
        found[name] = found.get(name, 0.0) + spent.user + spent.system
    return found


async def _position(connection: asyncpg.Connection) -> int:
    return int(await connection.fetchval("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))


async def _table(connection: asyncpg.Connection, name: str, cells: int) -> Mapping[str, float]:
    row = await connection.fetchrow(
        f"""
        SELECT (SELECT count(*) FROM {name}) / $1::float8 AS rows,
               pg_table_size('{name}') / $1::float8 AS bytes,
               pg_indexes_size('{name}') / $1::float8 AS index_bytes
        """,
        cells,
    )
    return dict(row)


async def _bytes(here: Stage, topic: Topic) -> int:
    """Bytes of keys, values and headers on the topic, as a broker holds them without compression."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=here.settings.kafka_bootstrap_servers, auto_offset_reset="earliest"
    )
    await consumer.start()
    total = 0
    try:
        parts = [TopicPartition(topic.name, part) for part in range(topic.partitions)]
        consumer.assign(parts)
        await consumer.seek_to_beginning(*parts)
        while batches := await consumer.getmany(timeout_ms=QUIET_MS):
            for record in (record for records in batches.values() for record in records):
                headers = sum(len(name) + len(value) for name, value in record.headers)
                total += len(record.key or b"") + len(record.value or b"") + headers
    finally:
        await consumer.stop()
    return total


async def _parquet(connection: asyncpg.Connection, name: str) -> int:
    """Bytes of the table's rows as one Parquet file, Zstandard, arrays as lists, sorted as a job writes."""
    rows = [dict(row) for row in await connection.fetch(f"SELECT * FROM {name} ORDER BY id")]
    for row in rows:
        del row["id"]
        row |= {"latitude": float(row["latitude"]), "longitude": float(row["longitude"])}
        row |= {key: orjson.loads(row[key]) for key in ("probability", "bin_data") if row.get(key)}
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file, compression="zstd")
    return file.tell()


async def main() -> None:
    """Measure and write as JSON."""
    configure(Settings(_env_file=None, log_level="ERROR"), "bench")
    cells = int(sys.argv[1]) if len(sys.argv) > 1 else 4096
    found = await footprint(cells)
    sys.stdout.write(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode() + "\n")


if __name__ == "__main__":
    asyncio.run(main())
