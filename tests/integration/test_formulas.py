"""The CSV reports' texts, as PostgreSQL writes them: none that a spreadsheet would compute."""

from __future__ import annotations

import asyncpg
import pytest

from consumers.report import tables


@pytest.fixture
async def database(database_url: str) -> asyncpg.Connection:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def test_a_text_that_begins_as_a_formula_gets_an_apostrophe(database: asyncpg.Connection) -> None:
    formulas = [f"{sign}1" for sign in "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"]
    texts = ["S1", "a=1", " =1", "\u4e00=1", "'=1", ""]
    rows = await database.fetch(
        f"SELECT {tables._harmless('text')} FROM unnest($1::text[]) "  # noqa: S608 - the module's expression
        "WITH ORDINALITY AS t (text, place) ORDER BY place",
        formulas + texts,
    )
    assert [row[0] for row in rows] == [f"'{text}" for text in formulas] + texts
