"""The web page's service on real servers, and a client that speaks to it as another program does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
from pydantic import SecretStr

from ops.page import base_address
from ops.stack.endpoint import free_port
from ops.web.service import run
from schemas.settings import Settings

TOKEN = "a-token-of-the-tests"  # noqa: S105 - of the tests


class Client:
    """Speaks to one address with one token, or with none."""

    def __init__(self, base: str, session: aiohttp.ClientSession, token: str | None) -> None:
        self.base = base
        self.session = session
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def known_as(self, token: str | None) -> Client:
        """The same address with another token."""
        return Client(self.base, self.session, token)

    async def get(self, path: str, **query: Any) -> Any:
        """The body of a good answer."""
        return await self.send("GET", path, 200, params={name: str(value) for name, value in query.items()})

    async def post(self, path: str, body: object = None, status: int = 200, **headers: str) -> Any:
        """The same of a request with a body."""
        told = {"Content-Type": "application/json", **headers}
        return await self.send("POST", path, status, data=orjson.dumps(body or {}), headers=told)

    async def send(self, method: str, path: str, status: int, **options: Any) -> Any:
        """What a request is answered with; JSON is parsed."""
        headers = self.headers | options.pop("headers", {})
        async with self.session.request(method, self.base + path, headers=headers, **options) as answer:
            body = await answer.read()
            assert answer.status == status, (answer.status, body)
            return orjson.loads(body) if "json" in answer.content_type else body

    async def problem(self, method: str, path: str, status: int, **options: Any) -> str:
        """The sentence of an answer that is a problem with this status."""
        told = await self.send(method, path, status, **options)
        assert told["status"] == status
        return str(told["detail"])


def web_settings(settings: Settings, **changes: Any) -> Settings:
    """Settings of a page on a port of its own, whose operator has TOKEN where nothing else is said."""
    if "web_access_file" not in changes:
        changes = {"web_token": SecretStr(TOKEN)} | changes
    return settings.model_copy(update={"web_port": free_port(), **changes})


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[Client]:
    """The page's service in this process, ended with the block."""
    stop = asyncio.Event()
    serving = asyncio.create_task(run(settings, stop))
    jar = aiohttp.DummyCookieJar()
    try:
        async with aiohttp.ClientSession(cookie_jar=jar, timeout=aiohttp.ClientTimeout(60)) as session:
            client = Client(base_address(settings), session, TOKEN)
            await _until_it_answers(client, serving)
            yield client
    finally:
        stop.set()
        await asyncio.wait_for(serving, 20)


async def _until_it_answers(client: Client, serving: asyncio.Task[None]) -> None:
    async with asyncio.timeout(20):
        while not serving.done():
            try:
                async with client.session.get(client.base + "/api/openapi.json"):
                    return
            except aiohttp.ClientConnectorError:
                await asyncio.wait({serving}, timeout=0.02)
    serving.result()
