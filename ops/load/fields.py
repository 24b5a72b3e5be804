"""Text columns to arrays; what cannot be read or cannot be becomes a finding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from math import inf, isfinite, nan
from re import fullmatch
from unicodedata import category

import numpy as np
from numpy.typing import NDArray

from ops.load.columns import FIRST_YEAR, LAST_YEAR, LONGEST_TEXT, Column
from ops.load.csvfile import TextBlock
from ops.load.findings import Findings
from ops.load.moments import read_moment
from streams.models.inputs import Array

MISREAD = inf
"""Stands for a text that is no number."""

NO_TIME = int(np.datetime64("NaT").astype(np.int64))
EPOCH = date(1970, 1, 1).toordinal()
DEGREE_DECIMALS = 6
"""Decimals of coordinates, as numeric(10, 6) keeps them."""


@dataclass(frozen=True, slots=True)
class Coded:
    """A text column as its different texts, stripped (None: empty), and the text of each row.

    Attributes:
        texts: Different texts.
        codes: Position in `texts`, (rows,).
    """

    texts: list[str | None]
    codes: NDArray[np.intp]

    def rows(self) -> list[str | None]:
        """The text of each row."""
        return [self.texts[code] for code in self.codes.tolist()]


class Memo(dict[str, float]):
    """Texts that come again and again, read once: coordinates, years, dates."""

    def __init__(self, read: Callable[[str], float]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, text: str) -> float:
        """Read a text that has not come before; MISREAD is not remembered."""
        value = self._read(text)
        if value != MISREAD:
            self[text] = value
        return value


def read_number(text: str) -> float:
    """The number, NaN for an empty text, MISREAD where it is no finite decimal number."""
    text = text.strip()
    if not text:
        return nan
    try:
        value = float(text)
    except ValueError:
        return MISREAD
    # float() also takes 1_000 and digits of other scripts, which no weather file means.
    return value if isfinite(value) and "_" not in text and text.isascii() else MISREAD


def read_degrees(text: str) -> float:
    """As `read_number`, rounded to the decimals that the tables keep."""
    value = read_number(text)
    return value if not isfinite(value) else round(value, DEGREE_DECIMALS) + 0.0


def read_date(text: str) -> float:
    """Days since 1970-01-01 of YYYY-MM-DD, NaN for an empty text, MISREAD where there is no such day."""
    text = text.strip()
    if not text:
        return nan
    if len(text) != len("YYYY-MM-DD") or text[4] != "-" or text[7] != "-":
        return MISREAD
    try:
        return date.fromisoformat(text).toordinal() - EPOCH
    except ValueError:
        return MISREAD


def plain_numbers(texts: Sequence[str]) -> Array:
    """Numbers of a column, NaN where a text is empty, MISREAD where it is no number."""
    joined = "".join(texts)
    if "_" not in joined and joined.isascii():
        try:
            values = np.array([float(text) if text else nan for text in texts], dtype=np.float64)
        except ValueError:
            pass
        else:
            if np.count_nonzero(~np.isfinite(values)) == texts.count(""):
                return values
    return np.array([read_number(text) for text in texts], dtype=np.float64)


class Reader:
    """Reads the columns of blocks; remembers texts that repeat."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._degrees = Memo(read_degrees)
        self._dates = Memo(read_date)
        self._integers = Memo(read_number)

    def numbers(self, block: TextBlock, column: Column) -> Array:
        """Values of a column, shape (rows,): degrees, dates (days since 1970-01-01), integers, numbers.

        NaN where a field is empty that may be, or holds an impossible value that is taken as missing.
        Everything else that is wrong is among the findings.
        """
        texts = block.columns[column.name]
        values = self._values(texts, column)
        wrong = np.isposinf(values)
        if column.kind == "integer":
            wrong |= values != np.where(np.isnan(values), values, np.rint(values))
            wrong &= ~np.isnan(values)
        self._misread(block, column, wrong)
        if not column.empty:
            self._empty(block, column, np.isnan(values))
        values[wrong] = nan
        self._outside(block, column, values)
        return values

    def texts(self, block: TextBlock, column: Column) -> list[str | None]:
        """Texts of a column, stripped; None where the field is empty."""
        return self.coded(block, column).rows()

    def coded(self, block: TextBlock, column: Column) -> Coded:
        """Texts of a column, each different one read and judged once."""
        texts = block.columns[column.name]
        known = {text: code for code, text in enumerate(dict.fromkeys(texts))}
        codes = np.fromiter(map(known.__getitem__, texts), np.intp, len(texts))
        coded = Coded([text.strip() or None for text in known], codes)
        self._judge(block, column, coded, [_text_fault(text, column) for text in coded.texts])
        return coded

    def moments(self, block: TextBlock, column: Column, zone: tzinfo | None) -> NDArray[np.datetime64]:
        """Times of a column in UTC [microseconds], (rows,); NaT where a field is empty or wrong."""
        coded = self.coded(block, column)
        read = [None if text is None else read_moment(text, zone) for text in coded.texts]
        faults = [
            f"{text} {found}" if isinstance(found, str) else ""
            for text, found in zip(coded.texts, read, strict=True)
        ]
        self._judge(block, column, coded, faults)
        known = [found if isinstance(found, int) else NO_TIME for found in read]
        return np.array(known, dtype=np.int64).view("datetime64[us]")[coded.codes]

    def not_below(self, block: TextBlock, values: Mapping[str, Array], upper: str, lower: str) -> None:
        """Both are impossible where `upper` is below `lower`."""
        if upper not in values or lower not in values:
            return
        rows = np.flatnonzero(values[upper] < values[lower])
        if not len(rows):
            return
        shown = block.columns
        units = "degC"

        def told(row: int, column: str) -> tuple[str, str]:
            high, low = shown[upper][row].strip(), shown[lower][row].strip()
            return shown[column][row].strip(), f"{upper} {high} is lower than {lower} {low} {units}"

        findings = self._findings
        if findings.impossible(block.file, upper, rows, block.lines, lambda row: told(row, upper)):
            findings.impossible(block.file, lower, rows, block.lines, lambda row: told(row, lower))
            values[upper][rows] = values[lower][rows] = nan

    def impossible(
        self, block: TextBlock, column: Column, values: Array, wrong: NDArray[np.bool_], reason: str
    ) -> None:
        """Note the impossible values of a column and take them out where the options say so."""
        rows = np.flatnonzero(wrong)
        texts = block.columns[column.name]

        def told(row: int) -> tuple[str, str]:
            return texts[row].strip(), f"{texts[row].strip()} {reason}"

        if len(rows) and self._findings.impossible(block.file, column.name, rows, block.lines, told):
            values[rows] = nan

    def _values(self, texts: Sequence[str], column: Column) -> Array:
        memo = {"degrees": self._degrees, "date": self._dates, "integer": self._integers}.get(column.kind)
        if memo is None:
            return plain_numbers(texts)
        return np.fromiter(map(memo.__getitem__, texts), np.float64, len(texts))

    def _outside(self, block: TextBlock, column: Column, values: Array) -> None:
        low, high, texts = column.low, column.high, block.columns[column.name]
        if column.kind == "date":
            low, high = read_date(f"{FIRST_YEAR}-01-01"), read_date(f"{LAST_YEAR}-12-31")
            outside = (values < low) | (values > high)
            self.note(
                block, column, outside, lambda row: f"{texts[row]} is outside {FIRST_YEAR} to {LAST_YEAR}"
            )
            return
        outside = (values < low) | (values > high)
        outside |= ((values == low) & column.above_low) | ((values == high) & column.below_high)
        reason = column.fault
        if column.empty and not column.strict:
            self.impossible(block, column, values, outside, reason)
        else:
            self.note(block, column, outside, lambda row: f"{texts[row].strip()} {reason}")

    def _misread(self, block: TextBlock, column: Column, wrong: NDArray[np.bool_]) -> None:
        texts = block.columns[column.name]
        unit = f" ({column.unit})" if column.unit else ""
        what = {"integer": "a whole number", "date": "a date (YYYY-MM-DD)"}.get(
            column.kind, f"a number{unit}"
        )
        self.note(
            block, column, wrong, lambda row: f"{_shown(texts[row])} is not {what}{_hint(texts[row], column)}"
        )

    def _empty(self, block: TextBlock, column: Column, empty: NDArray[np.bool_]) -> None:
        self.note(block, column, empty, lambda _: "is empty, but every row needs it")

    def _judge(self, block: TextBlock, column: Column, coded: Coded, faults: list[str]) -> None:
        """Note the rows whose text has a fault; `faults` has a sentence or an empty text for each text."""
        if any(faults):
            wrong = np.array([bool(fault) for fault in faults])[coded.codes]
            self.note(block, column, wrong, lambda row: faults[coded.codes[row]])

    def note(
        self, block: TextBlock, column: Column, wrong: NDArray[np.bool_], reason: Callable[[int], str]
    ) -> None:
        """Note a fault at each wrong row; `reason` gives its sentence."""
        rows = np.flatnonzero(wrong)
        if len(rows):
            self._findings.faults(block.file, column.name, rows, block.lines, reason)


