"""Which services work on a database, wherever they run: by the names of their connections."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import asyncpg

PREFIX = "riskflow "
"""Beginning of every name (schemas.database.connect)."""
WORKER = "worker "
"""Beginning of a worker's name, behind which stand its machine and process."""
SERVICES = {
    "producers": {"dispatcher", "bridge", "bridge listener", "scheduler", "gauges"},
    "worker": {"worker"},
    "sink": {"acceptor", "sink", "tenant-sink"},
    "reporter": {"renderer", "delivery", "courier"},
    "web": {"web"},
}
"""Connections of each service, by the names that they give themselves."""
ONE_A_PROCESS = {"producers": "scheduler", "worker": "worker", "sink": "acceptor", "reporter": "renderer"}
"""The connection that each process of a service holds once; the web page has a pool."""

_CONNECTED = """
    SELECT application_name AS name, count(*) AS connections, min(backend_start) AS since
    FROM pg_stat_activity
    WHERE datname = current_database() AND starts_with(application_name, $1) AND pid <> pg_backend_pid()
    GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Connected:
    """Connections of one name, without PREFIX; `since` is the start of the oldest."""

    name: str
    connections: int
    since: datetime | None

    @property
    def part(self) -> str:
        """The name as SERVICES has it."""
        return "worker" if self.name.startswith(WORKER) else self.name


@dataclass(frozen=True, slots=True)
class Running:
    """Processes of a service."""

    name: str
    running: int
    since: datetime | None


async def connected(connection: asyncpg.Connection) -> list[Connected]:
    """Every connection of riskflow but this one, by name."""
    return [
        Connected(row["name"].removeprefix(PREFIX), row["connections"], row["since"])
        for row in await connection.fetch(_CONNECTED, PREFIX)
    ]


def processes(found: Iterable[Connected]) -> list[Running]:
    """How many processes of each service in ONE_A_PROCESS there are; none seen is 0."""
    told = list(found)
    return [
        _running(name, [each for each in told if each.part == mark]) for name, mark in ONE_A_PROCESS.items()
    ]


def _running(name: str, marks: list[Connected]) -> Running:
    # A worker has a pool of connections, but a name of its own.
    running = len(marks) if name == "worker" else sum(each.connections for each in marks)
    return Running(name, running, min((each.since for each in marks if each.since), default=None))
