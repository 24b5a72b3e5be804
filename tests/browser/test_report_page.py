"""The report as a person meets it: in a real browser, on a screen, a phone and paper."""

from __future__ import annotations

import re
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, ViewportSize
from report_pages import page as page_of
from report_pages import report_data
from report_samples import BRIGHTON, NOTHING, SEOUL, drawn_students

from schemas.tenants import Tenant

EVIL = "<script>alert(1)</script>"
LOGO = (
    "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCA4IDgiPjxyZWN0"
    "IHdpZHRoPSI4IiBoZWlnaHQ9IjgiLz48L3N2Zz4="
)
DESKTOP: ViewportSize = {"width": 1200, "height": 900}
PHONE: ViewportSize = {"width": 360, "height": 740}
STUDENTS = [
    {"student_id": "s'\"1", **NOTHING, "omit_rate": 0.2, "name": EVIL, "class_name": "1-2"},
    {"student_id": "s10", **NOTHING, "absence_rate_7d": 0.25, "name": "학생 나", "class_name": "1-10"},
    {"student_id": "s2", **NOTHING, "absence_rate_7d": 0.12, "name": "학생 가", "class_name": "1-2"},
    {"student_id": "s3", **NOTHING, "delta_theta_7d": -0.2, "name": None, "class_name": None},
    {"student_id": "s4", **NOTHING},
    *drawn_students(30, prefix="z"),
]
CONTRASTS = """() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const linear = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = channels(getComputedStyle(each).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, element = node.parentElement;
    if (!node.textContent.trim() || !element.checkVisibility() || element.closest("script")) continue;
    const drawn = element.ownerSVGElement;
    const style = getComputedStyle(element);
    let under = ground(drawn ?? element);
    if (drawn) {
      const box = element.getBoundingClientRect();
      const middle = [box.x + box.width / 2, box.y + box.height / 2];
      for (const bar of drawn.querySelectorAll("rect.reactive")) {
        const at = bar.getBoundingClientRect();
        if (middle[0] > at.left && middle[0] < at.right && middle[1] > at.top && middle[1] < at.bottom)
          under = channels(getComputedStyle(bar).fill);
      }
    }
    const colours = [channels(drawn ? style.fill : style.color), under];
    const pair = colours.map(luminance).sort((a, b) => a - b);
    found.push([(pair[1] + 0.05) / (pair[0] + 0.05), node.textContent.trim().slice(0, 40)]);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of two tenants' pages."""
    folder = tmp_path_factory.mktemp("pages")
    for tenant in (SEOUL, BRIGHTON):
        html = page_of(tenant, report_data(tenant, STUDENTS), logo=LOGO)
        (folder / f"{tenant.org_id}.html").write_text(html, "utf-8")
    return folder


@asynccontextmanager
async def opened(
    browser: Browser, pages: Path, tenant: Tenant, size: ViewportSize = DESKTOP, **options: Any
) -> AsyncIterator[Page]:
    """A tenant's page; whatever it asks for, prints to the console or pops up fails the test."""
    context = await browser.new_context(viewport=size, **options)
    page = await context.new_page()
    faults: list[str] = []
    address = (pages / f"{tenant.org_id}.html").as_uri()
    page.on("request", lambda request: faults.append(request.url))
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda dialog: faults.append(f"dialog {dialog.message}"))
    await page.goto(address)
    yield page
    await context.close()
    assert [fault for fault in faults if fault != address and not fault.startswith("data:")] == []


async def shown(page: Page, column: int) -> list[str]:
    return await page.evaluate(
        "column => [...document.querySelectorAll('#students tbody tr:not([hidden])')]"
        ".map(row => row.cells[column].innerText.trim())",
        column,
    )


async def sorted_by(page: Page) -> list[str | None]:
    return await page.evaluate(
        "[...document.querySelectorAll('#students thead th')].map(each => each.getAttribute('aria-sort'))"
    )


async def test_names_and_ids_are_text(browser: Browser, pages: Path) -> None:
    async with opened(browser, pages, SEOUL) as page:
        assert await page.locator("html").get_attribute("lang") == "ko"
        student = page.locator("#students tbody th").filter(has_text="alert(1)")
        assert await student.inner_text() == f"{EVIL}\ns'\"1"
        assert await page.locator("script").count() == 1


async def test_sorting_by_mouse_and_keyboard(browser: Browser, pages: Path) -> None:
    async with opened(browser, pages, SEOUL) as page:
        ranks = [int(rank) for rank in await shown(page, 0)]
        assert ranks == sorted(ranks)
        assert await sorted_by(page) == ["ascending", None, None, None, None]

        await page.get_by_role("button", name="학급").click()
        assert await sorted_by(page) == [None, None, "ascending", None, None]
        classes = [name for name in await shown(page, 2) if name.startswith("1-")]
        assert classes == ["1-2", "1-2", "1-10"]

        await page.get_by_role("button", name="순위").focus()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Space")
        assert await sorted_by(page) == ["descending", None, None, None, None]
        assert [int(rank) for rank in await shown(page, 0)] == ranks[::-1]


