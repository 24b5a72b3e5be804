"""Both catalogues say the same things, and all that they say is used."""

from __future__ import annotations

import re
import string
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

import consumers.report
from consumers.report.words import LANGUAGES, Words, catalogue

FOLDER = Path(consumers.report.__file__).parent
SOURCES = "\n".join(
    path.read_text("utf-8") for path in [*FOLDER.glob("*.py"), *FOLDER.glob("templates/*.j2")]
)
FAMILIES = re.findall(r'"([a-z]+\.)" ~|f"([a-z]+\.)\{', SOURCES)


def fields(text: str | dict[str, str]) -> set[str]:
    forms = text.values() if isinstance(text, dict) else [text]
    return {name for form in forms for _, name, _, _ in string.Formatter().parse(form) if name}


def test_every_language_has_the_same_keys_with_the_same_values():
    korean, english = (catalogue(language) for language in LANGUAGES)
    assert korean.keys() == english.keys()
    for key, text in english.items():
        assert fields(korean[key]) == fields(text), key


def test_every_text_is_used():
    prefixes = tuple({one or other for one, other in FAMILIES})
    assert prefixes
    unused = [key for key in catalogue("en") if f'"{key}"' not in SOURCES and not key.startswith(prefixes)]
    assert unused == []


def test_every_text_asked_for_is_there():
    asked = set(re.findall(r'\b(?:t|words)\(\s*"([a-z]+\.[A-Za-z_0-9]+)"[,)]', SOURCES))
    assert len(asked) > 50
    assert asked <= catalogue("en").keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sentence_has_no_hole(language: str):
    words = Words(language, "Asia/Seoul")
    with pytest.raises(KeyError):
        words("page.listed", shown=1)


def test_plurals_numbers_and_dates_follow_the_language():
    english, korean = Words("en", "Europe/London"), Words("ko", "Asia/Seoul")
    assert [english("unit.days", count=count) for count in (1, 2)] == ["1 school day", "2 school days"]
    assert [korean("unit.days", count=count) for count in (1, 2)] == ["1일", "2일"]
    assert english.number(12345) == "12,345"
    assert english.percent(0.0456) == "4.6%"
    assert [english.change(count) for count in (3, -1200)] == ["+3", "\N{MINUS SIGN}1,200"]
    day = date(2026, 11, 23)
    assert (english.day(day), korean.day(day)) == ("November 23, 2026", "2026년 11월 23일")
    assert (english.short_day(day), korean.short_day(day)) == ("Nov 23", "11/23")
    moment = datetime(2026, 11, 22, 21, 4, tzinfo=UTC)
    assert korean.time(moment) == "2026년 11월 23일 06:04 (Asia/Seoul)"
    assert english.time(moment) == "November 22, 2026 21:04 (Europe/London)"
