"""CSV files as blocks of text columns, each row with its line in the file."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import numpy as np
from numpy.typing import NDArray

from ops.load.columns import Sheet
from ops.load.findings import Findings
from ops.load.options import Progress
from schemas.errors import InvalidFile

BLOCK_BYTES = 1 << 20
"""Text parsed at a time; some 20,000 rows."""

LONGEST_LINE = 1 << 16
"""A header without an end within so many bytes is no CSV."""

GZIP_MAGIC = b"\x1f\x8b"

OTHER_FORMATS = {
    b"\x89HDF": "a NetCDF or HDF5 file; use: riskflow load netcdf",
    b"CDF\x01": "a NetCDF file; use: riskflow load netcdf",
    b"CDF\x02": "a NetCDF file; use: riskflow load netcdf",
    b"PK\x03\x04": "a ZIP archive or a spreadsheet; unpack it or save it as CSV",
    b"\xff\xfe": "text in UTF-16; save it as UTF-8",
    b"\xfe\xff": "text in UTF-16; save it as UTF-8",
    b"BZh": "packed with bzip2; unpack it or pack it with gzip",
    b"\xfd7zX": "packed with xz; unpack it or pack it with gzip",
}
"""First bytes of what people take for a CSV, and what to do."""


@dataclass(frozen=True, slots=True)
class TextBlock:
    """Some rows of a file: the text of each column, and the line of each row."""

    file: str
    lines: NDArray[np.int64]
    columns: Mapping[str, Sequence[str]]

    def __len__(self) -> int:
        return len(self.lines)


class CsvFile:
    """One file that is open, past its header.

    Attributes:
        name: File name, for sentences.
        header: The columns in the file's order.

    Raises:
        InvalidFile: The file cannot be read, is no UTF-8 CSV, or its columns are not those of the sheet.
    """

    def __init__(self, path: Path, sheet: Sheet) -> None:
        self.name = path.name
        self._line = 0
        try:
            self._raw = path.open("rb")
        except OSError as error:
            raise InvalidFile(f"{path}: {error.strerror}") from error
        try:
            self._size = max(path.stat().st_size, 1)
            self._lines = _unpacked(self._raw, self.name)
            self.header = self._read_header(sheet)
        except BaseException:
            self._raw.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._raw.close()

    def blocks(self, findings: Findings, progress: Progress) -> Iterator[TextBlock]:
        """The rows in the file's order; rows with a wrong number of fields become findings."""
        rows = 0
        while lines := self._read_lines():
            progress(f"reading {self.name}", self._raw.tell() / self._size)
            first = self._line + 1
            self._line += len(lines)
            block = self._block(self._decoded(lines, first), first, findings)
            rows += len(block)
            if len(block):
                yield block
        if rows == 0 and findings.clean:
            raise InvalidFile(f"{self.name}: there are no rows under the header")

    def _read_lines(self, hint: int = BLOCK_BYTES) -> list[bytes]:
        try:
            return self._lines.readlines(hint)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InvalidFile(f"{self.name}: the gzip data are damaged or end too early ({error})") from error
        except OSError as error:
            raise InvalidFile(f"{self.name}: {error.strerror or error}") from error

    def _decoded(self, lines: list[bytes], first: int) -> str:
        """The lines as one text; the last one without its end."""
        data = b"".join(lines)
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
        try:
            return data.decode().removesuffix("\n")
        except UnicodeDecodeError as error:
            line = first + data.count(b"\n", 0, error.start)
            raise InvalidFile(
                f"{self.name} line {line}: byte 0x{data[error.start]:02x} is not UTF-8; "
                "save the file as UTF-8"
            ) from error

    def _read_header(self, sheet: Sheet) -> tuple[str, ...]:
        while True:
            try:
                line = self._lines.readline(LONGEST_LINE)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise InvalidFile(f"{self.name}: the gzip data are damaged ({error})") from error
            if not line:
                raise InvalidFile(f"{self.name} is empty: expected a header with {_expected(sheet)}")
            if len(line) == LONGEST_LINE:
                raise InvalidFile(f"{self.name}: the first line does not end; is this a CSV file?")
            self._line += 1
            text = self._decoded([line], self._line).removeprefix("\ufeff").strip()
            if text and not text.startswith("#"):
                break
        names = tuple(name.strip() for name in next(csv.reader([text])))
        _check_header(names, sheet, f"{self.name} line {self._line}")
        return names

    def _block(self, text: str, first: int, findings: Findings) -> TextBlock:
        width = len(self.header)
        if _is_plain(text, width):
            fields = text.replace("\n", ",").split(",")
            columns: list[Sequence[str]] = [fields[column::width] for column in range(width)]
            return self._text_block(np.arange(first, first + len(columns[0])), columns)
        rows, lines = self._rows(text.split("\n"), first, findings)
        rows, lines = self._whole_rows(rows, lines, findings)
        return self._text_block(lines, list(zip(*rows, strict=True)) or [()] * width)

    def _text_block(self, lines: NDArray[np.int64], columns: Sequence[Sequence[str]]) -> TextBlock:
        return TextBlock(self.name, lines, dict(zip(self.header, columns, strict=True)))

    def _rows(
        self, texts: list[str], first: int, findings: Findings
    ) -> tuple[list[list[str]], NDArray[np.int64]]:
        """Fields of the lines that are not blank, and their numbers."""
        lines = np.arange(first, first + len(texts))
        reader = csv.reader(texts, strict=True)
        try:
            rows = list(reader)
        except csv.Error as error:
            findings.fault_of_line((self.name, first + max(reader.line_num - 1, 0)), f"is no CSV: {error}")
            return [], lines[:0]
        if len(rows) != len(texts):
            return self._single_lines(texts, first, findings)
        if not all(rows):
            filled = np.array([bool(row) for row in rows])
            return [row for row in rows if row], lines[filled]
        return rows, lines

    def _single_lines(
        self, texts: list[str], first: int, findings: Findings
    ) -> tuple[list[list[str]], NDArray[np.int64]]:
        for number, text in enumerate(texts, first):
            try:
                next(csv.reader([text], strict=True), None)
            except csv.Error:
                findings.fault_of_line(
                    (self.name, number),
                    "a quoted field runs over the end of the line; write each row on one line",
                )
                break
        return [], np.arange(0)

    def _whole_rows(
        self, rows: list[list[str]], lines: NDArray[np.int64], findings: Findings
    ) -> tuple[list[list[str]], NDArray[np.int64]]:
        width = len(self.header)
        whole = np.array([len(row) == width for row in rows], dtype=bool)
        for number in np.flatnonzero(~whole):
            findings.fault_of_line(
                (self.name, int(lines[number])), f"{len(rows[number])} fields, but the header has {width}"
            )
        return [row for row in rows if len(row) == width], lines[whole]


