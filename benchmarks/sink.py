"""The sink on topics that hold all results of a job, against bare COPY and upsert of the same rows."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg
from aiokafka import AIOKafkaConsumer

from benchmarks.outcome import Outcome, speeds
from benchmarks.rounds import Size, alternate
from benchmarks.stage import JOB_SECONDS, Stage, now, stage
from consumers.upserts import HAZARD, PROBABILITY, Row, Table, hazard_rows, probability_rows
from ops import jobs
from ops import trigger as triggers
from schemas.broker import client_options
from schemas.codec import decode, header
from schemas.database import session
from schemas.errors import RiskflowError
from schemas.messages import HazardResult, ProbabilityResult
from schemas.topics import HAZARDS, PROBABILITIES

TOPICS = (PROBABILITIES, HAZARDS)
AHEAD = 1000
"""Chunks per partition that the dispatcher may send ahead: all of a job, with no sink to report them."""
KEY = ("latitude", "longitude", "risk_type", "scenario", "window_start", "window_end")
BARE_TYPES = {
    PROBABILITY: "probability jsonb, bin_data jsonb, aal float8, aal_p05 float8, aal_p95 float8",
    HAZARD: "hazard_score float8, hazard_score_100 float8, hazard_level text",
}
BARE_ORIGIN = (
    "reason text, basis text, risk_table text, calculated_at timestamptz, job_id text, job_seq bigint"
)

_BATCHES = """
    SELECT o.kind, c.chunk_id, o.recorded_at
    FROM batch_job_outcomes o JOIN batch_job_chunks c USING (job_id, chunk)
    WHERE o.job_id = $1 ORDER BY o.recorded_at, c.chunk
"""
_SECONDS = """
    SELECT extract(epoch FROM j.completed_at - (
        SELECT min(recorded_at) FROM batch_job_outcomes o WHERE o.job_id = j.job_id))::float8
    FROM batch_job_logs j WHERE j.job_id = $1
"""
_STATE = """
    SELECT (SELECT sum(hashtextextended(p::text, 0)) FROM probability_results p WHERE job_id = $1),
           (SELECT sum(hashtextextended(h::text, 0)) FROM hazard_results h WHERE job_id = $1),
           (SELECT count(*) FROM probability_results WHERE job_id = $1)
         + (SELECT count(*) FROM hazard_results WHERE job_id = $1) AS rows
