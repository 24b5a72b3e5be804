"""Ratios of benchmarks: which way round, what passes, in which order the sides are measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from benchmarks.outcome import Outcome, speeds, times
from benchmarks.rounds import Size, alternate
from benchmarks.table import cells, write_json


def test_of_speeds_the_faster_first_side_gives_more_than_one() -> None:
    found = speeds("job", "ours, theirs", "cells/s", [900.0, 1000.0, 5000.0], [100.0, 50.0, 90.0], 10.0)
    assert found.ratio == pytest.approx(1000 / 90)
    assert found.passed


def test_of_times_the_shorter_first_side_gives_more_than_one() -> None:
    found = times("spei", "ours, theirs", "ms", [2.0, 1.0, 3.0], [8.0, 8.0, 9.0], 4.5)
    assert found.ratio == pytest.approx(4.0)
    assert not found.passed


def test_a_bound_passes_below_it_and_no_number_never_does() -> None:
    bound = Outcome("latency", "p99 to 1 s", "s", (0.4,), (), 0.4, 1.0, "<=")
    assert bound.passed
    assert not Outcome("latency", "p99 to 1 s", "s", (1.2,), (), 1.2, 1.0, "<=").passed
    for sense in (">=", "<="):
        assert not Outcome("x", "", "s", (1.0,), (), math.nan, 1.0, sense).passed


async def test_sides_take_turns_and_the_warm_up_is_thrown_away() -> None:
    turns: list[str] = []

    def side(name: str) -> Callable[[], object]:
        async def measure() -> float:
            turns.append(name)
            return float(len(turns))

        return measure

    found = await alternate(Size(rounds=2), side("a"), side("b"))  # type: ignore[arg-type]
    assert "".join(turns) == "ababab"
    assert found == [[3.0, 5.0], [4.0, 6.0]]


def test_a_row_says_pass_or_miss_with_its_goal(tmp_path: Path) -> None:
    row = times("fwi", "kernel, peer", "ms", [1.25], [12345.0], 5.0)
    assert cells(row) == ("fwi", "kernel, peer", "1.25 ms", "12,345 ms", "9,876", ">= 5", "pass")
    write_json(tmp_path / "rows.json", [row])
    document = orjson.loads((tmp_path / "rows.json").read_bytes())
    assert [(each["name"], each["passed"], each["median_b"]) for each in document] == [("fwi", True, 12345.0)]
