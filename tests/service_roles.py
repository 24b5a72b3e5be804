"""A login role per service, with the rights that the migrations give it and no others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from secrets import token_hex
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from ops.stack.supervisor import Service

SERVICES = ("producers", "worker", "sink", "reporter", "web", "reader", "requester")
SECRET = "role-secret-9"  # noqa: S105 - of roles that a test drops


class ServiceRoles:
    """The roles of one test's database; the server has them in common, so each test has names of its own."""

    def __init__(self, database_url: str, owner: asyncpg.Connection) -> None:
        self._url = urlsplit(database_url)
        self._owner = owner
        self._suffix = token_hex(4)

    def name(self, service: str) -> str:
        """The role of a service."""
        return f"{service}_{self._suffix}"

    def dsn(self, service: str, port: int | None = None, query: str = "") -> str:
        """How it logs in, at another port where one is given."""
        place = f"{self.name(service)}:{SECRET}@{self._url.hostname}:{port or self._url.port}"
        return urlunsplit(self._url._replace(netloc=place, query=query))

    @asynccontextmanager
    async def login(self, service: str) -> AsyncIterator[asyncpg.Connection]:
        """A connection of the service's role."""
        connection = await asyncpg.connect(self.dsn(service))
        try:
            yield connection
        finally:
            await connection.close()

    def applied(self, services: Sequence[Service], port: int | None = None, query: str = "") -> list[Service]:
        """The services, each with its own login."""
        return [
            replace(each, env={**each.env, "DATABASE_URL": self.dsn(each.name, port, query)})
            for each in services
        ]

    async def create(self) -> None:
        """Make the roles."""
        for service in SERVICES:
            await self._owner.execute(f"CREATE ROLE {self.name(service)} LOGIN PASSWORD '{SECRET}'")
            await self._owner.execute("SELECT riskflow.grant_service($1, $2)", self.name(service), service)

    async def drop(self) -> None:
        """Take the roles from the server again."""
        for service in SERVICES:
            await self._owner.execute(f"DROP OWNED BY {self.name(service)}; DROP ROLE {self.name(service)}")


@asynccontextmanager
async def service_roles(database_url: str) -> AsyncIterator[ServiceRoles]:
    """The roles of a database."""
    owner = await asyncpg.connect(database_url)
    roles = ServiceRoles(database_url, owner)
    try:
        await roles.create()
        yield roles
    finally:
        await roles.drop()
        await owner.close()
