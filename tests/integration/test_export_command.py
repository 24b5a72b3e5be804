"""`riskflow export` and `riskflow scenario` as a person types them, and the examples of docs/exports.md."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import orjson
import pytest
from climate_stage import fill
from computed import run_job

from schemas.settings import Settings

ROOT = Path(__file__).parents[2]
CELLS = [(35.1, 129.03), (37.571, 126.966)]


@pytest.fixture
async def results(database_url: str, flow_settings: Settings) -> AsyncIterator[str]:
    """DSN of a database with drought and typhoon at two stations."""
    connection = await asyncpg.connect(database_url)
    await fill(connection, CELLS)
    await run_job(connection, flow_settings, "job", ["drought", "typhoon"])
    await connection.close()
    return database_url


async def riskflow(
    dsn: str, *arguments: str, folder: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    return await python(dsn, "-m", "ops.entry", *arguments, folder=folder)


async def python(dsn: str, *arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, *arguments],
        capture_output=True,
        cwd=folder or ROOT,
        env=environment | {"DATABASE_URL": dsn, "PYTHONPATH": str(ROOT)},
        timeout=120,
        check=False,
    )


async def test_csv_goes_to_standard_output_and_other_formats_to_their_file(results: str, tmp_path: Path):
    done = await riskflow(results, "export", "--format", "csv", "--risk", "drought")
    assert (done.returncode, done.stderr) == (0, b"")
    header, *rows = done.stdout.decode().splitlines()
    assert header.startswith("latitude,longitude,risk_type,")
    assert len(rows) == len(CELLS)
    path = tmp_path / "results.parquet"
    done = await riskflow(results, "export", "--format", "parquet", "--out", str(path))
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == f"{path}: 4 rows of cell and risk\n"
    assert path.read_bytes()[:4] == b"PAR1"


async def test_what_cannot_be_exported_is_told_in_a_sentence(results: str, tmp_path: Path):
    path = tmp_path / "absent" / "results.csv"
    for arguments, sentence in (
        (["--risk", "wildfire"], "no results of wildfire under scenario historical, 1991-2020; there are: "),
        (["--window", "2021"], "write the first and last year as START-END"),
        (["--bbox", "39,0,33,1"], "the minimum of latitude and longitude must not exceed the maximum"),
        (["--out", str(path)], "cannot be written"),
    ):
        done = await riskflow(results, "export", "--format", "csv", *arguments)
        assert (done.returncode, done.stdout) == (1, b"")
        assert sentence in done.stderr.decode()
        assert "Traceback" not in done.stderr.decode()


async def test_binary_formats_are_not_written_to_a_terminal(results: str):
    command = "[sys.executable, '-m', 'ops.entry', 'export', '--format', 'netcdf']"
    script = f"import pty, sys; sys.exit(pty.spawn({command}) >> 8)"
    done = await python(results, "-c", script)
    assert done.returncode == 1
    assert b"netcdf is not for a terminal" in done.stdout


async def test_a_scenario_is_derived_and_listed(results: str):
    done = await riskflow(results, "scenario", "derive", "--name", "warm2", "--ta", "+2", "--rn", "x1.08")
    assert (done.returncode, done.stderr) == (0, b"")
    told = done.stdout.decode()
    assert "scenario warm2: 720 months of 2 cells, derived from historical" in told
    assert "high_temperature: no number (no_data: wsdi)" in told
    done = await riskflow(results, "scenario", "list", "--json")
    _, _, warm = orjson.loads(done.stdout)
    assert warm == {
        "scenario": "warm2",
        "derived_from": "historical",
        "ta": 2.0,
        "rn": 1.08,
        "has_climate": True,
        "windows": [],
    }
    done = await riskflow(results, "scenario", "derive", "--name", "warm2", "--ta", "warm")
    assert (done.returncode, done.stderr) == (
        1,
        b"riskflow: --ta 'warm': write a number, such as 2 or -1.5\n",
    )


async def test_the_python_examples_of_the_page_run(results: str, tmp_path: Path):
    done = await riskflow(results, "export", "--format", "netcdf", "--out", str(tmp_path / "warm2.nc"))
    assert done.returncode == 0
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/exports.md").read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        # The plot needs a library that nothing else here does.
        program = (
            block.replace(".plot()", "")
            + "\nprint(sorted(set(globals()) & {'worst', 'mean_loss', 'results'}))"
        )
        done = await python(results, "-W", "error", "-c", program, folder=tmp_path)
        assert (done.returncode, done.stderr) == (0, b""), block
        assert done.stdout.strip() in {b"['mean_loss', 'worst']", b"['results']"}


async def test_the_python_functions_work_within_a_running_event_loop(results: str):
    program = (
        "import asyncio\nfrom ops.export.frames import results_frame\n"
        "async def notebook(): return len(results_frame(risk=['drought', 'typhoon']))\n"
        "print(asyncio.run(notebook()))"
    )
    done = await python(results, "-c", program)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"4\n", b"")
