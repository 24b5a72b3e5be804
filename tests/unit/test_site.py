"""The documentation as a site: builds strictly, asks nothing of other servers, reads as on a code host."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from ops.reference.source import SECTION, section, with_blank_lines

COUNTED = {
    "ul": "bullet_list_open",
    "li": "list_item_open",
    "table": "table_open",
    "pre": "fence",
    "ol": "ordered_list_open",
}
"""Elements of a page and what a parser of the code host's Markdown calls them."""
FETCHED = re.compile(
    r'<(?:script|img|iframe|link rel="(?:stylesheet|preconnect|icon)")[^>]*(?:src|href)="(https?:)?//'
)


class Article(HTMLParser):
    """Counts elements within the article of a page."""

    def __init__(self, html):
        super().__init__()
        self.inside = False
        self.found = Counter()
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        del attrs
        self.inside = self.inside or tag == "article"
        if self.inside and tag in COUNTED:
            self.found[tag] += 1

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "article"


@pytest.fixture(scope="module")
def docs(request):
    return request.config.rootpath / "docs"


def test_the_site_asks_nothing_of_other_servers(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        assert not FETCHED.search(page.read_text(encoding="utf-8")), page
    assert 'src="javascripts/iframe-worker.js"' in (site / "index.html").read_text(encoding="utf-8")
    assert (site / "search" / "search_index.js").is_file()


def test_a_page_has_the_lists_and_tables_that_a_code_host_shows(site, docs):
    parser = MarkdownIt("commonmark").enable("table")
    for source in sorted(docs.rglob("*.md")):
        tokens = parser.parse(whole(source, docs.parent))
        expected = Counter(token.type for token in tokens)
        page = site / source.relative_to(docs).with_suffix(".html")
        found = Article(page.read_text(encoding="utf-8")).found
        assert {tag: found[tag] for tag in COUNTED} == {
            tag: expected[name] for tag, name in COUNTED.items()
        }, source.name


def whole(source, root) -> str:
    """A page with the sections that it takes over."""

    def taken(match):
        return section((root / match["file"]).read_text(encoding="utf-8"), match["heading"])

    return SECTION.sub(taken, source.read_text(encoding="utf-8"))


def test_a_link_to_a_file_of_the_repository_leads_to_a_copy(site):
    page = (site / "data.html").read_text(encoding="utf-8")
    assert 'href="repository/examples/daily.csv"' in page
    assert (site / "repository" / "examples" / "daily.csv").is_file()
    assert 'href="repository/examples/index.html"' in page


def test_blank_lines_come_before_lists_and_tables_and_not_into_code():
    assert with_blank_lines("text\n- a\n- b\ntext\n| a |\n| - |") == "text\n\n- a\n- b\ntext\n\n| a |\n| - |"
    assert with_blank_lines("```\ntext\n- a\n```") == "```\ntext\n- a\n```"


def test_a_link_out_of_the_docs_is_https(docs):
    for source in [docs.parent / "README.md", *docs.rglob("*.md")]:
        for target in re.findall(r"\]\((\w+://[^)\s]+)\)", source.read_text(encoding="utf-8")):
            assert target.startswith("https://"), (source.name, target)


def test_a_section_that_is_not_there_is_said():
    assert section("# a\n## b\none\n## c\ntwo", "b") == "one"
    with pytest.raises(ValueError, match="no heading '## d'"):
        section("# a\n## b\none", "d")
