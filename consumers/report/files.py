"""Files that a reader never sees half written."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import IO

LEFT_OVER_SECONDS = 3600.0
"""Age from which a temporary file belongs to a writer that was killed (expert assumption)."""


def html_name(org_id: str) -> str:
    """File name of a tenant's page."""
    return f"{org_id}_report.html"


def csv_name(org_id: str) -> str:
    """File name of a tenant's metrics."""
    return f"{org_id}_metrics.csv"


def folder_of(reports_dir: Path, report_date: date) -> Path:
    """Folder of a report date, made where it is missing."""
    folder = reports_dir / report_date.isoformat()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that takes the place of `path` when the block ends without an error.

    Raises:
        OSError: The disk is full, read-only or away; `path` is as it was.
    """
    _sweep(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _fsync_folder(path.parent)


def _sweep(path: Path) -> None:
    before = time.time() - LEFT_OVER_SECONDS
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        if left.stat().st_mtime < before:
            left.unlink(missing_ok=True)


def _fsync_folder(folder: Path) -> None:
    # A rename is on the disk when its folder is.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
