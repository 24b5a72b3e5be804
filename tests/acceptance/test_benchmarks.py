"""Every benchmark runs, at its smallest: both sides do the work, and the table says what it must."""

from __future__ import annotations

import asyncio
import math
import sys
from pathlib import Path

import orjson
import pytest

from benchmarks.registry import MODULES

ROOT = Path(__file__).parents[2]


async def bench(*arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks", *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


@pytest.mark.parametrize("name", MODULES)
async def test_a_smoke_run_measures_both_sides(name: str, tmp_path: Path) -> None:
    file, page = tmp_path / "rows.json", tmp_path / "page.md"
    code, output = await bench(name, "--smoke", "--json", str(file), "--write", str(page))
    assert code == 0, output
    assert "the ratios mean nothing" in output

    rows = orjson.loads(file.read_bytes())
    assert rows
    for row in rows:
        assert row["name"].split("/")[0] == name
        assert math.isfinite(row["ratio"])
        assert row["ratio"] > 0
        assert row["median_a"] > 0
        reached = row["ratio"] >= row["goal"] if row["sense"] == ">=" else row["ratio"] <= row["goal"]
        assert row["passed"] == reached
        assert f"| {row['name']} |" in page.read_text()


async def test_an_unknown_benchmark_is_named_with_those_that_there_are() -> None:
    code, output = await bench("speed")
    assert code == 2
    assert "no benchmark speed; there are job-annual, job-daily, limit," in output
