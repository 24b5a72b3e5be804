"""Processes that write reports, one per core, and none that outlives its parent."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection

import structlog

from consumers.report.worker import Outcome, Task, live_with, write_report
from schemas.metrics import RENDER_SECONDS

MAX_TRIES = 3
"""Tries of a report whose worker dies of it, before its tenant fails (expert assumption)."""

log = structlog.get_logger(__name__)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Pool:
    """Writes reports in parallel; its processes start with the first report."""

    def __init__(self, size: int | None = None) -> None:
        self._size = size or cores()
        self._context = multiprocessing.get_context("spawn")
        self._executor: ProcessPoolExecutor | None = None
        self._ends: tuple[Connection, ...] = ()

    async def write(self, tasks: Sequence[Task], beat: Callable[[], None] = lambda: None) -> list[Outcome]:
        """Write every report, in the order of the tasks; `beat` is called after each try of one.

        Raises:
            Exception: The first that `write_report` raised, after all have ended.
        """
        writing = (self._submitted(task, beat) for task in tasks)
        results = await asyncio.gather(*writing, return_exceptions=True)
        if any(isinstance(result, BrokenProcessPool) for result in results):
            self.close()
        outcomes = []
        for task, result in zip(tasks, results, strict=True):
            if isinstance(result, BrokenProcessPool):
                # One worker's death breaks the pool for all; alone, each shows whether it is the cause.
                outcomes.append(await self._alone(task, beat))
            elif isinstance(result, BaseException):
                raise result
            else:
                outcomes.append(result)
        return outcomes

    async def _alone(self, task: Task, beat: Callable[[], None]) -> Outcome:
        loop = asyncio.get_running_loop()
        for tried in range(1, MAX_TRIES + 1):
            began = loop.time()
            try:
                return await self._submitted(task, beat)
            except BrokenProcessPool:
                self.close()
                log.warning(
                    "a worker was killed while it wrote a report", tenant=task.tenant.org_id, tried=tried
                )
            if loop.time() - began > task.seconds:
                # It was its time that ran out, and so it would again.
                break
        times = "once" if tried == 1 else f"{tried} times"
        return Outcome(
            failure=f"its report killed the process that wrote it, {times} (out of memory, or an endless "
            "expression in a template?)"
        )

    async def _submitted(self, task: Task, beat: Callable[[], None]) -> Outcome:
        loop = asyncio.get_running_loop()
        try:
            with RENDER_SECONDS.time():
                return await loop.run_in_executor(self._started(), write_report, task)
        finally:
            beat()

    def _started(self) -> ProcessPoolExecutor:
        if self._executor is None:
            self._ends = self._context.Pipe(duplex=False)
            self._executor = ProcessPoolExecutor(
                self._size, self._context, initializer=live_with, initargs=(self._ends[0],)
            )
        return self._executor

    def close(self) -> None:
        """End the processes at once; a report being written leaves the one before it in place."""
        executor, self._executor = self._executor, None
        for end in self._ends:
            end.close()
        self._ends = ()
        if executor is not None:
            executor.shutdown(wait=True, cancel_futures=True)
