"""Who works on the database: the services that are connected, and whether the scheduler looks."""

from __future__ import annotations

from collections.abc import Collection

import asyncpg

from ops.connected import SERVICES, connected
from ops.doctor.finding import Finding, ok, warning
from ops.schedule import scheduler_runs, scheduler_state

COMMAND = {"web": "serve"}
"""Commands of services that have another name."""
OPTIONAL = frozenset({"web"})
"""Services without which every job and report comes to its end."""
REMEDY = "riskflow up, or in a process each: "


async def look_at_services(connection: asyncpg.Connection) -> list[Finding]:
    """The services that the database sees, wherever they run."""
    return [judged_services({each.part for each in await connected(connection)})]


async def look_at_scheduler(connection: asyncpg.Connection) -> list[Finding]:
    """Whether a scheduler has looked of late."""
    rows = await connection.fetch("SELECT checked_until FROM riskflow.schedules")
    moment = await connection.fetchval("SELECT clock_timestamp()")
    checked = [row["checked_until"] for row in rows]
    said = scheduler_state(checked, moment)
    if scheduler_runs(checked, moment):
        return [ok("scheduler", said)]
    return [warning("scheduler", said, "riskflow up, or riskflow producers; then: riskflow schedule")]


def judged_services(known: Collection[str]) -> Finding:
    """Parts that are connected against those of the services."""
    seen = [name for name, parts in SERVICES.items() if not parts.isdisjoint(known)]
    missing = [name for name in SERVICES if name not in seen and name not in OPTIONAL]
    if not missing:
        return ok("services", f"connected: {', '.join(seen)}")
    said = (
        f"connected: {', '.join(seen)}; not connected: {', '.join(missing)}" if seen else "none is connected"
    )
    start = ", ".join(f"riskflow {COMMAND.get(name, name)}" for name in missing)
    return warning("services", said, f"{REMEDY}{start}; one that has just started needs half a minute")
