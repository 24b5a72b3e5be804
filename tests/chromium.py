"""One headless Chromium for the session, where the system has one and a Korean font."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # Maps are drawn by WebGL, which without a graphics card the processor does.
    *("--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
)


def chromium() -> str:
    """Path of the system's Chromium; skips the test where it or a Korean font is missing."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    fonts = shutil.which("fc-list")
    if fonts is None or not subprocess.run([fonts, ":lang=ko"], capture_output=True, check=True).stdout:
        pytest.skip("no Korean font is installed (Debian: fonts-noto-cjk)")
    return path


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The browser; pages of its own for every test."""
    path = chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        await browser.close()
