"""A receiver of Slack messages on this machine that keeps what it is sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiohttp import web

HOST = "localhost"
ADDRESS = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class CaughtPost:
    """A Slack message as it came: path of the webhook and the JSON body."""

    path: str
    body: dict[str, Any]


class SlackCatcher:
    """An HTTP server that answers webhooks as Slack does."""

    def __init__(self) -> None:
        self.received: list[CaughtPost] = []
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where webhooks lie: a path of one's own may follow."""
        if self._runner is None:
            raise RuntimeError("the receiver has not been started")
        return f"http://{HOST}:{self._runner.addresses[0][1]}"

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application()
        app.router.add_post("/{path:.*}", self._posted)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, ADDRESS, 0).start()

    async def stop(self) -> None:
        """Close the port and what is connected."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def answer(self, post: CaughtPost) -> web.StreamResponse:
        """Keep a message."""
        self.received.append(post)
        return web.Response(text="ok")

    async def _posted(self, request: web.Request) -> web.StreamResponse:
        return await self.answer(CaughtPost(request.path, await request.json()))
