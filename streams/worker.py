"""The climate worker as a process: limits that must stand before NumPy is imported, then the service."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from schemas.pulse import Pulse
from schemas.settings import Settings

THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Workers are scaled by processes; threads of array libraries would only get into each other's way."""


def main(settings: Settings, data_dir: Path, pulse: Pulse | None = None) -> int:
    """Run one worker until SIGTERM or SIGINT; logging is configured by the caller.

    Args:
        settings: Broker, database, RISKS_FILE and START_TIMEOUT.
        data_dir: Folder of this worker alone; made if missing.
        pulse: Learns how it gets on.

    Returns:
        0 after a stop in which everything held was finished. A fault that is nobody's message ends the
        process with 3, a run of dead letters with 78, without returning.

    Raises:
        RiskflowError: The worker cannot start; the sentence says why.
    """
    os.environ.update(dict.fromkeys(THREAD_LIMITS, "1"))
    data_dir.mkdir(parents=True, exist_ok=True)
    from streams.service import run  # noqa: PLC0415 - NumPy reads the limits when it is imported

    asyncio.run(run(settings, data_dir, pulse))
    return 0
