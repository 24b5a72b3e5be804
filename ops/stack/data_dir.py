"""The stack's data directory: temporary or given, held by one stack at a time."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from ops.stack.registry import STATE_FILE, recorded_stack
from schemas.errors import RiskflowError

LEFTOVER_SECONDS = 15.0  # how long what a killed supervisor left may take to end (expert assumption)
# PostgreSQL of a stack that root starts runs as another user, who must get through to its own folder.
ROOT_MODE, OWN_MODE = 0o711, 0o700


@contextmanager
def locked_data_dir(given: Path | None) -> Iterator[Path]:
    """The data directory, held by this process alone; a temporary one is removed at the end.

    Raises:
        RiskflowError: another stack runs on it, or it cannot be made.
    """
    folder = Path(tempfile.mkdtemp(prefix="riskflow-")) if given is None else given.absolute()
    try:
        if given is None or not folder.exists():
            make_folder(folder)
        with locked(folder):
            yield folder
    finally:
        if given is None:
            shutil.rmtree(folder)


def make_folder(folder: Path) -> None:
    """Make the folder, or set its mode, so that nobody but its owner can list it.

    Raises:
        RiskflowError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(ROOT_MODE if os.geteuid() == 0 else OWN_MODE)
    except OSError as error:
        raise RiskflowError(f"cannot make the data directory {folder}: {error.strerror}") from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock file; the system lets go of it when the process ends, however it ends.

    Raises:
        RiskflowError: another process holds it, or it cannot be written.
    """
    try:
        file = (folder / "lock").open("a+")
    except OSError as error:
        raise RiskflowError(f"cannot write in the data directory {folder}: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise RiskflowError(
                f"riskflow is already running on {folder} (process {file.read().strip()}): "
                "stop it first, or choose another data directory"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


async def end_leftovers(folder: Path) -> None:
    """End what a supervisor that was killed has left running; on Linux the kernel has done so already."""
    state = recorded_stack(folder / STATE_FILE)
    marks = state.processes if state else {}
    left = {name: process for name, mark in marks.items() if (process := mark.process())}
    for name, process in left.items():
        process.send_signal(signal.SIGINT if name == "postgresql" else signal.SIGKILL)
    _, alive = await asyncio.to_thread(psutil.wait_procs, list(left.values()), LEFTOVER_SECONDS)
    if alive:
        numbers = ", ".join(str(process.pid) for process in alive)
        raise RiskflowError(f"processes {numbers} of an earlier stack on {folder} do not end: end them")
