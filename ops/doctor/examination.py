"""Every check, side by side, in the order in which they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ops.context import client_settings
from ops.doctor.bounded import LIMIT, bounded, in_thread
from ops.doctor.broker import look_at_broker, look_at_letters
from ops.doctor.database import look_at_database
from ops.doctor.files import (
    look_at_access,
    look_at_risks,
    look_at_settings,
    look_at_templates,
    look_at_tenants,
    settings_fault,
)
from ops.doctor.finding import Finding, State, not_checked
from ops.doctor.installation import look_at_installation, look_at_java
from ops.doctor.machine import (
    look_at_disks,
    look_at_machine,
    look_at_reports_dir,
    look_at_time_zone,
)
from ops.doctor.mail import look_at_mail
from ops.doctor.ports import look_at_health_port, look_at_web_port
from ops.doctor.stack import look_at_stack
from schemas.errors import InvalidSettings
from schemas.settings import Settings

Checks = dict[str, Awaitable[list[Finding]]]

LETTERS = "dead letters"
OF_SETTINGS: dict[str, Callable[[Settings], list[Finding]]] = {
    "memory": look_at_machine,
    "reports": look_at_reports_dir,
    "time zone": look_at_time_zone,
    "health port": look_at_health_port,
    "tenants": look_at_tenants,
    "risks": look_at_risks,
    "templates": look_at_templates,
    "web access": look_at_access,
    "web port": look_at_web_port,
}
SERVERS = ("database", "broker", "mail", LETTERS)


async def examined(*, mail: bool) -> list[Finding]:
    """Look at everything; takes no longer than a few times LIMIT whatever hangs.

    Args:
        mail: Ask the mail server too.
    """
    try:
        settings = client_settings()
    except InvalidSettings as error:
        unknown = [not_checked(check, "the settings are wrong") for check in (*OF_SETTINGS, *SERVERS)]
        return [settings_fault(error), *await _side_by_side(_without_settings(None)), *unknown]
    settings = settings.model_copy(update={"start_timeout": LIMIT})
    found = await _side_by_side(
        {"settings": in_thread(look_at_settings)}
        | _without_settings(settings)
        | {name: _of(look, settings) for name, look in OF_SETTINGS.items()},
        # These bound each of their steps.
        look_at_database(settings),
        look_at_broker(settings),
        look_at_mail(settings, asked=mail),
    )
    return found + await _letters(settings, found)


def _without_settings(settings: Settings | None) -> Checks:
    return {
        "installation": in_thread(look_at_installation),
        "java": in_thread(look_at_java),
        "disk": in_thread(lambda: look_at_disks(settings)),
        "riskflow up": in_thread(look_at_stack),
    }


def _of(look: Callable[[Settings], list[Finding]], settings: Settings) -> Awaitable[list[Finding]]:
    return in_thread(lambda: look(settings))


async def _side_by_side(checks: Checks, *others: Awaitable[list[Finding]]) -> list[Finding]:
    found = await asyncio.gather(*(bounded(name, check) for name, check in checks.items()), *others)
    return [finding for findings in found for finding in findings]


async def _letters(settings: Settings, found: list[Finding]) -> list[Finding]:
    """Letters lie on the broker, what was done about them in the database: both have to be well."""
    needed = {"database", "broker", "topics", "migrations"}
    asked = {finding.check for finding in found if finding.state in {State.OK, State.WARNING}}
    if needed - asked:
        return [not_checked(LETTERS, f"{', '.join(sorted(needed - asked))}: not well, or not known")]
    return await bounded(LETTERS, look_at_letters(settings))
