"""Perform faults one after the other and say what became of each."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable

import psutil
from faults.registry import Fault
from faults.run import Run
from faults.stage import CELLS, Stage
from faults.verdict import Verdict, judge

JUDGE_SECONDS = 60.0
YOUNG_SECONDS = 10.0
"""A process younger than this may still be importing, and then ends by the signal itself."""

Say = Callable[[str], None]


async def perform(stage: Stage, fault: Fault, kind: str, say: Say, cells: int = CELLS) -> Verdict:
    """Run one fault from the start of its broker to the end of its services."""
    began = time.monotonic()
    verdict = Verdict()
    try:
        async with stage.run(fault, kind, cells) as run:
            verdict = await _disturbed(run, fault, say)
            if not verdict.good:
                stage.keep(run)
    except Exception as error:  # noqa: BLE001 - servers that do not start or stop are a row of the table too
        verdict.problems.append(f"{type(error).__name__}: {error}")
    verdict.took = time.monotonic() - began
    return verdict


async def _disturbed(run: Run, fault: Fault, say: Say) -> Verdict:
    watch = asyncio.create_task(_watch(run, say))
    try:
        verdict = await act_and_judge(run, fault)
    finally:
        watch.cancel()
    say("stopping")
    verdict.problems += await stop_services(run)
    return verdict


async def act_and_judge(run: Run, fault: Fault) -> Verdict:
    """Perform a fault over services that its run starts or that run already, and judge what it left."""
    try:
        async with asyncio.timeout(fault.limit):
            await fault.act(run)
            await run.all_running()
        async with asyncio.timeout(JUDGE_SECONDS):
            return await judge(run)
    except TimeoutError:
        verdict = Verdict(lost=1, problems=[*run.problems, f"did not end within {fault.limit:g} s"])
    except Exception as error:  # noqa: BLE001 - a fault that cannot be performed is a row of the table too
        verdict = Verdict(lost=1, problems=[*run.problems, f"{type(error).__name__}: {error}"])
    return verdict


async def stop_services(run: Run) -> list[str]:
    """Stop every service; what did not end well, or left a process behind."""
    pids = run.services.pids()
    processes = [psutil.Process(pid) for pid in pids.values() if psutil.pid_exists(pid)]
    young = {name for name, pid in pids.items() if _age(pid) < YOUNG_SECONDS}
    family = [*processes, *(child for each in processes for child in each.children(recursive=True))]
    await run.services.stop()
    problems = []
    for name in pids:
        code = run.services.instances[name].exit_code
        if code != 0 and not (name in young and code == -signal.SIGTERM):
            problems.append(f"{name} ended with {code} when it was stopped")
    _, alive = psutil.wait_procs(family, timeout=5)
    return problems + [f"process {each.pid} was left" for each in alive]


def _age(pid: int) -> float:
    try:
        return time.time() - psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return 0.0


async def _watch(run: Run, say: Say) -> None:
    """Say how far the jobs are, again and again."""
    while True:
        rows = await run.ledger.fetch(
            "SELECT sum(chunks_done) AS done, sum(chunks_total) AS total FROM batch_job_logs"
        )
        if rows[0]["total"]:
            say(f"{rows[0]['done']} of {rows[0]['total']} chunks")
        await asyncio.sleep(1)
