"""The documentation's site as one opens it from a folder, without a server and without a network."""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import Browser


async def test_the_search_finds_a_page_and_nothing_is_fetched(site: Path, browser: Browser) -> None:
    page = await browser.new_page(viewport={"width": 1300, "height": 900})
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    await page.goto((site / "index.html").as_uri())
    await page.locator("input.md-search__input").fill("aiops_trigger")
    found = page.locator(".md-search-result__item a")
    await found.first.wait_for(state="attached")
    hrefs = [await one.get_attribute("href") or "" for one in await found.all()]
    assert any("messages.html" in href for href in hrefs)
    assert [url for url in fetched if not url.startswith(("file:", "data:", "blob:"))] == []
    await page.close()
