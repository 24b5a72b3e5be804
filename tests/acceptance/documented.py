"""The code blocks of README.md and docs/, with what is said of each."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

OPERATORS = frozenset({">", ">>", "<", "|", "&&", ";"})
"""Where the words of a command end in a line of the shell."""
SHELL = frozenset({"sh", "bash", "console"})
OTHER = frozenset({"text", "sql", "yaml", "ini", "json", "python", "toml", "csv"})
FENCE = re.compile(r"(?P<indent> *)```(?P<language>\S*)\s*$")
SAID = re.compile(r"\s*<!-- (?P<what>run|not run)(?:: (?P<reason>.+?))? -->\s*$")
NAVIGATION = re.compile(r"^ +- (?:[^:#\n]+: )?(\S+\.md)$", re.MULTILINE)
CONTINUED = re.compile(r"\\\n\s*")


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its language, its text, and what the comment before it says."""

    place: str
    language: str
    text: str
    said: str | None
    reason: str | None

    @property
    def is_run(self) -> bool:
        return self.said != "not run"

    def commands(self) -> Iterator[list[str]]:
        """Words of each call of riskflow, also of one in a container, without its variables and comment."""
        if self.language not in SHELL:
            return
        for line in CONTINUED.sub(" ", self.text).splitlines():
            words = split(line)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                del words[0]
            if words[:3] == ["docker", "compose", "run"] and "cli" in words:
                words = ["riskflow", *words[words.index("cli") + 1 :]]
            if words[:1] == ["riskflow"]:
                yield words[1:]


def split(line: str) -> list[str]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # a quotation that ends on another line: no call of riskflow
        return []
    return list(takewhile(lambda word: word not in OPERATORS, words))


def pages(root: Path) -> list[Path]:
    """README.md and every page, in the order of the site."""
    docs = root / "docs"
    listed = [docs / name for name in NAVIGATION.findall((root / "mkdocs.yml").read_text(encoding="utf-8"))]
    return [root / "README.md", *listed, *sorted(set(docs.rglob("*.md")) - set(listed))]


def blocks(root: Path) -> list[Block]:
    """Every block of every page, in order."""
    return [block for page in pages(root) for block in _blocks(page, root)]


def _blocks(page: Path, root: Path) -> Iterator[Block]:
    lines = page.read_text(encoding="utf-8").splitlines()
    before, opened = "", None
    for number, line in enumerate(lines):
        if (fence := FENCE.match(line)) is None:
            before = before if opened is not None else line
        elif opened is None:
            opened, indent, language = number, fence["indent"], fence["language"]
        else:
            text = "\n".join(one.removeprefix(indent) for one in lines[opened + 1 : number])
            said = SAID.match(before)
            place = f"{page.relative_to(root).as_posix()}:{opened + 1}"
            yield Block(place, language, text, said and said["what"], said and said["reason"])
            opened, before = None, ""
