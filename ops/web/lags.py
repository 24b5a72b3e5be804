"""How far the consumer groups are behind, by a client that stays connected."""

from __future__ import annotations

import asyncio

from producers.lag import read_lags
from producers.offsets import OffsetReader
from schemas.errors import Unavailable
from schemas.settings import Settings

ANSWER_SECONDS = 5.0
"""How long the broker may take (expert assumption)."""


class Lags:
    """Reads the lag of every group, one look at a time; connects with the first."""

    def __init__(self, settings: Settings) -> None:
        # Whoever looks at a page does not wait for a broker as long as a service does.
        self._settings = settings.model_copy(update={"start_timeout": ANSWER_SECONDS})
        self._lock = asyncio.Lock()
        self._offsets: OffsetReader | None = None

    async def now(self) -> dict[tuple[str, str, str], int]:
        """Lag by group, topic and partition.

        Raises:
            KafkaError: The broker does not answer, or lacks a topic.
            Unavailable: It does not answer.
        """
        async with self._lock:
            try:
                return await read_lags(await self._connected())
            except BaseException:
                await self.close()
                raise

    async def close(self) -> None:
        """Disconnect."""
        offsets, self._offsets = self._offsets, None
        if offsets is not None:
            await offsets.stop()

    async def _connected(self) -> OffsetReader:
        if self._offsets is None:
            offsets = OffsetReader(self._settings, "web lag")
            try:
                await offsets.start()
            except Unavailable:
                await offsets.stop()
                raise
            self._offsets = offsets
        return self._offsets
