"""Every service as a process of its own, on a broker and a database that only one test sees."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from chromium import browser
from whole import Whole, running

__all__ = ["browser"]


@pytest.fixture
async def whole(database_url: str, tmp_path: Path) -> AsyncIterator[Whole]:
    """Services on an empty grid, not started; chunks of eight cells."""
    async with running(database_url, tmp_path, batch_size=8) as flow:
        yield flow
