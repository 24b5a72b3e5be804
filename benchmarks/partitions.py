"""The result table as it is against partitions by scenario and window, at 50 million generated rows."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import psutil

from benchmarks.layouts import (
    AS_IT_IS,
    BY_PAIR,
    COLUMNS,
    KEY_BY_PAIR,
    NEW_PAIR,
    PAIRS,
    RISKS,
    Layout,
    create,
    fill,
    index,
    rekey,
    set_room,
    sizes,
)
from benchmarks.outcome import Outcome, times
from benchmarks.rounds import Side, Size, alternate
from consumers import upserts
from ops.stack.data_dir import make_folder
from ops.stack.servers import EmbeddedPostgres
from schemas.database import migrate

CHUNK_CELLS = 64
BATCH_CHUNKS = 8
"""Chunks of one transaction, as a sink that keeps up takes them."""
READS = 200
STORED_PAIR = PAIRS[5]
"""Of which single rows and cells are read."""
SEED = 5
GIB = 2**30

_POINT = """
    SELECT r.*, j.baseline_start FROM {table} r LEFT JOIN batch_job_logs j USING (job_id)
    WHERE (r.latitude, r.longitude, r.risk_type, r.scenario, r.window_start, r.window_end)
        = (round($1::float8::numeric, 6), round($2::float8::numeric, 6), $3, $4, $5, $6)
"""
_VIEW = """
    SELECT r.latitude, r.longitude, r.risk_type, r.hazard_score
    FROM {table} r JOIN riskflow.defaults d USING (scenario, window_start, window_end)
    WHERE r.latitude = round($1::float8::numeric, 6)
      AND r.longitude = round($2::float8::numeric, 6)
