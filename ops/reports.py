"""`riskflow reports`: what became of the weekly reports, and sending one again."""

from __future__ import annotations

import asyncio
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from ops.terminal import client, console

reports_app = typer.Typer(help="Deliveries of the weekly reports: what was sent to whom, and sending again.")

Day = Annotated[
    datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="Only of this report date.")
]


class Channel(StrEnum):
    """Channels that can be sent to."""

    email = "email"
    slack = "slack"


@reports_app.callback(invoke_without_command=True)
def list_reports(
    context: typer.Context,
    date: Day = None,
    tenant: Annotated[str | None, typer.Option(help="Only of this org_id.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 40,
) -> None:
    """Show the latest deliveries."""
    if context.invoked_subcommand is None:
        from ops.deliveries import show_deliveries  # noqa: PLC0415 - so that `riskflow --help` stays light

        day = date.date() if date else None
        asyncio.run(show_deliveries(client(), console(), day=day, tenant=tenant, limit=limit))


@reports_app.command("resend")
def resend(
    tenant: Annotated[str, typer.Option(help="Its org_id.")],
    date: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The report date.")],
    channel: Annotated[Channel | None, typer.Option(help="Default: all channels of the tenant.")] = None,
) -> None:
    """Send a report again, also one that was sent; look first whether it came.

    Addresses are those of TENANTS_FILE where that is set. The Message-ID
    stays, so that a mailbox that has the mail may drop the copy. The job
    that has ended stays as it was.
    """
    from ops.deliveries import send_again  # noqa: PLC0415 - as above

    asyncio.run(send_again(client(), console(), tenant, date.date(), channel and channel.value))
