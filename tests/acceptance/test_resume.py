"""Real processes: a job cancelled in the middle, and one with dead letters, end whole after all."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from rich.console import Console
from whole import Whole, draw_grid, running

from ops import dead_letters, lifecycle
from ops.dead_letters import Filter, Replaying
from schemas.topics import HAZARDS

CELLS = 240
RISKS = 9


@pytest.fixture
async def grid(database_url: str, tmp_path: Path) -> AsyncIterator[Whole]:
    """Many small chunks, few of them sent ahead, so that most are left when the job is cancelled."""
    async with running(database_url, tmp_path, batch_size=2, chunks_ahead=1) as whole:
        await draw_grid(whole.connection, CELLS)
        yield whole


async def counters(whole: Whole, job_id: str) -> tuple:
    row = await whole.connection.fetchrow(
        "SELECT status, processed_grids, failed_grids, success_rate, error_message, "
        "chunks_done = chunks_total FROM batch_job_logs WHERE job_id = $1",
        job_id,
    )
    risks = await whole.connection.fetch(
        "SELECT reported, failed FROM batch_job_risks WHERE job_id = $1", job_id
    )
    return (*row, {tuple(each) for each in risks}, len(risks))


async def test_a_job_cancelled_in_the_middle_and_one_with_a_dead_letter_end_whole(grid: Whole) -> None:
    await grid.services.start()
    await grid.trigger("climate", "undisturbed")
    await grid.ended("undisturbed")
    undisturbed = await grid.rows()
    await grid.connection.execute("TRUNCATE probability_results, hazard_results")
    whole_end = ("completed", CELLS, 0, 100.0, None, True, {(2 * CELLS, 0)}, RISKS)
    assert await counters(grid, "undisturbed") == whole_end

    await grid.trigger("climate", "disturbed")
    await grid.until("SELECT chunks_done >= 3 FROM batch_job_logs WHERE job_id = 'disturbed'")
    cancelled = await lifecycle.cancel(grid.connection, "disturbed", "operator")
    assert 3 <= cancelled.chunks_done < cancelled.chunks_total
    # A job that comes after it is not held back, and takes its rows' place.
    await grid.trigger("hazard", "later")
    assert (await grid.ended("later")).status == "completed"
    left = "SELECT kinds_left > 0 FROM batch_job_chunks WHERE job_id = 'disturbed' ORDER BY 1 DESC LIMIT 1"
    assert await grid.connection.fetchval(left), "nothing was left to resume"

    await lifecycle.resume(grid.connection, "disturbed", "operator")
    assert (await grid.ended("disturbed")).status == "completed"
    assert await counters(grid, "disturbed") == whole_end
    assert await grid.rows() == undisturbed

    await dead_letter_comes_and_is_replayed(grid)
    assert await grid.rows() == undisturbed


async def dead_letter_comes_and_is_replayed(grid: Whole) -> None:
    """A table that refuses some rows for a while: its results are dead letters until it is mended."""
    await grid.connection.execute(
        "ALTER TABLE hazard_results ADD CONSTRAINT own CHECK (job_id <> 'refused' OR id % 400 <> 0) NOT VALID"
    )
    await grid.trigger("hazard", "refused")
    assert (await grid.ended("refused")).status == "completed_with_failures"
    letters = "SELECT count(*) FROM outbox WHERE topic = 'risk.hazards.v1.dlq'"
    count = await grid.until(f"{letters} AND published_at IS NOT NULL")

    await grid.connection.execute("ALTER TABLE hazard_results DROP CONSTRAINT own")
    with (grid.logs / "replayed.txt").open("w+") as file:
        out = Console(file=file, width=200)
        wanted = Filter.of(HAZARDS.name, None, "refused", "1h")
        await dead_letters.act(grid.settings, out, [], wanted, Replaying("operator"), lambda _: None)
        file.seek(0)
        assert len(re.findall("put back on risk.hazards.v1", file.read())) == count
    assert (await grid.ended("refused")).status == "completed"
    assert (await counters(grid, "refused")) == (
        *("completed", CELLS, 0, 100.0, None, True),
        *({(CELLS, 0)}, RISKS),
    )
