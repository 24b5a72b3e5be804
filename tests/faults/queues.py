"""Faults of time and order: a long queue, and a grid or a chunk size that changes in the middle of a job."""

from __future__ import annotations

from dataclasses import replace

import asyncpg
from acceptance.whole import SEED, YEARS
from faults.registry import fault
from faults.run import Run

from ops.generator.cells import regular_grid
from ops.generator.stored import store_cells

RISKS = 9
MORE_CELLS = 50
QUEUE_SECONDS = 600


@fault(
    "long-queue",
    "a queue of ten minutes before slow workers",
    pace=12.0,
    limit=1_200,
)
async def long_queue(run: Run) -> None:
    """A hundred chunks of twelve seconds each, two workers; a queue is no loss, whatever its age."""
    await run.start()
    await run.trigger()
    await run.ended()
    row = (
        await run.ledger.fetch(
            """
            SELECT max(sends) AS sends, max(losses) AS losses,
                   extract(epoch FROM max(completed_at) - min(started_at))::float8 AS seconds
            FROM batch_job_chunks JOIN batch_job_logs USING (job_id)
            """
        )
    )[0]
    if (row["sends"], row["losses"]) != (1, 0):
        run.problems.append(f"a chunk was sent {row['sends']} times, {row['losses']} losses were counted")
    if row["seconds"] < QUEUE_SECONDS:
        run.problems.append(f"the queue lasted {row['seconds']:.0f} s only")


@fault("batch-size", "BATCH_SIZE changed and cells loaded in the middle of a job")
async def batch_size_changed(run: Run) -> None:
    await run.start()
    await run.trigger()
    await run.progress(0.2)
    async with run.outage():
        sink = run.services.instances["sink"]
        other = 2 * run.settings.batch_size + 1
        sink.service = replace(sink.service, env={**sink.service.env, "BATCH_SIZE": str(other)})
        await run.services.stop("sink")
        await run.services.start("sink")
    await load_more(run)
    if await run.ledger.value("SELECT status FROM batch_job_logs WHERE job_id = 'job'") != "running":
        run.problems.append("the job ended before the cells were loaded, so nothing was shown")
    await run.ended()
    await _frozen_as_before(run)
    job = await run.trigger("after")
    run.more_rows = RISKS * MORE_CELLS
    run.jobs["job"].cells = run.cells
    job.cells = run.cells + MORE_CELLS
    await run.ended("after")


async def load_more(run: Run) -> None:
    """Load cells that follow those of the grid."""
    cells = regular_grid(run.cells + MORE_CELLS)[run.cells :]
    connection = await asyncpg.connect(run.ledger.dsn)
    try:
        async with connection.transaction():
            await store_cells(connection, cells, YEARS, SEED)
    finally:
        await connection.close()


async def _frozen_as_before(run: Run) -> None:
    """The job that was running keeps its cells and chunks, and wrote nothing about other cells."""
    sizes = await run.ledger.fetch("SELECT DISTINCT cells FROM batch_job_chunks WHERE job_id = 'job'")
    if [row["cells"] for row in sizes] != [run.settings.batch_size]:
        run.problems.append(f"the running job's chunks changed their size: {sizes}")
    rows = await run.ledger.value("SELECT count(*) FROM probability_results")
    if rows != RISKS * run.cells:
        run.problems.append(f"the running job wrote {rows} rows")
