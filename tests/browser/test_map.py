"""The map as a person meets it, over the real service and database: by eye, by keyboard, as a table."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs

import asyncpg
import pytest
from map_rows import BLANK, GRID, STEP, derived, drought
from page_visits import visit
from playwright.async_api import Browser, Page, expect
from pydantic import SecretStr
from web_client import Client, served, web_settings

from schemas.settings import Settings

SECONDS = 60_000
"""Chromium draws by the processor here."""
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    await drought(connection, "historical")
    yield connection
    await connection.close()


@pytest.fixture
async def client(database_url: str, connection: asyncpg.Connection) -> AsyncIterator[Client]:  # noqa: ARG001 - the rows
    settings = Settings(
        _env_file=None, database_url=SecretStr(database_url), kafka_bootstrap_servers="localhost:1"
    )
    async with served(web_settings(settings)) as client:
        yield client


async def drawn(page: Page) -> None:
    page.set_default_timeout(SECONDS)
    await page.locator("[data-state=ready]").wait_for()


async def legend(page: Page) -> dict[str, str]:
    """Count of cells by class, as the legend has them."""
    rows = await page.locator(".map-legend li").all_inner_texts()
    return dict(tuple(re.split(r"\n+", row.strip(), maxsplit=1)) for row in rows)


async def test_the_legend_counts_every_cell_once_and_tells_apart_those_without_a_number(
    browser: Browser, client: Client
) -> None:
    async with visit(browser, client, "map?risk=drought&quantity=hazard_level") as page:
        await drawn(page)
        counts = await legend(page)
        assert counts["No number"] == "1 cell"
        assert sum(int(text.split()[0]) for text in counts.values()) == len(GRID)
        assert (counts["Very low"], counts["Low"], counts["Medium"], counts["High"]) == (
            "0 cells",
            "3 cells",
            "4 cells",
            "4 cells",
        )


async def test_a_cell_is_found_and_its_neighbours_are_reached_without_a_mouse(
    browser: Browser, client: Client
) -> None:
    async with visit(browser, client, "map?risk=drought") as page:
        await drawn(page)
        field = page.get_by_label("Find cell: latitude, longitude")
        await field.fill("35.1 127.1")
        await field.press("Enter")
        status = page.locator(".map-status")
        await expect(status).to_contain_text("35° N, 127° E")
        await expect(status).to_contain_text("Expected annual loss 0.1%")
        await page.keyboard.press("ArrowRight")
        await expect(status).to_contain_text(f"35° N, {127 + STEP:g}° E")
        await expect(status).to_contain_text("Expected annual loss 0.2%")
        await page.keyboard.press("ArrowUp")
        await expect(status).to_contain_text(f"{35 + STEP:g}° N, {127 + STEP:g}° E")
        query = parse_qs(page.url.partition("?")[2])
        assert query["cell"] == [f"{35 + STEP:g},{127 + STEP:g}"], "the address can be passed on"
        await field.fill("north of here")
        await field.press("Enter")
        await expect(page.locator("#map-find-message")).to_contain_text(
            "Write latitude and longitude in degrees"
        )


async def test_a_cell_without_a_number_says_why(browser: Browser, client: Client) -> None:
    async with visit(browser, client, f"map?risk=drought&cell={BLANK[0]:g},{BLANK[1]:g}") as page:
        await drawn(page)
        await expect(page.locator(".map-status")).to_contain_text("No number: no data for rn")


async def test_what_is_behind_a_number_is_refused_in_words_where_the_cell_has_no_climate(
    browser: Browser, client: Client
) -> None:
    async with visit(browser, client, "map?risk=drought&cell=35,127&panel=explain") as page:
        page.set_default_timeout(SECONDS)
        await expect(page.locator(".map-side [role=alert]")).to_contain_text(
            "the grid is empty", timeout=SECONDS
        )


async def test_the_difference_of_a_derived_scenario_is_of_the_cells_and_says_what_it_is(
    browser: Browser, client: Client, connection: asyncpg.Connection
) -> None:
    await drought(connection, "warm2", more=0.002)
    await derived(connection, "warm2")
    address = "map?risk=drought&compare=difference&with=warm2&with_start=1991&with_end=2020&cell=35,127"
    async with visit(browser, client, address) as page:
        await drawn(page)
        await expect(page.locator(".map-status")).to_contain_text("+0.2 pp")
        notice = page.get_by_text("derived from historical by the delta-change method")
        await expect(notice).to_contain_text("not a model's projection")
        await page.get_by_label("Compare").first.select_option("side")
        await drawn(page)
        await expect(page.locator(".map-pane:visible")).to_have_count(2)
        await expect(notice).to_be_visible()


async def test_the_same_numbers_stand_in_a_table(browser: Browser, client: Client) -> None:
    async with visit(browser, client, "map?risk=drought") as page:
        await drawn(page)
        await page.get_by_role("button", name="Show as table").click()
        rows = page.get_by_role("table").first.get_by_role("row")
        await expect(rows).to_have_count(1 + len(GRID))
        await expect(rows.nth(1)).to_contain_text("1.1%")
        await expect(rows.last).to_contain_text("no data for rn")


async def test_a_picture_and_files_are_taken_along(browser: Browser, client: Client, tmp_path: Path) -> None:
    async with visit(browser, client, "map?risk=drought") as page:
        await drawn(page)
        async with page.expect_download() as saving:
            await page.get_by_role("button", name="Save as picture (PNG)").click()
        picture = tmp_path / "map.png"
        await (await saving.value).save_as(picture)
        assert picture.read_bytes().startswith(PNG)
        assert picture.stat().st_size > 10_000
        async with page.expect_download() as saving:
            await page.get_by_role("link", name="CSV").click()
        file = tmp_path / "map.csv"
        await (await saving.value).save_as(file)
        assert len(file.read_text().splitlines()) == 1 + len(GRID)


async def test_the_map_speaks_korean_and_fits_a_phone(browser: Browser, client: Client) -> None:
    phone = {"locale": "ko-KR", "viewport": {"width": 360, "height": 740}}
    async with visit(browser, client, "map?risk=drought", **phone) as page:
        await drawn(page)
        assert (await legend(page))["값 없음"] == "1개"
        await expect(page.get_by_label("위험 유형")).to_have_value("drought")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_a_browser_that_cannot_draw_shows_the_table_and_says_why(
    browser: Browser, client: Client
) -> None:
    async with visit(browser, client, "jobs") as page:
        await page.add_init_script(
            "const real = HTMLCanvasElement.prototype.getContext;"
            "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
            " return kind.startsWith('webgl') ? null : real.call(this, kind, ...rest); };"
        )
        await page.goto(f"{client.base}/#/map?risk=drought")
        await page.reload()
        await drawn(page)
        await expect(page.get_by_role("note")).to_contain_text("WebGL 2 is missing")
        await expect(page.get_by_role("table").first.get_by_role("row")).to_have_count(1 + len(GRID))
