"""Counters that follow a transaction."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from schemas.metrics import REGISTRY, ROWS_WRITTEN, count, count_rows, counted_with_commit


def rows(table: str) -> float:
    return REGISTRY.get_sample_value("riskflow_rows_written_total", {"table": table}) or 0


def write_and_fail(table: str, amount: int) -> None:
    with counted_with_commit():
        count_rows(table, f"INSERT 0 {amount}")
        raise ValueError("undone")


def test_rows_are_counted_when_the_transaction_ends_and_not_before() -> None:
    with counted_with_commit():
        count_rows("committed", "INSERT 0 64")
        count_rows("committed", "UPDATE 2")
        assert rows("committed") == 0
    assert rows("committed") == 66


def test_what_is_rolled_back_is_not_counted() -> None:
    with pytest.raises(ValueError, match="undone"):
        write_and_fail("rolled-back", 64)
    assert rows("rolled-back") == 0


def test_a_savepoint_takes_only_its_own_rows_with_it() -> None:
    with counted_with_commit():
        count_rows("savepoints", "INSERT 0 1")
        with pytest.raises(ValueError, match="undone"):
            write_and_fail("savepoints", 10)
        with counted_with_commit():
            count_rows("savepoints", "INSERT 0 100")
    assert rows("savepoints") == 101


async def test_transactions_side_by_side_do_not_mix() -> None:
    both = asyncio.Barrier(2)

    async def write(table: str, *, fails: bool) -> None:
        with counted_with_commit():
            await both.wait()
            count(ROWS_WRITTEN, table, 5)
            await both.wait()
            if fails:
                raise ValueError(table)

    await asyncio.gather(write("kept", fails=False), write("lost", fails=True), return_exceptions=True)
    assert (rows("kept"), rows("lost")) == (5, 0)


def test_names_follow_the_conventions_of_prometheus() -> None:
    families = [
        family
        for family in text_string_to_metric_families(generate_latest(REGISTRY).decode())
        if family.name.startswith("riskflow")
    ]
    assert {family.type for family in families} == {"counter", "gauge", "histogram"}
    for family in families:
        assert family.documentation, family.name
        assert (family.type == "histogram") == family.name.endswith("_seconds") or family.type == "gauge"
    assert REGISTRY.get_sample_value("process_resident_memory_bytes")
