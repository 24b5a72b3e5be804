"""What several files of one load must have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ops.load.columns import Sheet
from ops.load.csvfile import CsvFile
from schemas.errors import InvalidFile


def same_columns(files: Sequence[Path], sheet: Sheet) -> frozenset[str]:
    """The columns that every file carries.

    Raises:
        InvalidFile: Two files carry different ones: what the one lacks could not be told from what
            it holds as missing.
    """
    headers = []
    for path in files:
        with CsvFile(path, sheet) as file:
            headers.append(frozenset(file.header))
    for path, header in zip(files, headers, strict=True):
        if header != headers[0]:
            raise InvalidFile(
                f"{path.name} and {files[0].name} carry different columns "
                f"({', '.join(sorted(header ^ headers[0]))}); load them one after the other"
            )
    return headers[0]
