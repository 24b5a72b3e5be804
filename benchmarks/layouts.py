"""Ways to lay out a result table, filled with generated rows: its key, its partitions, its size."""

from __future__ import annotations

import time
from dataclasses import dataclass

import asyncpg

RISKS = (
    *("coastal_flood", "drought", "extreme_cold", "extreme_heat", "inland_flood"),
    *("typhoon", "urban_flood", "water_stress", "wildfire"),
)
"""Nine risk types; here only their number and their length count."""
SCENARIOS = ("historical", "ssp126", "ssp245", "ssp585")
WINDOWS = ((2021, 2050), (2041, 2070), (2071, 2100))
PAIRS = tuple((scenario, *window) for scenario in SCENARIOS for window in WINDOWS)
NEW_PAIR = ("ssp370", 2021, 2050)
COLUMNS = 1000  # of the grid; its step is 0.01 degrees
CELL_FIRST = "latitude, longitude, risk_type, scenario, window_start, window_end"
PAIR_FIRST = "scenario, window_start, window_end, latitude, longitude, risk_type"
GROWN = 70
"""Percent of a leaf that is full after entries came in everywhere, as an index that grew measures."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A table of the columns of hazard_results; `partition` is what follows PARTITION BY, if anything."""

    name: str
    key: str = CELL_FIRST
    partition: str = ""

    @property
    def table(self) -> str:
        """Name of the table."""
        return f"scale_{self.name}"

    def parts(self) -> list[str]:
        """Bounds of the partitions, as they follow PARTITION OF; the new pair's is among them."""
        return [f"FROM ('{s}', {a}, {b}) TO ('{s}', {a}, {b + 1})" for s, a, b in (*PAIRS, NEW_PAIR)]


AS_IT_IS = Layout("as_it_is")
KEY_BY_PAIR = Layout("key_by_pair", key=PAIR_FIRST)
BY_PAIR = Layout("by_pair", partition="RANGE (scenario, window_start, window_end)")


async def create(connection: asyncpg.Connection, layout: Layout) -> None:
    """Make the table and its partitions without indexes."""
    like = f"CREATE TABLE {layout.table} (LIKE hazard_results INCLUDING DEFAULTS)"
    if not layout.partition:
        await connection.execute(like)
        return
    await connection.execute(f"{like} PARTITION BY {layout.partition}")
    for number, bounds in enumerate(layout.parts()):
        await connection.execute(
            f"CREATE TABLE {layout.table}_{number} PARTITION OF {layout.table} FOR VALUES {bounds}"
        )


async def fill(connection: asyncpg.Connection, layout: Layout, cells: int) -> None:
    """Rows of all pairs, a pair after the other in the order in which jobs write them.

    Only the last pair has room in its pages for updates, as all have in the real table: the rest is
    never touched and takes half the disk this way.
    """
    for number, pair in enumerate(PAIRS):
        await set_room(connection, layout, 50 if number == len(PAIRS) - 1 else 100)
        await connection.execute(_FILL.format(table=layout.table), cells, list(RISKS), *pair)


# In the order of a job: cell by cell, all risks of a cell together.
_FILL = f"""
    INSERT INTO {{table}} (latitude, longitude, risk_type, scenario, window_start, window_end, hazard_score,
        hazard_score_100, hazard_level, basis, risk_table, calculated_at, job_id, job_seq)
    SELECT round((33 + (i / {COLUMNS}) * 0.01)::numeric, 6),
           round((124 + (i % {COLUMNS}) * 0.01)::numeric, 6),
           unnest($2::text[]), $3::text, $4::integer, $5::integer,
           (i % 997) / 997.0::float8, (i % 997) / 9.97::float8, 'Medium', 'annual', 'default', now(),
           'fill', 1
    FROM generate_series(0, $1 - 1) AS i
"""


async def set_room(connection: asyncpg.Connection, layout: Layout, percent: int) -> None:
    """How full pages are made from now on; a partitioned table has no pages of its own."""
    for table in await _leaves(connection, layout.table):
        await connection.execute(f"ALTER TABLE {table} SET (fillfactor = {percent})")


async def index(connection: asyncpg.Connection, layout: Layout) -> None:
    """Its unique key and its primary key, as dense as after the growth through many jobs."""
    scattered = layout.key == CELL_FIRST and layout is not BY_PAIR
    room = f"WITH (fillfactor = {GROWN})" if scattered else ""
    await connection.execute(f"CREATE UNIQUE INDEX ON {layout.table} ({layout.key}) {room}")
    # The key of a partitioned table holds the columns by which it is divided.
    added = layout.partition[layout.partition.find("(") + 1 : -1]
    primary = ", ".join(["id", added] if added else ["id"])
    await connection.execute(f"ALTER TABLE {layout.table} ADD PRIMARY KEY ({primary})")
    await connection.execute(f"VACUUM (FREEZE, ANALYZE) {layout.table}")


async def rekey(connection: asyncpg.Connection, layout: Layout) -> float:
    """Give the table the key that begins with the pair, nobody writing meanwhile; seconds that it took."""
    begun = time.perf_counter()
    keys = await connection.fetch(
        "SELECT indexrelid::regclass::text FROM pg_index"
        " WHERE indrelid = $1::text::regclass AND indisunique AND NOT indisprimary",
        layout.table,
    )
    for key in keys:  # first, so that the disk never holds both
        await connection.execute(f"DROP INDEX {key['indexrelid']}")
    await connection.execute(f"CREATE UNIQUE INDEX ON {layout.table} ({PAIR_FIRST})")
    return time.perf_counter() - begun


async def sizes(connection: asyncpg.Connection, layout: Layout) -> dict[str, int]:
    """Bytes of the rows, of the unique key and of the primary key, and how many rows there are."""
    row = await connection.fetchrow(
        """
        SELECT sum(pg_table_size(t))::bigint AS rows,
               sum((SELECT sum(pg_relation_size(indexrelid)) FILTER (WHERE NOT indisprimary) FROM pg_index
                    WHERE indrelid = t))::bigint AS key,
               sum((SELECT sum(pg_relation_size(indexrelid)) FILTER (WHERE indisprimary) FROM pg_index
                    WHERE indrelid = t))::bigint AS id,
               sum((SELECT reltuples FROM pg_class WHERE oid = t))::bigint AS count
        FROM unnest($1::text[]::regclass[]) AS t
        """,
        await _leaves(connection, layout.table),
    )
    return dict(row)


async def _leaves(connection: asyncpg.Connection, table: str) -> list[str]:
    rows = await connection.fetch(
        "SELECT relid::regclass::text FROM pg_partition_tree($1::text::regclass) WHERE isleaf", table
    )
    return [row["relid"] for row in rows] or [table]
