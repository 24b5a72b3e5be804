"""The web page as a risk officer meets it: a real browser, real services, and the database beside it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect
from pydantic import SecretStr
from whole import Whole, draw_grid, running

from ops.page import page_address
from ops.stack.endpoint import free_port

CELLS = 400
CELL = (33.0, 124.2)
"""A cell of the drawn grid."""
TOKEN = "token-of-the-page-test"  # noqa: S105 - of the test
SECONDS = 60
SLOWLY = {"RISKFLOW_FAULT": "climate.compute=sleep 0.4"}
"""So that the bar is seen on its way."""

_STORED = """
    SELECT p.aal, h.hazard_level, p.job_id
    FROM probability_results p JOIN hazard_results h
    USING (latitude, longitude, risk_type, scenario, window_start, window_end)
    WHERE (latitude, longitude, risk_type) = ($1::float8::numeric, $2::float8::numeric, 'drought')
"""


@pytest.fixture
async def whole(database_url: str, tmp_path: Path) -> AsyncIterator[Whole]:
    """All services on a drawn grid, with the page."""
    page = {"web_port": free_port(), "web_token": SecretStr(TOKEN)}
    async with running(database_url, tmp_path, SLOWLY, batch_size=16, **page) as flow:
        await draw_grid(flow.connection, CELLS)
        await flow.services.start()
        yield flow


@asynccontextmanager
async def opened(browser: Browser, whole: Whole) -> AsyncIterator[Page]:
    """The page in a browser of its own, logged in; what the browser complains of fails the test."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    page = await context.new_page()
    page.set_default_timeout(SECONDS * 1000)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    await whole.until("SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'riskflow web'")
    await page.goto(page_address(whole.settings))
    yield page
    await context.close()
    assert complaints == []


async def test_a_job_started_on_the_page_moves_its_bar_and_a_cell_shows_what_the_database_holds(
    browser: Browser, whole: Whole
) -> None:
    async with opened(browser, whole) as page:
        job_id = await start_job(page)
        seen = await values_of_bar(page)
        assert len(set(seen)) > 2, f"the bar jumped: {seen}"
        assert seen == sorted(seen)
        assert seen[-1] <= 2 * CELLS
        job = await whole.ended(job_id)
        await expect(page.get_by_role("row", name=re.compile(job_id))).to_contain_text("completed")
        assert (job.status, job.requested_by) == ("completed", "operator, web page")

        told = await numbers_on_the_map(page)
        row = await whole.connection.fetchrow(_STORED, *CELL)
        assert (row["hazard_level"], row["job_id"]) == (told["level"], job_id)
        assert told["aal"] == pytest.approx(row["aal"], rel=5e-3)


async def start_job(page: Page) -> str:
    """Ask for a climate job in the dialog, and give the id that the page shows."""
    await page.get_by_role("button", name="Start a job").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Start", exact=True).click()
    link = page.get_by_role("link", name=re.compile("^climate-")).first
    await expect(link).to_be_visible()
    return (await link.inner_text()).strip()


async def values_of_bar(page: Page) -> list[float]:
    """Values that the bar of drought takes until its job has ended and it goes."""
    bar = page.locator("progress").nth(2)
    await expect(bar).to_be_visible()
    values = await bar.evaluate(
        """async (bar) => {
            const seen = [bar.value];
            await new Promise((gone) => {
                const watch = new MutationObserver(() => {
                    if (!bar.isConnected) gone();
                    else if (bar.value !== seen.at(-1)) seen.push(bar.value);
                });
                watch.observe(document.body, { attributes: true, childList: true, subtree: true });
            });
            return seen;
        }"""
    )
    return [float(value) for value in values]


async def numbers_on_the_map(page: Page) -> dict[str, object]:
    """Expected loss and level of CELL, found by its coordinates as one does without a mouse."""
    await page.get_by_role("link", name="Map").click()
    await page.locator("[data-state=ready]").wait_for()
    await page.get_by_label("Risk").select_option("drought")
    await page.locator("[data-state=ready]").wait_for()
    field = page.get_by_label("Find cell: latitude, longitude")
    await field.fill(f"{CELL[0]}, {CELL[1]}")
    await field.press("Enter")
    status = page.locator(".map-status")
    await expect(status).to_contain_text("33")
    text = await status.inner_text()
    share = re.search(r"loss ([0-9.]+)\s*%", text)
    level = re.search(r"(Very low|Low|Medium|High|Very high)", text)
    assert share is not None, text
    assert level is not None, text
    return {"aal": float(share[1]) / 100, "level": level[1].title()}