async def test_filtering_tells_how_many_are_shown(browser: Browser, pages: Path) -> None:
    async with opened(browser, pages, BRIGHTON) as page:
        count = page.locator("#filter-count")
        everyone = len(await shown(page, 0))
        assert await count.inner_text() == f"{everyone} students shown"
        assert await count.get_attribute("aria-live") == "polite"

        await page.get_by_role("combobox", name="Class").select_option("1-2")
        assert await shown(page, 2) == ["1-2", "1-2"]
        await page.get_by_role("combobox", name="Level").select_option("CRIT")
        assert await shown(page, 3) == ["▲ Critical"]
        assert await count.inner_text() == "1 student shown"

        await page.get_by_role("combobox", name="Class").select_option("")
        await page.get_by_role("combobox", name="Level").select_option("")
        await page.get_by_role("searchbox", name="Name or id").fill("S'\"")
        assert len(await shown(page, 0)) == 1
        await page.get_by_role("searchbox", name="Name or id").fill("nobody")
        assert await count.inner_text() == "0 students shown"


@pytest.mark.parametrize("tenant", [SEOUL, BRIGHTON], ids=lambda tenant: tenant.org_id)
async def test_all_text_stands_out(browser: Browser, pages: Path, tenant: Tenant) -> None:
    async with opened(browser, pages, tenant) as page:
        await page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        found = await page.evaluate(CONTRASTS)
        assert len(found) > 300
        assert [each for each in found if each[0] < 4.5] == []


async def test_headers_have_a_scope_and_figures_a_name(browser: Browser, pages: Path) -> None:
    async with opened(browser, pages, BRIGHTON) as page:
        assert await page.locator("th").count() > 50
        assert await page.locator("th:not([scope])").count() == 0
        figures = page.get_by_role("figure")
        images = page.get_by_role("img")
        assert await figures.count() == 5
        assert await images.count() == 6  # and the logo
        names = [
            "Students at risk per report",
            "Students by level",
            "Students at risk by class",
            "Change of ability over 7 days",
            "Attendance by day: share of sessions missed",
        ]
        for name in names:
            assert await page.get_by_role("figure", name=name, exact=True).count() == 1
            assert await page.get_by_role("img", name=name, exact=True).count() == 1
        assert await page.get_by_role("img", name="Logo of Sample School").count() == 1


@pytest.mark.parametrize("tenant", [SEOUL, BRIGHTON], ids=lambda tenant: tenant.org_id)
async def test_a_phone_never_scrolls_sideways(browser: Browser, pages: Path, tenant: Tenant) -> None:
    async with opened(browser, pages, tenant, PHONE) as page:
        await page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        assert await page.evaluate("document.documentElement.scrollWidth") == 360
        sizes = await page.evaluate(
            "[...document.querySelectorAll('p, li, td, th, dd, dt')].filter(each => each.checkVisibility())"
            ".map(each => parseFloat(getComputedStyle(each).fontSize))"
        )
        assert min(sizes) >= 14
        rows = page.locator("#students tbody tr")
        assert (await rows.first.bounding_box())["width"] <= 360
        assert await page.get_by_role("row").count() > await rows.count()


async def test_the_page_is_whole_without_script(browser: Browser, pages: Path) -> None:
    async with opened(browser, pages, SEOUL, java_script_enabled=False) as page:
        assert await page.locator("#students tbody tr").count() >= 4
        assert await page.locator("#students button").count() == 0
        assert not await page.locator("#filter-text").is_visible()
        assert await page.locator("svg text").count() > 30


async def test_paper_is_a4_with_text_and_a_table_head_that_repeats(browser: Browser, pages: Path) -> None:
    async with opened(browser, pages, BRIGHTON) as page:
        paper = await page.pdf(prefer_css_page_size=True, print_background=True)
        sizes = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", paper)
        assert {(round(float(wide)), round(float(high))) for wide, high in sizes} == {(595, 842)}
        assert page_texts(paper) >= 3
        await page.emulate_media(media="print")
        assert not await page.locator("#filter-text").is_visible()
        # Chromium leaves buttons out where it repeats a head.
        head = await page.locator("#students thead").inner_text()
        assert head.strip() == "Rank\tStudent\tClass\tLevel\tReasons"
        assert await page.evaluate("getComputedStyle(document.querySelector('#students thead')).display") == (
            "table-header-group"
        )


def page_texts(paper: bytes) -> int:
    """Content streams of a PDF that draw text with a font."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", paper, re.DOTALL)
    drawn = 0
    for stream in streams:
        try:
            drawn += re.search(rb"\bTf\b.*\bT[jJ]\b", zlib.decompress(stream), re.DOTALL) is not None
        except zlib.error:
            continue
    return drawn


async def test_korean_is_drawn_and_not_boxes(browser: Browser, pages: Path) -> None:
    async with opened(browser, pages, SEOUL) as page:
        # A font without Hangul draws the same box for every syllable.
        pictures = await page.evaluate("""() => ["가", "힣", "\\u{10ffff}"].map((glyph) => {
            const canvas = document.createElement("canvas");
            const pen = canvas.getContext("2d");
            pen.font = "40px " + getComputedStyle(document.body).fontFamily;
            pen.fillText(glyph, 20, 60);
            return canvas.toDataURL();
        })""")
        assert len(set(pictures)) == 3
        assert await page.locator("h1").inner_text() == "주간 학생 위험 보고서"
