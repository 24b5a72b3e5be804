"""The page as a person meets it, over the real service, ledger and broker: jobs, tenants, health, login."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path

import asyncpg
import orjson
import pytest
from page_rows import CELLS, EVIL, climate_job, ended, failed, reported, summary
from page_visits import visit
from playwright.async_api import Browser, Page, ViewportSize, expect
from pydantic import SecretStr
from test_report_page import CONTRASTS
from web_client import TOKEN, Client, served, web_settings

from ops.stack.servers import EmbeddedBroker
from producers.publisher import Publisher
from producers.topics import create_topics
from schemas.codec import Record, dead_letter_headers
from schemas.settings import Settings
from schemas.topics import TRIGGERS, dead_letters

PHONE: ViewportSize = {"width": 360, "height": 740}
MONDAY = date(2026, 11, 23)
FILE = """\
access:
  - {name: officer, role: operator, token_env: OFFICER_TOKEN, tenants: ["*"]}
  - {name: visitor, role: viewer}
"""


@pytest.fixture
async def settings(database_url: str, tmp_path: Path) -> AsyncIterator[Settings]:
    """Settings with a broker and a database that only this test sees."""
    broker = EmbeddedBroker(tmp_path / "broker.log")
    await broker.start()
    try:
        await broker.wait_ready()
        found = Settings(
            _env_file=None,
            database_url=SecretStr(database_url),
            kafka_bootstrap_servers=broker.address,
            reports_dir=tmp_path,
        )
        await create_topics(found)
        yield found
    finally:
        await broker.stop()


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "INSERT INTO climate_data (latitude, longitude, year, month, ta) VALUES (37, 127, 2020, 7, 25)"
    )
    yield connection
    await connection.close()


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[Client]:
    async with served(web_settings(settings)) as client:
        yield client


async def texts(page: Page, selector: str) -> list[str]:
    return await page.locator(selector).all_inner_texts()


async def test_bars_move_with_the_ledger_until_the_job_is_a_past_one(
    browser: Browser, client: Client, connection: asyncpg.Connection
) -> None:
    await climate_job(connection, "p-1")
    async with visit(browser, client) as page:
        drought = page.get_by_role("progressbar", name="Drought, job p-1")
        await expect(drought).to_have_js_property("max", CELLS)
        await reported(connection, "p-1", "drought", 30, failed=2)
        await expect(drought).to_have_js_property("value", 30)
        await expect(page.locator(".bar", has_text="Drought")).to_contain_text("75% 30 / 40 2 failed")
        await ended(connection, "p-1", 2, f"cell {EVIL} failed")
        row = page.get_by_role("row", name="p-1")
        await expect(row).to_contain_text("completed with failures")
        await expect(row).to_contain_text(f"cell {EVIL} failed")
        await expect(drought).to_have_count(0)
        await expect(page.locator("#whisper")).to_have_text("Job p-1: completed with failures")


async def test_a_job_s_page_says_what_failed_and_why(
    browser: Browser, client: Client, connection: asyncpg.Connection
) -> None:
    await climate_job(connection, "p-1")
    await failed(connection, "p-1", f"cell {EVIL} failed")
    async with visit(browser, client, "jobs/p-1") as page:
        row = page.get_by_role("region", name="What failed").get_by_role("row").last
        await expect(row).to_contain_text(re.compile(r"Probability\s*1\s*2\s*cell " + re.escape(EVIL)))


async def test_a_job_is_asked_for_by_keyboard_and_shown_at_once(
    browser: Browser, client: Client, connection: asyncpg.Connection
) -> None:
    async with visit(browser, client) as page:
        opener = page.get_by_role("button", name="Start a job")
        await opener.press("Enter")
        await page.get_by_role("dialog").press("Escape")
        await expect(opener).to_be_focused()
        await opener.press("Enter")
        await page.get_by_role("radio", name="Hazard score").press("Space")
        await page.get_by_label("First year").fill("1901")
        await page.get_by_label("First year").press("Enter")
        await expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("allowed are 1 to 30")
        await page.get_by_label("First year").fill("2001")
        await page.get_by_label("Drought").press("Space")
        await page.get_by_label("First year").press("Enter")
        await expect(page.get_by_role("article")).to_contain_text("waiting to be accepted")
        await expect(opener).to_be_focused()
    trigger = orjson.loads(await connection.fetchval("SELECT value FROM outbox"))
    assert (trigger["job_type"], trigger["risks"]) == ("hazard", ["drought"])
    assert trigger["window"] == {"start": 2001, "end": 2020}
    assert "bbox" not in trigger or trigger["bbox"] is None


async def test_a_job_is_cancelled_only_after_a_yes(
    browser: Browser, client: Client, connection: asyncpg.Connection
) -> None:
    await climate_job(connection, "p-1")
    status = "SELECT status FROM batch_job_logs WHERE job_id = 'p-1'"
    async with visit(browser, client) as page:
        cancel = page.get_by_role("button", name="Cancel: p-1")
        await cancel.click()
        await page.get_by_role("dialog").get_by_text("Close").click()
        await expect(cancel).to_be_focused()
        assert await connection.fetchval(status) == "running"
        await cancel.click()
        await page.get_by_role("button", name="Cancel the job").click()
        await expect(page.locator("#notices")).to_contain_text("p-1 is cancelled")
        await expect(page.get_by_role("button", name="Resume: p-1")).to_be_visible()
    assert await connection.fetchval(status) == "cancelled"


async def test_a_token_is_taken_from_the_address_and_out_of_it(browser: Browser, client: Client) -> None:
    async with visit(browser, client, token=None) as page:
        await page.get_by_label("Token").fill("a token that nobody has")
        await page.get_by_label("Token").press("Enter")
        await expect(page.get_by_role("alert")).to_contain_text("this token is not known")
        await page.goto(f"{client.base}/#token={TOKEN}")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")
        assert TOKEN not in page.url
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_label("Token")).to_be_focused()


async def test_a_visitor_looks_and_has_no_buttons(
    browser: Browser,
    settings: Settings,
    connection: asyncpg.Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OFFICER_TOKEN", TOKEN)
    (tmp_path / "access.yaml").write_text(FILE)
    await climate_job(connection, "p-1")
    async with (
        served(web_settings(settings, web_access_file=tmp_path / "access.yaml")) as client,
        visit(browser, client, token=None) as page,
    ):
        await expect(page.get_by_role("article")).to_contain_text("p-1")
        assert await texts(page, "main button") == []
        assert await texts(page, "nav a") == ["Jobs", "Map", "Health"]


async def test_a_tenant_shows_the_change_and_its_earlier_reports(
    browser: Browser, client: Client, connection: asyncpg.Connection
) -> None:
    for weeks, crit in ((0, 5), (1, 3), (2, 4)):
        await summary(connection, "school", MONDAY - timedelta(weeks=weeks), crit, warn=5)
    async with visit(browser, client, "tenants") as page:
        card = page.get_by_role("article", name=EVIL)
        await expect(card.locator(".figure.crit")).to_contain_text("5 ▲ +2")
        await expect(card.locator(".figure.warn")).to_contain_text("5 = 0")
        await card.get_by_text("Earlier reports").click()
        await expect(card.locator("tbody th")).to_have_text(["16 Nov 2026", "9 Nov 2026"])
        await page.get_by_label("Find").fill("nobody")
        await expect(page.get_by_role("article")).to_have_count(0)


async def test_a_dead_letter_is_read_as_text_and_dropped(
    browser: Browser, client: Client, settings: Settings
) -> None:
    headers = dead_letter_headers([], reason=f"unknown risk {EVIL}", error=None, source=(TRIGGERS.name, 0, 7))
    async with Publisher(settings) as publisher:
        await publisher.send(Record(dead_letters(TRIGGERS).name, b"k", b'{"job_id": "lost"}', headers))
    async with visit(browser, client, "health") as page:
        await expect(page.locator("#letters")).to_contain_text("1 to deal with")
        await page.get_by_role("button", name="View").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text(f"unknown risk {EVIL}")
        await expect(dialog.locator("pre")).to_have_text('{\n  "job_id": "lost"\n}')
        await dialog.get_by_role("button", name="Drop").click()
        await expect(page.get_by_text("No dead letters.")).to_be_visible()
        await expect(page.locator("#letters")).to_be_focused()


@pytest.mark.parametrize("view", ["jobs", "tenants", "health", "jobs/p-1"])
async def test_a_phone_in_korean_and_the_dark_shows_all_of_it_readably(
    browser: Browser, client: Client, connection: asyncpg.Connection, view: str
) -> None:
    await climate_job(connection, "p-1")
    await climate_job(connection, "p-2", "failed", "the storm tracks of 1991-2020 are missing " * 4)
    await summary(connection, "school", MONDAY, 5, 5)
    async with visit(browser, client, view, locale="ko-KR", viewport=PHONE, color_scheme="dark") as page:
        assert await page.locator("html").get_attribute("lang") == "ko"
        assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        low = [(ratio, text) for ratio, text in await page.evaluate(CONTRASTS) if ratio < 4.5]
        assert low == []
        await page.get_by_label("언어").select_option("en")
        await page.reload()
        await expect(page.get_by_role("link", name="Jobs", exact=True)).to_be_visible()
