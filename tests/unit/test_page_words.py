"""What the page says: both languages have the same texts, and each text is said somewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import ops

STATIC = Path(ops.__file__).parent / "web" / "static"
LANGUAGES = ("en", "ko")
SCRIPTS = {
    each.name: each.read_text("utf-8")
    for folder in (STATIC, STATIC / "map")
    for each in sorted(folder.glob("*.js"))
}
TEXT = re.compile(r'\bt\(\s*"([^"]+)"')
"""t("key")"""
GROUP = re.compile(r'\b(?:named|stateBadge)\(\s*"([^"]+)"|\bt\(\s*`([^`$]+)\.\$\{')
"""named("group", value), stateBadge("group", value) and t(`group.${value}`)"""
LITERAL = re.compile(r'"([a-z_]+(?:\.[A-Za-z_ ]+)+)"')
"""A key in quotes, which reaches t() by another name"""
PLURAL = re.compile(r"\.(?:one|other)$")


def words(language: str) -> dict[str, str]:
    return json.loads((STATIC / "words" / f"{language}.json").read_text("utf-8"))  # type: ignore[no-any-return]


def placeholders(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def said(pattern: re.Pattern[str]) -> set[str]:
    found = (match for script in SCRIPTS.values() for match in pattern.finditer(script))
    return {next(filter(None, match.groups())) for match in found}


def test_languages_have_the_same_texts_with_the_same_placeholders() -> None:
    english, korean = (
        {key: placeholders(text) for key, text in words(language).items()} for language in LANGUAGES
    )

    assert english == korean


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_are_sorted_and_none_is_empty(language: str) -> None:
    texts = words(language)

    assert list(texts) == sorted(texts)
    assert all(text.strip() for text in texts.values())


def test_every_text_that_a_script_asks_for_is_there() -> None:
    there = {PLURAL.sub("", key) for key in words("en")}

    assert said(TEXT) - there == set()
    assert {group for group in said(GROUP) if not any(key.startswith(f"{group}.") for key in there)} == set()


def test_every_text_is_asked_for() -> None:
    groups = tuple(f"{group}." for group in said(GROUP))
    asked = said(TEXT) | said(LITERAL)

    unused = {key for key in words("en") if PLURAL.sub("", key) not in asked and not key.startswith(groups)}
    assert unused == set()
