"""Faults of workers and sinks."""

from __future__ import annotations

import asyncio

from faults import strikes
from faults.registry import fault
from faults.run import Run

STORM_SECONDS, STORM_STEP = 60.0, 5.0
DOOMED_CHUNK = 7
DEATHS = 5


async def struck_at(run: Run, strike: strikes.Act, *shares: float) -> None:
    """One job over the whole grid, struck when these shares of its chunks are done."""
    await run.start()
    await run.trigger()
    for share in shares:
        await run.progress(share)
        await strike(run)
    await run.ended()


@fault("none", "undisturbed")
async def undisturbed(run: Run) -> None:
    await run.start()
    await run.trigger()
    await run.ended()


@fault("worker-kill", "worker kill -9, three times")
async def worker_killed(run: Run) -> None:
    await struck_at(run, strikes.worker_killed, 0.1, 0.4, 0.7)


@fault("sink-kill", "sink kill -9 between COPY and commit")
async def sink_killed_before_commit(run: Run) -> None:
    await struck_at(run, strikes.sink_killed_before_commit, 0.3)


@fault("sink-kill-after", "sink kill -9 between commit and offsets")
async def sink_killed_after_commit(run: Run) -> None:
    await struck_at(run, strikes.sink_killed_after_commit, 0.3)


@fault("sink-stop", "sink SIGSTOP 40 s inside a transaction, then CONT")
async def sink_stalled(run: Run) -> None:
    await struck_at(run, strikes.sink_stalled, 0.3)


@fault(
    "rebalance-storm",
    "worker added or removed every 5 s for a minute",
    pace=1.5,
    settings={"parallel_workers": 3},
)
async def rebalance_storm(run: Run) -> None:
    await run.start("sink", "producers", "worker-1", "worker-2")
    await run.trigger()
    await run.progress(0.01)
    async with run.outage():
        for step in range(int(STORM_SECONDS / STORM_STEP)):
            await (run.services.stop if step % 2 else run.services.start)("worker-3")
            await asyncio.sleep(STORM_STEP)
    done = await run.ledger.value("SELECT chunks_done < chunks_total FROM batch_job_logs")
    if not done:
        run.problems.append("the job ended before the storm, so it was not disturbed by all of it")
    await run.ended()


@fault(
    "early-join",
    "a second worker joins before anything is committed",
    points="climate.compute=sleep 25 once",
)
async def early_join(run: Run) -> None:
    """What the first worker has fetched, and nobody has acknowledged, must not be passed over."""
    run.arm("climate.compute", "sleep")
    await run.start("sink", "producers", "worker-1")
    await run.trigger()
    await run.until_value("SELECT max(starts) > 0 FROM batch_job_chunks")
    async with run.outage():
        await run.start("worker-2")
    await run.ended()


@fault(
    "deadly-chunk",
    "a chunk that kills its worker",
    points=f"climate.compute=kill:job:{DOOMED_CHUNK}",
)
async def deadly_chunk(run: Run) -> None:
    await run.start()
    job = await run.trigger()
    job.failed_chunks = (DOOMED_CHUNK,)
    await run.ended()
    query = "SELECT error_message FROM batch_job_logs"
    told = await run.ledger.value(query)
    if f"died {DEATHS} times" not in (told or ""):
        run.problems.append(f"the job's error does not tell of {DEATHS} deaths but says: {told}")
