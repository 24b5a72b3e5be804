"""The mail server, asked as the reporter would ask it, without a mail."""

from __future__ import annotations

import asyncio

from consumers.mail import greet
from consumers.verdict import CannotSend
from ops.doctor.bounded import LIMIT, unknown_host
from ops.doctor.finding import Finding, not_checked, ok, wrong
from schemas.settings import Settings

REMEDY = "look at SMTP_* (docs/operations.md, Mail)"


async def look_at_mail(settings: Settings, *, asked: bool) -> list[Finding]:
    """Whether the server lets us in; `asked` is whether a person wants that tried."""
    if settings.smtp_host is None:
        return [not_checked("mail", "SMTP_HOST is not set, so no mail is sent")]
    place = f"{settings.smtp_host}:{settings.smtp_port}"
    if not asked:
        return [not_checked("mail", f"{place} is asked only on demand", "riskflow doctor --mail")]
    if (fault := await unknown_host(settings.smtp_host)) is not None:
        return [wrong("mail", f"{place}: {fault}", REMEDY)]
    try:
        async with asyncio.timeout(LIMIT):
            refusal = await greet(settings)
    except TimeoutError:
        refusal = f"{place} did not answer within {LIMIT:g} s"
    except CannotSend as error:
        refusal = str(error)
    if refusal is not None:
        return [wrong("mail", refusal, REMEDY)]
    login = "with the login" if settings.smtp_user else "without a login"
    return [ok("mail", f"{place} lets us in by {settings.smtp_security}, {login}; nothing was sent")]
