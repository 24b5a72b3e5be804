"""The machine: memory, processors, disks, time zones."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import psutil

from ops.doctor.finding import Finding, ok, warning, wrong
from ops.stack.registry import running_stack
from schemas.settings import Settings

MB, GB = 1 << 20, 1 << 30
WORKER_BYTES = 460 * MB
"""One worker at most (docs/operations.md, "Processes")."""
OTHERS_BYTES = 700 * MB
"""Sink, producers, reporter, embedded broker and PostgreSQL with little in them (docs/benchmarks.md)."""
LOW_DISK, NO_DISK = GB, 100 * MB
"""Free bytes below which a disk is a warning, and wrong (expert assumptions)."""
CONTROL_GROUP = Path("/sys/fs/cgroup/memory.max")


def look_at_machine(settings: Settings) -> list[Finding]:
    """Memory and processors against what the workers of the settings need."""
    return [
        judged_memory(memory(), settings.parallel_workers),
        judged_processors(processors(), settings.parallel_workers),
    ]


def look_at_disks(settings: Settings | None) -> list[Finding]:
    """Free space where riskflow writes on this machine."""
    return [judged_disk(f"disk {name}", nearest(path)) for name, path in _written_to(settings)]


def look_at_reports_dir(settings: Settings) -> list[Finding]:
    """Whether the reporter could write its reports here."""
    folder = settings.reports_dir.absolute()
    place = nearest(folder)
    if not place.is_dir():
        return [wrong("reports", f"REPORTS_DIR {folder}: {place} is no folder", "name another REPORTS_DIR")]
    if not os.access(place, os.W_OK | os.X_OK):
        return [
            wrong(
                "reports",
                f"REPORTS_DIR {folder}: this user may not write in {place}",
                "give the user that runs `riskflow reporter` the right, or name another REPORTS_DIR",
            )
        ]
    return [ok("reports", f"{folder} " + ("can be written" if place == folder else "can be made"))]


def look_at_time_zone(settings: Settings) -> list[Finding]:
    """Whether the zones of the IANA database are there; SCHEDULE_TIMEZONE is checked with the settings."""
    ZoneInfo(settings.schedule_timezone)
    try:
        packaged = f"tzdata {version('tzdata')}"
    except PackageNotFoundError:
        packaged = "the system's own data"
    return [
        ok("time zone", f"{settings.schedule_timezone} of {len(available_timezones())} zones, {packaged}")
    ]


def judged_memory(total: int, workers: int) -> Finding:
    """Bytes of the machine against the need of `riskflow up`."""
    need = WORKER_BYTES * workers + OTHERS_BYTES
    said = f"{total / GB:.1f} GB; `up` with {workers} workers takes up to {need / GB:.1f} GB"
    if total >= need:
        return ok("memory", said)
    return warning("memory", said, "set PARALLEL_WORKERS lower, or use a larger machine")


def judged_processors(count: int, workers: int) -> Finding:
    """Processors against workers; each worker fills one."""
    said = f"{count}, for {workers} workers"
    if count >= workers:
        return ok("processors", said)
    return warning("processors", said, f"set PARALLEL_WORKERS={count}; more workers only share them")


def judged_disk(check: str, place: Path) -> Finding:
    """Free bytes at a folder."""
    free = shutil.disk_usage(place).free
    said = f"{free / GB:.1f} GB free at {place}"
    if free < NO_DISK:
        return wrong(check, said, "make room there: what is written now fails soon")
    if free < LOW_DISK:
        return warning(check, said, "make room there")
    return ok(check, said)


def memory() -> int:
    """Bytes that this process may have: the machine's, or its container's where that is less."""
    total = psutil.virtual_memory().total
    try:
        limit = CONTROL_GROUP.read_text().strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdigit() else total


def processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def nearest(path: Path) -> Path:
    """The path, or the nearest above it that is there and can be seen."""
    path = path.absolute()
    while not os.access(path, os.F_OK) and path != path.parent:
        path = path.parent
    return path


def _written_to(settings: Settings | None) -> Iterator[tuple[str, Path]]:
    yield "temporary", Path(tempfile.gettempdir())
    if settings is not None:
        yield "reports", settings.reports_dir
    if (stack := running_stack()) is not None:
        yield "riskflow up", stack.data_dir