def _text_fault(text: str | None, column: Column) -> str:
    """What is wrong with a text of the column; an empty text where it is sound."""
    if text is None:
        return "" if column.empty else "is empty, but every row needs it"
    printable = text.isprintable() or (column.kind != "id" and not any(map(_is_control, text)))
    if len(text) > column.longest or not printable:
        return f"{_shown(text)} is too long or not printable" + _length(column)
    if column.choices and text not in column.choices:
        return f"{text!r} is not one of {', '.join(column.choices)}"
    if column.pattern and not fullmatch(column.pattern, text):
        return f"{_shown(text)} is not allowed; allowed: {column.allowed}"
    return ""


def _is_control(character: str) -> bool:
    """Control characters, separators of lines and halves of characters; no font shows them."""
    return not character.isprintable() and category(character) in {"Cc", "Cs", "Zl", "Zp"}


def _length(column: Column) -> str:
    return f"; allowed: up to {column.longest} printable characters" if column.longest < LONGEST_TEXT else ""


def _shown(text: str) -> str:
    text = text.strip()
    return repr(text if len(text) <= 40 else text[:40] + "...")  # noqa: PLR2004 - what fits a line


def _hint(text: str, column: Column) -> str:
    missing = text.strip().lower() in {"nan", "na", "n/a", "null", "none", "-"}
    return "; leave the field empty where a value is missing" if missing and column.empty else ""
