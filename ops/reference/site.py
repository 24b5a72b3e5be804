"""Hooks of mkdocs (mkdocs.yml): the pages read the same on a code host and on the site.

Links from a page to a file of the repository, such as ../examples/daily.csv, lead on the site to a copy under
repository/. A comment `<!-- from README.md: Two commands -->` is replaced by that section.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from ops.reference.source import LINK, SECTION, section, with_blank_lines

COPIES = "repository"
ROOT = Path(__file__).parents[2]
DOCS = "docs"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files of the repository that pages link to; a folder is a page that lists its files."""
    pages = [file for file in files if file.is_documentation_page()]
    linked = {path for page in pages for path in _linked(page.content_string, page.src_uri)}
    for path in sorted(linked):
        for one in sorted(_below(path)):
            target = posixpath.join(COPIES, _visible(one.relative_to(ROOT).as_posix()))
            if files.get_file_from_path(target) is None:
                files.append(File.generated(config, target, abs_src_path=str(one)))
        if (ROOT / path).is_dir():
            files.append(File.generated(config, _target(path), content=_listing(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page with the sections that it takes over, with its links to the repository, and blank lines."""
    del config, files
    here = page.file.src_uri
    whole = SECTION.sub(lambda match: _taken_over(match["file"], match["heading"], here), markdown)
    if here.startswith(f"{COPIES}/"):
        whole = _with_moved_links(whole, here.removeprefix(f"{COPIES}/"), here)
    return with_blank_lines(LINK.sub(lambda match: f"]({_on_site(match['target'], here)})", whole))


def _taken_over(file: str, heading: str, page: str) -> str:
    """A section of a file, its links as the page writes them."""
    text = section((ROOT / file).read_text(encoding="utf-8"), heading)
    return _with_moved_links(text, file, page)


def _with_moved_links(text: str, file: str, page: str) -> str:
    folder = posixpath.join(DOCS, posixpath.dirname(page))
    return LINK.sub(lambda match: f"]({_moved(match['target'], file, folder)})", text)


def _moved(target: str, file: str, folder: str) -> str:
    """A link of a file, as a page in another folder writes it."""
    if "://" in target:
        return target
    inside = posixpath.basename(file) + target if target.startswith("#") else target
    return posixpath.relpath(posixpath.join(posixpath.dirname(file), inside), folder)


def _linked(markdown: str, page: str) -> Iterator[str]:
    for match in LINK.finditer(markdown):
        if (path := _outside(match["target"], page)) is not None:
            yield path


def _on_site(target: str, page: str) -> str:
    path = _outside(target, page)
    return target if path is None else posixpath.relpath(_target(path), posixpath.dirname(page) or ".")


def _outside(target: str, page: str) -> str | None:
    """Path from the top of the repository of a link that leaves docs/; None for all other links."""
    if "://" in target or not target.startswith("../"):
        return None
    path = posixpath.normpath(posixpath.join(DOCS, posixpath.dirname(page), target))
    inside = path == DOCS or path.startswith(f"{DOCS}/")
    return None if inside or not (ROOT / path).exists() else path


def _target(path: str) -> str:
    copy = posixpath.join(COPIES, _visible(path))
    return posixpath.join(copy, "index.md") if (ROOT / path).is_dir() else copy


def _visible(path: str) -> str:
    """The site leaves out names that begin with a dot."""
    return path.replace("/.", "/").removeprefix(".")


def _below(path: str) -> list[Path]:
    found = ROOT / path
    return [one for one in found.rglob("*") if one.is_file()] if found.is_dir() else [found]


def _listing(path: str) -> str:
    names = sorted(one.relative_to(ROOT / path).as_posix() for one in _below(path))
    return f"# {path}/\n\n" + "\n".join(f"- [{name}]({name})" for name in names) + "\n"
