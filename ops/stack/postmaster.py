"""Which PostgreSQL server holds a data directory: what `postmaster.pid` says, checked with the processes."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil
from tenacity import AsyncRetrying, retry_if_result, stop_after_delay, wait_fixed

from schemas.errors import RiskflowError

PROGRAM = "postgres"
LOOK_SECONDS = 0.05  # between two looks (expert assumption)
RELEASE_SECONDS = 15.0  # how long a server that is stopping is waited for (expert assumption)
PID_LINE, STATUS_LINE = 0, 7  # of postmaster.pid (miscadmin.h, LOCK_FILE_LINE_*)


def claimed(data: Path) -> tuple[int | None, str]:
    """Process id and status that `postmaster.pid` gives; None and "" where it gives none."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None, ""
    pid = lines[PID_LINE].strip() if lines else ""
    status = lines[STATUS_LINE].strip() if len(lines) > STATUS_LINE else ""
    return (int(pid) if pid.isdecimal() else None), status


def servers(data: Path) -> set[int]:
    """Process ids of the PostgreSQL processes that work in the directory."""
    found = set()
    for process in psutil.process_iter(["name"]):
        if process.info["name"] != PROGRAM:
            continue
        try:
            if Path(process.cwd()) == data:
                found.add(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def held(data: Path) -> bool:
    """Whether a server is stopping, or processes of a killed one are still leaving.

    Raises:
        RiskflowError: a server is at work in the directory.
    """
    pid, status = claimed(data)
    processes = servers(data)
    if pid in processes and status != "stopping":
        raise RiskflowError(f"PostgreSQL is already running on {data} (process {pid}): stop it first")
    return bool(processes)


async def wait_released(data: Path) -> None:
    """Return when no server works in the directory, and remove a claim that would block the next one.

    A crash leaves `postmaster.pid`. PostgreSQL sees through it unless its number now belongs to another
    program of the same user; that one case is cleared here.

    Raises:
        RiskflowError: a server is at work in the directory, or does not leave it in time.
    """
    pid, _ = claimed(data)
    if pid is None:
        return
    limit = stop_after_delay(RELEASE_SECONDS)
    looks = AsyncRetrying(
        retry=retry_if_result(bool),
        stop=limit,
        wait=wait_fixed(LOOK_SECONDS),
        retry_error_callback=lambda _: True,
    )
    if await looks(_held, data):
        raise RiskflowError(
            f"PostgreSQL processes {sorted(servers(data))} still work in {data} "
            f"after {RELEASE_SECONDS:g} s: end them"
        )
    if psutil.pid_exists(pid):
        (data / "postmaster.pid").unlink()


async def _held(data: Path) -> bool:
    return held(data)


def discard(folder: Path) -> None:
    """Remove a folder that may not be there."""
    if folder.exists():
        shutil.rmtree(folder)