def _is_plain(text: str, width: int) -> bool:
    """Whether splitting at commas is all there is to do: no quotes, and every line has `width` fields."""
    if '"' in text or "\r" in text:
        return False
    octets = np.frombuffer(text.encode() + b"\n", dtype=np.uint8)
    marks = octets[(octets == ord(",")) | (octets == ord("\n"))] == ord("\n")
    ends = np.flatnonzero(marks)
    return width > 1 and bool((np.diff(ends, prepend=-1) == width).all())


def _unpacked(raw: IO[bytes], name: str) -> io.BufferedReader:
    start = raw.read(4)
    raw.seek(0)
    for magic, what in OTHER_FORMATS.items():
        if start.startswith(magic):
            raise InvalidFile(f"{name} is {what}")
    if start.startswith(GZIP_MAGIC):
        return io.BufferedReader(gzip.GzipFile(fileobj=raw), BLOCK_BYTES)
    return io.BufferedReader(raw, BLOCK_BYTES)  # type: ignore[arg-type]  # a buffered reader over another


def _expected(sheet: Sheet) -> str:
    required = ", ".join(column.name for column in sheet.columns if not column.optional)
    optional = ", ".join(column.name for column in sheet.columns if column.optional)
    return f"{required}" + (f" (and, if you like, {optional})" if optional else "")


def _check_header(names: Sequence[str], sheet: Sheet, place: str) -> None:
    if len(names) == 1:
        for mark in (";", "\t", "|"):
            if mark in names[0]:
                raise InvalidFile(f"{place}: fields are separated by {mark!r}; expected commas")
    known = {column.name for column in sheet.columns}
    required = [column.name for column in sheet.columns if not column.optional]
    faults = [
        *(f"column {name!r} is unknown" for name in dict.fromkeys(names) if name not in known),
        *(f"column {name} is missing" for name in required if name not in names),
        *(f"column {name} stands twice" for name in dict.fromkeys(names) if names.count(name) > 1),
    ]
    if faults:
        raise InvalidFile(f"{place}: {'; '.join(faults)}; expected {_expected(sheet)}")
