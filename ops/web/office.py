"""What every request works with: settings, a pool of connections, who is let in, and what is kept open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import asyncpg
from fastapi import Depends, Request

from ops.context import faults_told
from ops.web.access import Access, Caller
from ops.web.explainer import Explainer
from ops.web.feed import JobFeed
from ops.web.lags import Lags
from ops.web.problems import NotAllowed, NotLoggedIn
from schemas.errors import Unavailable
from schemas.settings import Settings
from schemas.stop import closed

COOKIE = "riskflow_session"
BEARER = "bearer "
POOL_SIZE = 6
"""Connections to the database; a request holds one for some milliseconds (expert assumption)."""
WAIT_SECONDS = 10.0
"""How long a request waits for a connection (expert assumption)."""


class Office:
    """One for the application.

    Args:
        settings: Of this process.
        access: Who is let in.
        stop: Set when the service is to end; streams end then.
    """

    def __init__(self, settings: Settings, access: Access, stop: asyncio.Event) -> None:
        self.settings = settings
        self.access = access
        self.stop = stop
        self.feed = JobFeed(settings, self.database)
        self.explainer = Explainer(settings)
        self.lags = Lags(settings)
        self._pool: asyncpg.Pool | None = None

    def open(self, pool: asyncpg.Pool) -> None:
        """Work with this pool, which is closed with the office."""
        self._pool = pool

    async def close(self) -> None:
        """Disconnect from everything."""
        self.explainer.close()
        await closed(self.lags.close())
        pool, self._pool = self._pool, None
        if pool is not None:
            await closed(pool.close())

    @asynccontextmanager
    async def database(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection for the length of a block.

        Raises:
            Unavailable: The database does not answer, or all connections are busy.
            RiskflowError: As ops.context.faults_told.
        """
        label = f"database {self.settings.database_label}"
        if self._pool is None:
            raise Unavailable(f"{label} has not answered yet; try again")
        try:
            connection = await self._pool.acquire(timeout=WAIT_SECONDS)
        except TimeoutError:
            raise Unavailable(f"{label}: no connection was free for {WAIT_SECONDS:g} s; try again") from None
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise Unavailable(f"{label} cannot be used: {error}") from None
        try:
            with faults_told(self.settings, connection):
                yield connection
        finally:
            await self._pool.release(connection)


def office_of(request: Request) -> Office:
    """The application's office."""
    office: Office = request.app.state.office
    return office


def token_of(request: Request) -> str | None:
    """The token that a request presents: in a header, or in the cookie that the page has been given."""
    told = request.headers.get("authorization", "")
    if told.lower().startswith(BEARER):
        return told[len(BEARER) :].strip()
    return request.cookies.get(COOKIE)


def caller_of(request: Request) -> Caller:
    """Who asks.

    Raises:
        NotLoggedIn: A token is unknown, or is missing where visitors are not let in.
    """
    access = office_of(request).access
    token = token_of(request)
    caller = access.caller(token)
    if caller is None:
        raise NotLoggedIn(
            "this token is not known; log in anew"
            if token
            else "log in with a token, or send it as `Authorization: Bearer ...`"
        )
    return caller


Here = Annotated[Office, Depends(office_of)]
Who = Annotated[Caller, Depends(caller_of)]


def operator(who: Who) -> Caller:
    """The caller, who may trigger jobs.

    Raises:
        NotAllowed: They may not.
    """
    if not who.may_trigger:
        raise NotAllowed(f"{who.name} is a {who.role}; only an operator may do this")
    return who


def reader_of_letters(who: Who) -> Caller:
    """The caller, who may see dead letters.

    Raises:
        NotAllowed: They may not.
    """
    if not who.may_see_letters:
        raise NotAllowed(
            f"{who.name} may not see dead letters, which may hold anything: only an operator "
            "who sees all tenants may"
        )
    return who


Operator = Annotated[Caller, Depends(operator)]
LetterReader = Annotated[Caller, Depends(reader_of_letters)]
