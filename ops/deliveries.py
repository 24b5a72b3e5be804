"""The deliveries of reports as people read them, and asking for one again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date

import asyncpg
from rich.console import Console
from rich.padding import Padding

from consumers.deliveries import channels_of
from ops.context import database
from schemas.errors import RiskflowError
from schemas.settings import Settings
from schemas.tenants_file import load_tenants

OPEN = ("pending", "retrying", "sending")
HEADINGS = ("tenant", "date", "channel", "state", "tries", "changed")

_LATEST = """
    SELECT org_id, report_date, channel, state, attempts, changed_at, detail, next_try_at
    FROM report_deliveries
    WHERE ($1::date IS NULL OR report_date = $1) AND ($2::text IS NULL OR org_id = $2)
    ORDER BY report_date DESC, org_id, channel LIMIT $3
"""
_FOUND = """
    SELECT channel, state, address FROM report_deliveries
    WHERE (org_id, report_date) = ($1, $2) ORDER BY channel
"""
_DATES = """
    SELECT report_date FROM report_deliveries WHERE org_id = $1 GROUP BY report_date
    ORDER BY report_date DESC LIMIT 5
"""
_TENANTS = (
    "SELECT org_id FROM report_deliveries GROUP BY org_id ORDER BY max(report_date) DESC, org_id LIMIT 10"
)
# created_at tells this request apart from the one before it, which may still be on its way.
_AGAIN = """
    UPDATE report_deliveries
    SET state = 'pending', attempts = 0, address = $4, next_try_at = NULL, detail = NULL,
        created_at = clock_timestamp(), changed_at = clock_timestamp()
    WHERE (org_id, report_date, channel) = ($1, $2, $3) AND state = $5 RETURNING state
"""


async def show_deliveries(
    settings: Settings, console: Console, *, day: date | None, tenant: str | None, limit: int
) -> None:
    """Print the latest deliveries, newest date first."""
    async with database(settings, "reports") as connection:
        rows = await connection.fetch(_LATEST, day, tenant, limit)
    if not rows:
        console.print("no deliveries yet; riskflow trigger weekly --wait makes reports", highlight=False)
        return
    cells = [_cells(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(HEADINGS, *cells, strict=True)]
    console.print(_line(HEADINGS, widths), style="bold", highlight=False, markup=False)
    for row, line in zip(rows, cells, strict=True):
        console.print(_line(line, widths), highlight=False, markup=False, soft_wrap=True)
        if detail := _detail(row):
            console.print(Padding(detail.replace("[", "\\["), (0, 0, 0, 4)), highlight=False)


async def send_again(
    settings: Settings, console: Console, tenant: str, day: date, channel: str | None
) -> None:
    """Have the courier send a report again, and say so.

    Raises:
        RiskflowError: There is no such delivery, or none that can be sent again now.
    """
    async with database(settings, "reports") as connection, connection.transaction():
        rows = await _found(connection, tenant, day, channel)
        addresses = _addresses(settings, tenant, rows)
        told = [await _ask(connection, row, tenant, day, addresses[row["channel"]]) for row in rows]
    for sentence, _ in told:
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)
    if not any(asked for _, asked in told):
        raise RiskflowError(f"nothing of {tenant} of {day} is sent again")
    console.print(
        "`riskflow reporter` sends it as soon as it runs; look: "
        f"riskflow reports --tenant {tenant} --date {day}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


async def _found(
    connection: asyncpg.Connection, tenant: str, day: date, channel: str | None
) -> list[asyncpg.Record]:
    rows = await connection.fetch(_FOUND, tenant, day)
    wanted = [row for row in rows if channel in {None, row["channel"]}]
    if wanted:
        return wanted
    if rows:
        has = ", ".join(row["channel"] for row in rows)
        raise RiskflowError(f"{tenant} has no delivery by {channel} of {day}; it has: {has}")
    dates = [f"{row['report_date']}" for row in await connection.fetch(_DATES, tenant)]
    if dates:
        raise RiskflowError(f"{tenant} has no report of {day}; its latest: {', '.join(dates)}")
    known = [row["org_id"] for row in await connection.fetch(_TENANTS)]
    raise RiskflowError(
        f"no report of tenant {tenant} was ever ready to be sent; "
        + (
            f"tenants with reports: {', '.join(known)}"
            if known
            else "nor of any other tenant; riskflow trigger weekly makes them"
        )
    )


def _addresses(settings: Settings, tenant: str, rows: Sequence[asyncpg.Record]) -> dict[str, list[str]]:
    """Where each channel goes now: as TENANTS_FILE says where it is set, else as it was."""
    if settings.tenants_file is None:
        return {row["channel"]: row["address"] for row in rows}
    entries = {entry.org_id: entry for entry in load_tenants(settings)}
    if tenant not in entries:
        raise RiskflowError(f"{settings.tenants_file} has no tenant {tenant}; add it, or unset TENANTS_FILE")
    now = channels_of(entries[tenant])
    return {row["channel"]: now.get(row["channel"], []) for row in rows}


async def _ask(
    connection: asyncpg.Connection, row: asyncpg.Record, tenant: str, day: date, address: Sequence[str]
) -> tuple[str, bool]:
    """The sentence about one delivery, and whether it is sent again."""
    channel, state = row["channel"], row["state"]
    if state in OPEN:
        return f"{channel}: is {state}, so it is on its way already", False
    if state == "no_data":
        return f"{channel}: no student of the tenant has data, so there is nothing to send", False
    if channel == "folder":
        again = f"riskflow trigger weekly --date {day} --tenant {tenant}"
        set_one = "give it email or slack_webhook_env in TENANTS_FILE and trigger again"
        return f"folder: the tenant has no channel; {set_one}: {again}", False
    if not address:
        return f"{channel}: TENANTS_FILE no longer gives the tenant this channel", False
    if await connection.fetchval(_AGAIN, tenant, day, channel, list(address), state) is None:
        return f"{channel}: has just changed; look again", False
    return f"{channel}: was {state}, is sent again to {', '.join(address)}", True


def _cells(row: asyncpg.Record) -> tuple[str, ...]:
    changed = row["changed_at"].astimezone(UTC)
    return (
        row["org_id"],
        f"{row['report_date']}",
        row["channel"],
        row["state"].replace("_", " "),
        f"{row['attempts']}",
        f"{changed:%Y-%m-%d %H:%M:%S}Z",
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def _detail(row: asyncpg.Record) -> str:
    detail = row["detail"] or ""
    if row["state"] == "retrying" and row["next_try_at"] is not None:
        detail += f"; next try {row['next_try_at'].astimezone(UTC):%H:%M:%S}Z"
    return detail