"""

Batch = Mapping[Table, list[Row]]


async def sink(size: Size) -> list[Outcome]:
    """Rows a second of both; every round updates all rows of the grid for a new job."""
    cells = size.of(8_000, 128)
    workers = size.of(2, 1)
    async with stage("sink", "producers", "worker", workers=workers, chunks_ahead=AHEAD) as here:
        await here.draw(cells, indices=True)
        await here.job()
        async with listening(here) as consumer, session(here.settings.dsn, application="bare") as bare:
            await create_bare(bare)
            filled = FilledTopic(here, consumer, bare)
            a, b = await alternate(size, filled.by_sink, filled.by_copy)
    note = (
        f"{cells} cells, nine risks, both kinds: {filled.rows} rows in {len(filled.batches)} transactions on "
        "both sides, all updates of rows that are there. A counts from the sink's first transaction to its "
        "last row (process start and joining the group left out; decoding, validation, outcomes, counters, "
        "events and offsets included). B has the decoded rows in memory and writes nothing else."
    )
    return [speeds("sink", "sink on a filled topic / bare COPY + upsert", "rows/s", a, b, 0.80, note)]


@asynccontextmanager
async def listening(here: Stage) -> AsyncIterator[AIOKafkaConsumer]:
    """A reader of the result topics beside the sink's group."""
    consumer = AIOKafkaConsumer(
        *(topic.name for topic in TOPICS),
        **client_options(here.settings, "bench"),
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


@dataclass
class FilledTopic:
    """A new job per round: its results are computed while no sink runs, stored by the sink, then barely."""

    stage: Stage
    consumer: AIOKafkaConsumer
    bare: asyncpg.Connection
    job_id: str = ""
    rows: int = 0
    batches: list[Batch] = field(default_factory=list)
    """Rows of the last job as the sink divided them into transactions."""

    async def by_sink(self) -> float:
        """Rows a second of the sink's process."""
        results = await self._filled()
        await self._vacuumed()
        await self.stage.stack.start("sink")
        job = await jobs.wait(self.stage.connection, self.job_id, limit=JOB_SECONDS)
        if job is None or job.status != "completed":
            raise RiskflowError(f"benchmark job {self.job_id} did not complete: {job}")
        self.batches = await self._divided(results)
        self.rows = sum(len(rows) for batch in self.batches for rows in batch.values())
        stored = (await self._state())["rows"]
        if stored != self.rows:
            raise RiskflowError(f"the sink stored {stored} rows, its topics hold {self.rows}")
        return self.rows / float(await self.stage.connection.fetchval(_SECONDS, self.job_id))

    async def by_copy(self) -> float:
        """Rows a second of bare COPY and upsert, in transactions of the same rows as the sink's."""
        before = await self._state()
        await self._vacuumed()
        begun = now()
        written = [await write_bare(self.bare, batch) for batch in self.batches]
        seconds = now() - begun
        if sum(written) != self.rows or await self._state() != before:
            raise RiskflowError(
                f"the bare side wrote {sum(written)} rows, or others than the sink's {self.rows}"
            )
        return self.rows / seconds

    async def _filled(self) -> dict[tuple[str, str], list[Row]]:
        """Rows of the results that lie on the topics, by kind and chunk, with neither sink nor producers up.

        The sink's process plans the job and goes before the producers come to send its chunks.
        """
        stack = self.stage.stack
        await stack.stop("producers")
        trigger = triggers.trigger_of("climate", requested_by="benchmark")
        self.job_id = await triggers.send(self.stage.settings, trigger)
        chunks = await self._planned()
        await stack.stop("sink")
        await stack.start("producers")
        async with asyncio.timeout(JOB_SECONDS):
            results = await self._published(chunks * len(TOPICS))
        await stack.stop("producers")
        return results

    async def _planned(self) -> int:
        async with asyncio.timeout(JOB_SECONDS):
            while True:
                job = await jobs.find(self.stage.connection, self.job_id)
                if job is not None and job.chunks_total:
                    return job.chunks_total
                await asyncio.sleep(jobs.POLL_SECONDS)

    async def _published(self, count: int) -> dict[tuple[str, str], list[Row]]:
        found: dict[tuple[str, str], list[Row]] = {}
        while len(found) < count:
            for records in (await self.consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    if header(record.headers, "job-id") == self.job_id:
                        kind, rows = decoded(record.topic, record.value)
                        found[kind, record.key.decode()] = rows
        return found

    async def _divided(self, results: Mapping[tuple[str, str], list[Row]]) -> list[Batch]:
        batches: dict[object, dict[Table, list[Row]]] = defaultdict(lambda: {PROBABILITY: [], HAZARD: []})
        for told in await self.stage.connection.fetch(_BATCHES, self.job_id):
            table = PROBABILITY if told["kind"] == "probability" else HAZARD
            batches[told["recorded_at"]][table] += results[told["kind"], told["chunk_id"]]
        return list(batches.values())

    async def _state(self) -> asyncpg.Record:
        return await self.stage.connection.fetchrow(_STATE, self.job_id)

    async def _vacuumed(self) -> None:
        """Both sides find the tables without the dead rows of the other."""
        await self.stage.connection.execute(f"VACUUM {PROBABILITY.name}, {HAZARD.name}")


def decoded(topic: str, value: bytes) -> tuple[str, list[Row]]:
    """Kind and rows of a result message."""
    if topic == PROBABILITIES.name:
        return "probability", list(probability_rows(decode(ProbabilityResult, value)))
    return "hazard", list(hazard_rows(decode(HazardResult, value)))


async def create_bare(connection: asyncpg.Connection) -> None:
    """Temporary tables for COPY."""
    for table, types in BARE_TYPES.items():
        await connection.execute(
            f"CREATE TEMPORARY TABLE bare_{table.name} (latitude float8, longitude float8, risk_type text,"
            f" scenario text, window_start integer, window_end integer, {types}, {BARE_ORIGIN})"
            " ON COMMIT DELETE ROWS"
        )


async def write_bare(connection: asyncpg.Connection, batch: Batch) -> int:
    """One transaction: COPY and the plainest upsert, without order, guard and search for repeats."""
    written = 0
    async with connection.transaction():
        for table, rows in batch.items():
            if rows:
                await connection.copy_records_to_table(
                    f"bare_{table.name}", schema_name="pg_temp", columns=table.columns, records=rows
                )
                written += int((await connection.execute(bare_upsert(table))).split()[-1])
    return written


def bare_upsert(table: Table) -> str:
    """Moves the rows from the temporary table on."""
    columns, key = ", ".join(table.columns), ", ".join(KEY)
    others = ", ".join(f"{name} = excluded.{name}" for name in table.columns if name not in KEY)
    given = ", ".join(table.columns[2:])
    return (
        f"INSERT INTO {table.name} ({columns})"
        f" SELECT latitude::numeric(10, 6), longitude::numeric(10, 6), {given} FROM pg_temp.bare_{table.name}"
        f" ON CONFLICT ({key}) DO UPDATE SET {others}"
    )