"""


@dataclass
class Bench:
    """Tables in one database, and what was done to each of them so far."""

    connection: asyncpg.Connection
    cells: int
    chunks: int
    """Chunks of one measurement."""
    turns: int = 0
    """Measurements of each operation that these tables have seen before."""
    told: str = ""
    """What a reader should know of how the tables came about."""
    wal: dict[str, list[float]] = field(default_factory=dict)
    """Bytes of WAL per row, by operation and table."""
    cpu: dict[str, list[float]] = field(default_factory=dict)
    """CPU time of the session, microseconds per row, by operation and table."""
    _turns: dict[str, int] = field(default_factory=dict)

    def writes(self, layout: Layout, pair: tuple[str, int, int], what: str) -> Side:
        """Milliseconds per chunk of the sink's upsert; each time of cells that it has not written yet."""

        async def side() -> float:
            table = replace(upserts.HAZARD, name=layout.table)
            name = f"{what} {layout.name}"
            batches = list(self._batches(pair, self._turn(name)))
            await self.connection.execute("CHECKPOINT")
            async with self._noted(name, sum(map(len, batches))):
                begun = time.perf_counter()
                for rows in batches:
                    async with self.connection.transaction():
                        await upserts.write(self.connection, table, rows)
                taken = time.perf_counter() - begun
            return 1e3 * taken / self.chunks

        return side

    def reads(self, layout: Layout, statement: str, what: str, *more: Any) -> Side:
        """Milliseconds per statement, of cells by chance."""

        async def side() -> float:
            name = f"{what} {layout.name}"
            chance = random.Random(SEED + self._turn(name))  # noqa: S311 - which cells are read
            query = await self.connection.prepare(statement.format(table=layout.table))
            places = [_place(chance.randrange(self.cells)) for _ in range(READS)]
            async with self._noted(name, READS):
                begun = time.perf_counter()
                found = [await query.fetch(*place, *more) for place in places]
                taken = time.perf_counter() - begun
            assert {len(rows) for rows in found} == {1 if more else len(RISKS)}  # noqa: S101 - same work
            return 1e3 * taken / READS

        return side

    def _turn(self, name: str) -> int:
        self._turns[name] = self._turns.get(name, self.turns - 1) + 1
        return self._turns[name]

    def _batches(self, pair: tuple[str, int, int], turn: int) -> Iterator[list[upserts.Row]]:
        now = dt.datetime.now(tz=dt.UTC)
        size = CHUNK_CELLS * BATCH_CHUNKS
        whole = self.cells // size
        for number in range(self.chunks // BATCH_CHUNKS):
            first = (turn * (self.chunks // BATCH_CHUNKS) + number) % whole * size
            yield [
                _row(_place(cell), risk, pair, now) for cell in range(first, first + size) for risk in RISKS
            ]

    @asynccontextmanager
    async def _noted(self, name: str, rows: int) -> AsyncIterator[None]:
        backend = psutil.Process(await self.connection.fetchval("SELECT pg_backend_pid()"))
        where, spent = await self._position(), _cpu(backend)
        yield
        self.wal.setdefault(name, []).append((await self._position() - where) / rows)
        self.cpu.setdefault(name, []).append(1e6 * (_cpu(backend) - spent) / rows)

    async def _position(self) -> int:
        return int(await self.connection.fetchval("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))

    def note(self, what: str, *layouts: Layout) -> str:
        """Sentence on CPU and WAL of an operation."""
        return "; ".join(
            f"{layout.name}: {median(self.cpu[f'{what} {layout.name}']):.1f} us CPU and "
            f"{median(self.wal[f'{what} {layout.name}']):.0f} B of WAL a row"
            for layout in layouts
        )


async def partitions(size: Size) -> list[Outcome]:
    """Upserts and reads, the table as it is against partitions, then against a key that begins with the pair.

    Takes up to 32 GB in the folder for temporary files, and about 20 minutes.
    """
    rows = size.of(50_000_000, 120_000)
    cells = rows // len(PAIRS) // len(RISKS)
    async with tables(cells, (AS_IT_IS, BY_PAIR)) as connection:
        bench = Bench(connection, cells, size.of(200, 8))
        found = await compared(bench, size, BY_PAIR, AS_IT_IS)
        rebuilt = await rekey(connection, AS_IT_IS)
        await connection.execute(f"ALTER TABLE {AS_IT_IS.table} RENAME TO {KEY_BY_PAIR.table}")
        await connection.execute(replace(upserts.HAZARD, name=KEY_BY_PAIR.table).create)
        bench = Bench(connection, cells, size.of(200, 8), turns=size.warm_up + size.rounds)
        bench.told = f"building the key anew took {rebuilt:.0f} s. "
        return found + await compared(bench, size, BY_PAIR, KEY_BY_PAIR)


async def compared(bench: Bench, size: Size, a: Layout, b: Layout) -> list[Outcome]:
    """Insert into a new pair, update of an old one, the row that `explain` reads, a cell of the view."""
    held = [await sizes(bench.connection, layout) for layout in (a, b)]
    space = bench.told + "; ".join(
        f"{layout.name}: {each['count']:,} rows, {each['rows'] / GIB:.2f} GiB, unique key "
        f"{each['key'] / GIB:.2f}, primary key {each['id'] / GIB:.2f}"
        for layout, each in zip((a, b), held, strict=True)
    )
    outcomes = []
    for what, pair in (("insert", NEW_PAIR), ("update", PAIRS[-1])):
        taken = await alternate(size, *(bench.writes(layout, pair, what) for layout in (a, b)))
        outcomes.append(_outcome(what, a, b, taken, bench, space if what == "insert" else ""))
    for what, statement, more in (("explain", _POINT, (RISKS[4], *STORED_PAIR)), ("view", _VIEW, ())):
        taken = await alternate(size, *(bench.reads(layout, statement, what, *more) for layout in (a, b)))
        outcomes.append(_outcome(what, a, b, taken, bench, ""))
    return outcomes


@asynccontextmanager
async def tables(cells: int, layouts: tuple[Layout, ...]) -> AsyncIterator[asyncpg.Connection]:
    """A database with those tables, filled; gone afterwards.

    They are filled without waiting for the disk and used with the settings of a durable server, because
    its full-page images are what the layouts differ in.
    """
    with tempfile.TemporaryDirectory(prefix="riskflow-") as folder:
        make_folder(Path(folder))
        home = Path(folder) / "postgresql"
        async with server(home, durable=False) as url:
            await migrate(url)
            await _set_default(url, STORED_PAIR)
            await asyncio.gather(*(_prepared(url, layout, cells) for layout in layouts))
        async with server(home, durable=True) as url:
            connection = await asyncpg.connect(url)
            try:
                for layout in layouts:
                    await set_room(connection, layout, 50)
                    await connection.execute(replace(upserts.HAZARD, name=layout.table).create)
                yield connection
            finally:
                await connection.close()


@asynccontextmanager
async def server(home: Path, *, durable: bool) -> AsyncIterator[str]:
    """DSN of an embedded PostgreSQL for a block."""
    postgres = EmbeddedPostgres(home, durable=durable)
    await postgres.start()
    try:
        await postgres.wait_ready()
        yield postgres.url
    finally:
        await postgres.stop()


async def _set_default(url: str, pair: tuple[str, int, int]) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "UPDATE riskflow.defaults SET (scenario, window_start, window_end) = ($1, $2, $3)", *pair
        )
        await connection.execute("ANALYZE riskflow.defaults")
    finally:
        await connection.close()


async def _prepared(url: str, layout: Layout, cells: int) -> None:
    connection = await asyncpg.connect(url)
    try:
        await create(connection, layout)
        await fill(connection, layout, cells)
        await index(connection, layout)
    finally:
        await connection.close()


def _place(cell: int) -> tuple[float, float]:
    return round(33 + cell // COLUMNS * 0.01, 6), round(124 + cell % COLUMNS * 0.01, 6)


def _row(place: tuple[float, float], risk: str, pair: tuple[str, int, int], now: dt.datetime) -> upserts.Row:
    scenario, first, last = pair
    values = {
        "latitude": place[0],
        "longitude": place[1],
        "risk_type": risk,
        "scenario": scenario,
        "window_start": first,
        "window_end": last,
        "hazard_score": 0.5,
        "hazard_score_100": 50.0,
        "hazard_level": "Medium",
        "basis": "annual",
        "risk_table": "default",
        "calculated_at": now,
        "job_id": "measured",
        "job_seq": 2,
    }
    return tuple(values.get(column) for column in upserts.HAZARD.columns)


def _outcome(  # noqa: PLR0913 - a row of the table
    what: str, a: Layout, b: Layout, taken: list[list[float]], bench: Bench, space: str
) -> Outcome:
    per = "chunk of 576 rows" if what in {"insert", "update"} else "statement"
    note = ". ".join(filter(None, (space, bench.note(what, a, b))))
    return times(
        f"partitions/{what}/{b.name}",
        f"{a.name} against {b.name}, a {per}",
        "ms",
        taken[0],
        taken[1],
        1.0,
        note,
    )


def _cpu(process: psutil.Process) -> float:
    spent = process.cpu_times()
    return float(spent.user + spent.system)
