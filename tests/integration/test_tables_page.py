"""docs/tables.md is the reference of the tables: it names every table and column of a migrated database."""

from __future__ import annotations

import re

INTERNAL = {"outbox", "climate_packed", "climate_stale"}
"""Tables whose columns are nobody's business; the page says that they are not to be written."""
WORD = re.compile(r"[A-Za-z0-9_]+")
COLUMNS = """
    SELECT table_schema, table_name, column_name FROM information_schema.columns
    WHERE table_schema IN ('public', 'riskflow') ORDER BY 1, 2, ordinal_position
"""


LIKE = {"hazard_results": "probability_results", "current_hazard_results": "current_probability_results"}
"""Tables that are described with another, of whose columns the page says that they have them too."""


def described(page: str, table: str) -> set[str]:
    """Words of a table's section, or of its line in a list or table."""
    section = re.search(rf"^### {table}\n(.*?)(?=^##)", page, re.MULTILINE | re.DOTALL)
    line = re.search(rf"^(?:- |\| )?`(?:riskflow\.)?{table}`.*$", page, re.MULTILINE)
    own = set(WORD.findall(section[1] if section else line[0] if line else ""))
    return own | described(page, LIKE[table]) if table in LIKE else own


async def test_every_table_and_column_is_named(connection, request):
    page = (request.config.rootpath / "docs" / "tables.md").read_text(encoding="utf-8")
    words = set(WORD.findall(page))
    rows = await connection.fetch(COLUMNS)
    tables = {row["table_name"] for row in rows}
    assert len(tables) > 30
    assert tables - words == set()
    missing = [
        f"{row['table_name']}.{row['column_name']}"
        for row in rows
        if not is_internal(row["table_name"]) and row["column_name"] not in described(page, row["table_name"])
    ]
    assert missing == []


def is_internal(table: str) -> bool:
    return table in INTERNAL or table.endswith("_superseded")


async def test_the_page_names_no_table_that_is_not_there(connection, request):
    page = (request.config.rootpath / "docs" / "tables.md").read_text(encoding="utf-8")
    there = {row["table_name"] for row in await connection.fetch(COLUMNS)}
    headed = set(re.findall(r"^### (\w+_\w+)$", page, re.MULTILINE))
    listed = set(re.findall(r"^(?:- |\| )`(?:riskflow\.)?(\w+_\w+)`", page, re.MULTILINE))
    listed -= {"completed_with_failures", "no_data"}
    assert len(headed | listed) > 20
    assert headed | listed <= there
