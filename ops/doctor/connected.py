"""Who works on the database: the services that are connected, and whether the scheduler looks."""

from __future__ import annotations

from collections.abc import Collection

import asyncpg

from ops.doctor.finding import Finding, ok, warning
from ops.schedule import scheduler_runs, scheduler_state

SERVICES = {
    "producers": {"dispatcher", "bridge", "bridge listener", "scheduler", "gauges"},
    "worker": {"worker"},
    "sink": {"acceptor", "sink", "tenant-sink"},
    "reporter": {"renderer", "delivery", "courier"},
    "web": {"web"},
}
"""Connections of each service, by the names that they give themselves."""
WORKER = "worker "
"""Beginning of a worker's name, behind which stand its machine and process."""
PREFIX = "riskflow "
COMMAND = {"web": "serve"}
"""Commands of services that have another name."""
OPTIONAL = frozenset({"web"})
"""Services without which every job and report comes to its end."""
REMEDY = "riskflow up, or in a process each: "

_CONNECTED = """
    SELECT DISTINCT application_name FROM pg_stat_activity
    WHERE datname = current_database() AND starts_with(application_name, $1) AND pid <> pg_backend_pid()
"""


async def look_at_services(connection: asyncpg.Connection) -> list[Finding]:
    """The services that the database sees, wherever they run."""
    rows = await connection.fetch(_CONNECTED, PREFIX)
    return [judged_services({row["application_name"].removeprefix(PREFIX) for row in rows})]


async def look_at_scheduler(connection: asyncpg.Connection) -> list[Finding]:
    """Whether a scheduler has looked of late."""
    rows = await connection.fetch("SELECT checked_until FROM riskflow.schedules")
    moment = await connection.fetchval("SELECT clock_timestamp()")
    checked = [row["checked_until"] for row in rows]
    said = scheduler_state(checked, moment)
    if scheduler_runs(checked, moment):
        return [ok("scheduler", said)]
    return [warning("scheduler", said, "riskflow up, or riskflow producers; then: riskflow schedule")]


def judged_services(connected: Collection[str]) -> Finding:
    """Names of connections against those of the services."""
    known = {"worker" if name.startswith(WORKER) else name for name in connected}
    seen = [name for name, parts in SERVICES.items() if parts & known]
    missing = [name for name in SERVICES if name not in seen and name not in OPTIONAL]
    if not missing:
        return ok("services", f"connected: {', '.join(seen)}")
    said = (
        f"connected: {', '.join(seen)}; not connected: {', '.join(missing)}" if seen else "none is connected"
    )
    start = ", ".join(f"riskflow {COMMAND.get(name, name)}" for name in missing)
    return warning("services", said, f"{REMEDY}{start}; one that has just started needs half a minute")
