"""Files that a reader never sees half written."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import IO

from schemas.errors import RiskflowError

TEMPORARY = f".*.{'[0-9a-f]' * 8}.tmp"
"""Names of files that are being written."""
_OF_ONE_FILE = {errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY, errno.EEXIST, errno.EACCES, errno.EPERM}


class Unwritable(RiskflowError):  # noqa: N818 - named by what is wrong, as all errors here
    """This one file cannot be replaced, although others of its folder can."""


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
        Unwritable: A folder stands in the place of `path`, it may not be replaced, or its name is too long.
        OSError: The disk is full, read-only or away; `path` is as it was.
    """
    sweep(path.parent)
    file = _temporary(path)
    temporary = Path(file.name)
    try:
        # The lock must last until the file has its name, so it is renamed while it is open.
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            _rename(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _fsync_folder(path.parent)


def sweep(folder: Path) -> None:
    """Remove what killed writers have left in a folder; a live one holds a lock on its file."""
    for left in folder.glob(TEMPORARY):
        # Opened for writing, because NFS gives an exclusive lock on nothing else.
        with suppress(OSError), left.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()


def sweep_all(reports_dir: Path) -> None:
    """Sweep the folders of all report dates."""
    with suppress(OSError):
        for folder in reports_dir.glob("????-??-??"):
            sweep(folder)


def _temporary(path: Path) -> IO[bytes]:
    """A new locked file beside `path`."""
    while True:
        try:
            file = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp").open("xb")
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise _unwritable(path, error) from error
            raise
        # A file system without locks has no sweeper either.
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        # A sweeper came between the file and its lock.
        file.close()


def _rename(temporary: Path, path: Path) -> None:
    try:
        temporary.replace(path)
    except OSError as error:
        # The folder took the temporary file a moment ago, so the fault is that of this place.
        if error.errno in _OF_ONE_FILE:
            raise _unwritable(path, error) from error
        raise


def _unwritable(path: Path, error: OSError) -> Unwritable:
    return Unwritable(f"{path} cannot be written: {error.strerror}")


def _fsync_folder(folder: Path) -> None:
    # A rename is on the disk when its folder is.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
