"""What is wrong with a file: faults that refuse it, and impossible values taken as missing."""

from __future__ import annotations

import csv
import heapq
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ops.load.options import LoadOptions
from schemas.errors import InvalidFile, RiskflowError

FORMULA = re.compile("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How formulas begin in a spreadsheet (OWASP, CSV injection), full-width signs included."""
MAX_FAULTS = 20
"""Faults that a refusal spells out; the rest is counted."""

Place = tuple[str, int]
"""File and line."""


class Findings:
    """Collects what is wrong while files are read.

    A fault refuses the load at the next `settle`; an impossible value does so too, unless the options
    take it as missing, and then it goes into a list on disk.
    """

    def __init__(self, options: LoadOptions, files: Sequence[Path]) -> None:
        self.duplicates = 0
        self.warnings: list[str] = []
        self.bad_values = 0
        self._files = [file.name for file in files]
        self._faults: list[tuple[int, int, str]] = []
        self._count = 0
        self._take_as_missing = options.bad_values == "missing"
        self._list = options.bad_values_file or Path(f"{files[0].name}.bad-values.csv")
        self._stream: IO[str] | None = None
        self._writer: Any = None

    @property
    def clean(self) -> bool:
        """Whether nothing refuses the load so far."""
        return self._count == 0

    @property
    def spelt_out(self) -> int:
        """Faults that are kept word by word."""
        return len(self._faults)

    @property
    def bad_values_file(self) -> Path | None:
        """The list of impossible values, where there are any."""
        return self._list if self.bad_values else None

    def fault(self, place: Place, column: str, reason: str) -> None:
        """Note a fault of one line."""
        file, line = place
        self._note(file, line, f"{file} line {line}, column {column}: {reason}")

    def fault_of_line(self, place: Place, reason: str) -> None:
        """Note a fault of a whole line."""
        file, line = place
        self._note(file, line, f"{file} line {line}: {reason}")

    def faults(
        self,
        file: str,
        column: str,
        rows: NDArray[np.intp],
        lines: NDArray[np.int64],
        reason: Callable[[int], str],
    ) -> None:
        """Note faults of a column at `rows` of a block with these `lines`; only the first are spelt out."""
        for row in rows[:MAX_FAULTS]:
            self.fault((file, int(lines[row])), column, reason(int(row)))
        self.more(max(len(rows) - MAX_FAULTS, 0))

    def more(self, faults: int) -> None:
        """Count faults without spelling them out."""
        self._count += faults

    def impossible(
        self,
        file: str,
        column: str,
        rows: NDArray[np.intp],
        lines: NDArray[np.int64],
        told: Callable[[int], tuple[str, str]],
    ) -> bool:
        """Note impossible values; `told` gives value and reason of a row.

        Returns:
            Whether the caller takes them as missing.
        """
        if not self._take_as_missing:
            self.faults(file, column, rows, lines, lambda row: told(row)[1])
            return False
        for row in rows:
            self.list_value(file, int(lines[row]), column, *told(int(row)))
        return True

    def impossible_values(
        self,
        file: str,
        variable: str,
        where: NDArray[np.int64],
        told: Callable[[int, int], tuple[str, str, str]],
    ) -> bool:
        """As `impossible`, for arrays.

        Args:
            file, variable: NetCDF file and its variable.
            where: Indices of the values, (values, 2).
            told: Gives place, value and reason of two indices.
        """
        listed = where if self._take_as_missing else where[:MAX_FAULTS]
        for first, second in listed.tolist():
            place, value, reason = told(first, second)
            if self._take_as_missing:
                self.list_value(file, place, variable, value, reason)
            else:
                self._note(file, self._count, f"{file} {place}, variable {variable}: {reason}")
        self.more(len(where) - len(listed))
        return self._take_as_missing

    def list_value(self, file: str, place: object, column: str, value: str, reason: str) -> None:
        """Write an impossible value into the list of those that are taken as missing."""
        if self._writer is None:
            try:
                self._stream = self._list.open("w", encoding="utf-8", newline="")
            except OSError as error:
                raise RiskflowError(
                    f"{self._list}: impossible values cannot be listed: {error.strerror}"
                ) from error
            self._writer = csv.writer(self._stream, lineterminator="\n")
            self._writer.writerow(("file", "line", "column", "value", "reason"))
        self._writer.writerow([_harmless(each) for each in (file, place, column, value, reason)])
        self.bad_values += 1

    def settle(self) -> None:
        """Go on where nothing refuses the load.

        Raises:
            InvalidFile: Spells out the first faults and counts the others.
        """
        if self.clean:
            return
        sentences = [text for _, _, text in sorted(self._faults)[:MAX_FAULTS]]
        if self._count > len(sentences):
            sentences.append(f"and {self._count - len(sentences):,} more")
        raise InvalidFile("\n  ".join(sentences))

    def close(self, *, stored: bool) -> None:
        """End the list of impossible values; it goes away where nothing was stored."""
        if self._stream is not None:
            self._stream.close()
            if not stored:
                self._list.unlink(missing_ok=True)

    def _note(self, file: str, line: int, text: str) -> None:
        self._count += 1
        order = self._files.index(file) if file in self._files else 0
        self._faults.append((order, line, text))
        if len(self._faults) > MAX_FAULTS * 10:
            self._faults = heapq.nsmallest(MAX_FAULTS, self._faults)


def _harmless(field: object) -> object:
    """The field with an apostrophe before it where it would be a formula; a negative number is none."""
    if not isinstance(field, str) or not FORMULA.match(field):
        return field
    try:
        float(field)
    except ValueError:
        return f"'{field}"
    return field
