"""Text columns to arrays; what cannot be read or cannot be becomes a finding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from math import inf, isfinite, nan

import numpy as np
from numpy.typing import NDArray

from ops.load.columns import FIRST_YEAR, LAST_YEAR, Column
from ops.load.csvfile import TextBlock
from ops.load.findings import Findings
from streams.models.inputs import Array

MISREAD = inf
"""Stands for a text that is no number."""

EPOCH = date(1970, 1, 1).toordinal()
LONGEST_TEXT = 2000
"""Characters of a text field; a source is a sentence (expert assumption)."""

DEGREE_DECIMALS = 6
"""Decimals of coordinates, as numeric(10, 6) keeps them."""


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


def read_time(text: str) -> datetime | None:
    """ISO 8601 time in UTC; one without an offset is taken as UTC. None where it is no time."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


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
        known: dict[str, str | None] = {
            text: text.strip() or None for text in set(block.columns[column.name])
        }
        texts = [known[text] for text in block.columns[column.name]]
        if not column.empty and None in known.values():
            self._empty(block, column, np.array([text is None for text in texts]))
        odd = {text for text in known.values() if text is not None and not _storable(text)}
        self._among(block, column, (texts, odd), lambda text: f"{_shown(text)} is too long or not printable")
        if column.choices:
            alien = {text for text in known.values() if text is not None and text not in column.choices}
            allowed = ", ".join(column.choices)
            self._among(block, column, (texts, alien), lambda text: f"{text!r} is not one of {allowed}")
        return texts

    def times(self, block: TextBlock, column: Column) -> list[datetime | None]:
        """Times of a column in UTC."""
        texts = self.texts(block, column)
        times = [None if text is None else read_time(text) for text in texts]
        wrong = np.array([text is not None and time is None for text, time in zip(texts, times, strict=True)])
        self._note(
            block, column, wrong, lambda row: f"{texts[row]!r} is not a time (YYYY-MM-DDTHH:MM:SSZ, UTC)"
        )
        odd = np.array([time is not None and not FIRST_YEAR <= time.year <= LAST_YEAR for time in times])
        self._note(block, column, odd, lambda row: f"{texts[row]} is outside {FIRST_YEAR} to {LAST_YEAR}")
        return times

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
            self._note(
                block, column, outside, lambda row: f"{texts[row]} is outside {FIRST_YEAR} to {LAST_YEAR}"
            )
            return
        outside = (values < low) | (values > high) | ((values == low) & column.above_low)
        reason = column.fault
        if column.empty:
            self.impossible(block, column, values, outside, reason)
        else:
            self._note(block, column, outside, lambda row: f"{texts[row].strip()} {reason}")

    def _misread(self, block: TextBlock, column: Column, wrong: NDArray[np.bool_]) -> None:
        texts = block.columns[column.name]
        unit = f" ({column.unit})" if column.unit else ""
        what = {"integer": "a whole number", "date": "a date (YYYY-MM-DD)"}.get(
            column.kind, f"a number{unit}"
        )
        self._note(
            block, column, wrong, lambda row: f"{_shown(texts[row])} is not {what}{_hint(texts[row], column)}"
        )

    def _empty(self, block: TextBlock, column: Column, empty: NDArray[np.bool_]) -> None:
        self._note(block, column, empty, lambda _: "is empty, but every row needs it")

    def _among(
        self,
        block: TextBlock,
        column: Column,
        wrong: tuple[Sequence[str | None], set[str]],
        reason: Callable[[str], str],
    ) -> None:
        """Note the rows whose text is among the wrong ones."""
        texts, alien = wrong
        if alien:
            rows = np.array([text in alien for text in texts])
            self._note(block, column, rows, lambda row: reason(texts[row] or ""))

    def _note(
        self, block: TextBlock, column: Column, wrong: NDArray[np.bool_], reason: Callable[[int], str]
    ) -> None:
        rows = np.flatnonzero(wrong)
        if len(rows):
            self._findings.faults(block.file, column.name, rows, block.lines, reason)


def _storable(text: str) -> bool:
    return len(text) <= LONGEST_TEXT and not any(character < " " for character in text)


def _shown(text: str) -> str:
    text = text.strip()
    return repr(text if len(text) <= 40 else text[:40] + "...")  # noqa: PLR2004 - what fits a line


def _hint(text: str, column: Column) -> str:
    missing = text.strip().lower() in {"nan", "na", "n/a", "null", "none", "-"}
    return "; leave the field empty where a value is missing" if missing and column.empty else ""
