"""What the report says, in the tenant's language: sentences, numbers and dates."""

from __future__ import annotations

import tomllib
from datetime import date, datetime
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal, format_percent

from consumers.report.reasons import Reason

LANGUAGES = ("ko", "en")
MOST_DIGITS = 12
"""Decimals beyond which a value is shown as equal to its threshold (expert assumption)."""

Text = str | dict[str, str]
SHARES = frozenset({"omit_rate", "c_hat", "absence_rate_7d", "absence_rate_14d"})
UNITS = {"decline_weeks": "unit.weeks", "consecutive_absences": "unit.days"}


@cache
def catalogue(language: str) -> dict[str, Text]:
    """Texts of a language by key; one with a number in it may have a form per plural of the language."""
    folder = resources.files("consumers.report") / "catalogues"
    sections = tomllib.loads((folder / f"{language}.toml").read_text("utf-8"))
    return {f"{section}.{key}": text for section, texts in sections.items() for key, text in texts.items()}


class Words:
    """Texts and formats of one language and time zone."""

    def __init__(self, language: str, timezone: str) -> None:
        self.language = language
        self._texts = catalogue(language)
        self._locale = Locale.parse(language)
        self._zone = ZoneInfo(timezone)

    def __call__(self, key: str, **values: str | int) -> str:
        """The text of a key with its values; integers are written as the language writes them.

        Raises:
            KeyError: No such key, or a value is missing.
        """
        text = self._texts[key]
        if isinstance(text, dict):
            text = text[self._locale.plural_form(int(values["count"]))]
        return text.format(**{name: self._said(value) for name, value in values.items()})

    def forms(self, key: str) -> dict[str, str]:
        """The unfilled forms of a text with a `{count}`, by plural category of the language."""
        text = self._texts[key]
        return text if isinstance(text, dict) else {"other": text}

    def _said(self, value: str | int) -> str:
        return self.number(value) if isinstance(value, int) else value

    def number(self, value: float, digits: int = 0) -> str:
        """A number with `digits` decimals."""
        return str(format_decimal(value, f"#,##0.{'0' * digits}" if digits else "#,##0", self._locale))

    def percent(self, share: float, digits: int = 1) -> str:
        """A share (0 to 1) as percent."""
        return str(format_percent(share, f"#,##0.{'0' * digits}%" if digits else "#,##0%", self._locale))

    def change(self, difference: int) -> str:
        """A difference of counts, with its sign."""
        return str(format_decimal(difference, "+#,##0;\N{MINUS SIGN}#,##0", self._locale))

    def day(self, day: date) -> str:
        """A day, in full."""
        return str(format_date(day, "long", self._locale))

    def short_day(self, day: date) -> str:
        """A day as month and day, for axes."""
        return (
            f"{day.month}/{day.day}"
            if self.language == "ko"
            else str(format_date(day, "MMM d", self._locale))
        )

    def weekday(self, day: date) -> str:
        """A day with its weekday, for tables."""
        return str(format_date(day, "MMM d (E)" if self.language == "ko" else "EEE, MMM d", self._locale))

    def time(self, moment: datetime) -> str:
        """A moment in the tenant's time zone."""
        clock = format_datetime(moment, "HH:mm", tzinfo=self._zone, locale=self._locale)
        return f"{self.day(moment.astimezone(self._zone).date())} {clock} ({self._zone.key})"

    def threshold(self, metric: str, value: float) -> str:
        """A threshold of a metric, with no more decimals than it has."""
        if metric in SHARES:
            return str(format_percent(value, "#,##0.####%", self._locale))
        if metric in UNITS:
            return self(UNITS[metric], count=int(value))
        return self._signed(str(format_decimal(value, "0.00####", self._locale)))

    def measured(self, metric: str, value: float, digits: int | None = None) -> str:
        """A value of a metric."""
        if metric in SHARES:
            return self.percent(value, 1 if digits is None else digits)
        if metric in UNITS:
            return self(UNITS[metric], count=int(value))
        return self._signed(self.number(value, 2 if digits is None else digits))

    def _signed(self, text: str) -> str:
        return text.replace("-", "\N{MINUS SIGN}")

    def reason(self, reason: Reason) -> str:
        """A fired rule in words: metric, value, threshold, level."""
        return self(
            f"reason.{reason.side}",
            metric=self(f"metric.{reason.metric}"),
            value=self._apart(reason),
            threshold=self.threshold(reason.metric, reason.threshold),
            level=self(f"level.{reason.level}").lower(),
        )

    def _apart(self, reason: Reason) -> str:
        """The value with as many decimals as it takes not to look like a threshold that it is not."""
        digits, scale = (1, 100) if reason.metric in SHARES else (2, 1)
        others = [limit for limit in reason.limits if limit != reason.value]
        while digits < MOST_DIGITS and any(
            round(reason.value * scale, digits) == round(limit * scale, digits) for limit in others
        ):
            digits += 1
        return self.measured(reason.metric, reason.value, digits)
