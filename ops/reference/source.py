"""Markdown as a code host reads it, made into what the site's parser reads the same way."""

from __future__ import annotations

import re
from collections.abc import Iterator

FENCE = re.compile(r"\s*```")
ITEM = re.compile(r"(?:[-*]|\d+\.) ")
ITEM_ANYWHERE = re.compile(r"\s*(?:[-*]|\d+\.) ")
SECTION = re.compile(r"<!-- from (?P<file>\S+): (?P<heading>[^>]+?) -->")
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


def with_blank_lines(markdown: str) -> str:
    """Lists and tables that follow a paragraph get the blank line that Python-Markdown wants before them."""
    return "\n".join(_spaced(markdown.split("\n")))


def _spaced(lines: list[str]) -> Iterator[str]:
    fenced, before = False, ""
    for line in lines:
        if FENCE.match(line):
            fenced = not fenced
        elif not fenced and before.strip() and (_begins_list(line, before) or _begins_table(line, before)):
            yield ""
        yield line
        before = line


def _begins_list(line: str, before: str) -> bool:
    return bool(ITEM.match(line)) and not ITEM_ANYWHERE.match(before) and not before.startswith(" ")


def _begins_table(line: str, before: str) -> bool:
    return line.startswith("|") and not before.startswith("|")


def section(markdown: str, heading: str) -> str:
    """What stands under a heading of the second level, without the heading.

    Raises:
        ValueError: There is no such heading.
    """
    _, found, after = f"\n{markdown}".partition(f"\n## {heading}\n")
    if not found:
        raise ValueError(f"no heading '## {heading}'")
    return after.partition("\n## ")[0].strip()
