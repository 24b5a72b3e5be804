"""A process that explains numbers, so that SciPy and its memory stay out of the one that serves."""

from __future__ import annotations

import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import Any

import orjson

from consumers.report.worker import live_with
from schemas.errors import RiskflowError, Unavailable
from schemas.settings import Settings


class Explainer:
    """One process that explains cells, started with the first question; it ends when this one does."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._executor: ProcessPoolExecutor | None = None
        self._ends: tuple[Connection, ...] = ()

    async def explain(self, window: str, cell: dict[str, Any]) -> bytes:
        """The object of `riskflow explain --json`, encoded.

        Raises:
            RiskflowError: As ops.explain.explain.
            Unavailable: The process was killed meanwhile.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._started(), explained, self._settings, window, cell)
        except BrokenProcessPool:
            self.close()
            raise Unavailable("the process that explains numbers was killed; try again") from None

    def close(self) -> None:
        """End the process."""
        executor, self._executor = self._executor, None
        for end in self._ends:
            end.close()
        self._ends = ()
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)

    def _started(self) -> ProcessPoolExecutor:
        if self._executor is None:
            context = multiprocessing.get_context("spawn")
            self._ends = context.Pipe(duplex=False)
            self._executor = ProcessPoolExecutor(1, context, initializer=live_with, initargs=(self._ends[0],))
        return self._executor


def explained(settings: Settings, window: str, cell: dict[str, Any]) -> bytes:
    """Explain one cell in this process."""
    from ops.show import explanation  # noqa: PLC0415 - brings SciPy and numba

    try:
        return orjson.dumps(asyncio.run(explanation(settings, window, cell)))
    except RiskflowError as error:
        # The cause may hold what cannot travel between processes.
        raise type(error)(*error.args) from None
