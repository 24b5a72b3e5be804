"""A person's visit to the page: a browser's page that is logged in, and that must not complain."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Page
from web_client import TOKEN, Client

ANSWERED = re.compile(r"Failed to load resource: the server responded with a status of 4\d\d")
"""What Chromium says of a refusal that the page shows itself."""


@asynccontextmanager
async def visit(
    browser: Browser, client: Client, view: str = "jobs", *, token: str | None = TOKEN, **options: Any
) -> AsyncIterator[Page]:
    """A page at a view, logged in with a token where there is one.

    Args:
        browser: Of the session.
        client: Of the service that serves the page.
        view: Behind the `#/` of the address.
        token: Of whom it is, None for a visitor.
        options: Of the browser's context, such as its locale.
    """
    context = await browser.new_context(**({"locale": "en-GB", "timezone_id": "Asia/Seoul"} | options))
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.extend(_complaint(message)))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        if token is not None:
            await context.request.post(f"{client.base}/api/v1/session", data={"token": token})
        await page.goto(f"{client.base}/#/{view}")
        await page.locator("h1").wait_for()
        yield page
    finally:
        await context.close()
    assert complaints == []


def _complaint(message: ConsoleMessage) -> list[str]:
    is_one = message.type in {"error", "warning"} and not ANSWERED.search(message.text)
    return [message.text] if is_one else []
