"""From temporary tables into the database's own: repeated keys, then one merge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from ops.load.findings import MAX_FAULTS, Findings

# A stage is ordered by file and line; each later row is held against the first with its key.
REPEATS = """
SELECT first_file, first_line, file, line, differs FROM (
    SELECT file, line, first_value(file) OVER same AS first_file, first_value(line) OVER same AS first_line,
           {differs} AS differs, row_number() OVER same AS place
    FROM pg_temp.{stage}
    WHERE ({key}) IN (SELECT {key} FROM pg_temp.{stage} GROUP BY {key} HAVING count(*) > 1)
    WINDOW same AS (PARTITION BY {key} ORDER BY file, line)
) rows
WHERE place > 1 ORDER BY file, line
"""


@dataclass(frozen=True, slots=True)
class Merged:
    """Rows given for a table, and how many of them are new or differ from what was stored."""

    given: int
    changed: int


async def check_repeats(  # noqa: PLR0913 - the parts of one query
    connection: asyncpg.Connection,
    stage: str,
    key: Sequence[str],
    carried: Sequence[str],
    *,
    files: Sequence[str],
    findings: Findings,
) -> None:
    """Count staged rows that repeat another exactly; those with other values refuse the load.

    Raises:
        InvalidFile: Names both lines of each pair.
    """
    differs = " OR ".join(f"{name} IS DISTINCT FROM first_value({name}) OVER same" for name in carried)
    query = REPEATS.format(stage=stage, key=", ".join(key), differs=differs or "false")
    async for row in connection.cursor(query, prefetch=1000):
        if not row["differs"]:
            findings.duplicates += 1
        elif findings.spelt_out < MAX_FAULTS:
            earlier, later = files[row["first_file"]], files[row["file"]]
            findings.fault_of_line((later, row["line"]), repeats(earlier, row["first_line"], later))
        else:
            findings.more(1)
    findings.settle()


def repeats(earlier: str, line: int, later: str) -> str:
    """The sentence about a row that contradicts an earlier one."""
    where = f"line {line}" if earlier == later else f"{earlier} line {line}"
    return f"has the key of {where} with other values; keep one of them"


async def merge(  # noqa: PLR0913 - the parts of one statement
    connection: asyncpg.Connection,
    stage: str,
    table: str,
    key: Sequence[str],
    carried: Sequence[str],
    *,
    repeated: int = 0,
) -> Merged:
    """Insert the rows of a stage, of equal keys one; where a key is stored, replace the carried columns.

    A row that changes nothing is not written, so that it makes no cell stale.

    Args:
        stage: Temporary table.
        table: Where its rows go.
        key: Columns of the table's key.
        carried: The other columns.
        repeated: Rows of the stage that repeat another's key.
    """
    names, keys = ", ".join([*key, *carried]), ", ".join(key)
    change = ", ".join(f"{name} = excluded.{name}" for name in carried)
    old, new = (", ".join(f"{row}.{name}" for name in carried) for row in ("stored", "excluded"))
    action = f"UPDATE SET {change} WHERE ROW({old}) IS DISTINCT FROM ROW({new})" if carried else "NOTHING"
    given = await connection.fetchval(f"SELECT count(*) FROM pg_temp.{stage}")  # noqa: S608 - own names
    answer = await connection.execute(
        f"""
        INSERT INTO {table} AS stored ({names})
        SELECT DISTINCT ON ({keys}) {names} FROM pg_temp.{stage} ORDER BY {keys}
        ON CONFLICT ({keys}) DO {action}
        """  # noqa: S608 - own names
    )
    return Merged(given - repeated, int(answer.split()[-1]))
