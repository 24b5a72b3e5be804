"""The settings themselves, and the files that they name."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path

from dotenv import dotenv_values

from ops.doctor.bounded import one_line
from ops.doctor.finding import Finding, not_checked, ok, warning, wrong
from schemas.errors import InvalidFile, InvalidSettings
from schemas.settings import ENV_FILE, Settings, environment
from schemas.tenants import Tenant
from schemas.tenants_file import load_tenants

FIELDS = frozenset(name.upper() for name in Settings.model_fields)
CLOSENESS = 0.85
"""Likeness of two names from which one is taken for a slip of the other (expert assumption)."""


def look_at_settings() -> list[Finding]:
    """Where the settings come from; names in `.env` that are nearly a setting's."""
    file = Path(ENV_FILE).absolute()
    told = dotenv_values(file) if file.is_file() else {}
    return [judged_sources(file, told, os.environ)]


def judged_sources(file: Path, told: Mapping[str, str | None], environ: Mapping[str, str]) -> Finding:
    """Which of both names how many settings."""
    named = sorted(FIELDS & set(environ))
    said = f"{len(named)} of the environment"
    said += f", {len(FIELDS & set(told))} of {file}" if told else f"; there is no {file}"
    slips = [f"{name} (is {match} meant?)" for name in told if (match := _slip(name, FIELDS))]
    if slips:
        return warning("settings", f"{said}; not a setting: {', '.join(slips)}", f"mend the names in {file}")
    return ok("settings", said)


def settings_fault(error: InvalidSettings) -> Finding:
    """Settings that stop every program."""
    file = Path(ENV_FILE).absolute()
    place = f"{file} or the environment" if file.is_file() else "the environment"
    return wrong("settings", one_line(error), f"mend it in {place}; docs/operations.md has all settings")


def look_at_tenants(settings: Settings) -> list[Finding]:
    """TENANTS_FILE with THRESHOLDS_FILE, and the webhooks that its tenants name."""
    if settings.tenants_file is None:
        return [_without_tenants(settings)]
    try:
        tenants = load_tenants(settings)
    except InvalidFile as error:
        return [wrong("tenants", f"TENANTS_FILE: {one_line(error)}", "mend the file (docs/tenants.md)")]
    active = [tenant for tenant in tenants if tenant.active]
    if not active:
        return [
            warning("tenants", f"{settings.tenants_file} has no active tenant", "set active: true for one")
        ]
    return [
        ok("tenants", f"{len(active)} active of {len(tenants)} in {settings.tenants_file}"),
        *judged_webhooks(active, environment()),
    ]


def look_at_risks(settings: Settings) -> list[Finding]:
    """RISKS_FILE, where it is set."""
    if settings.risks_file is None:
        return [ok("risks", "RISKS_FILE is not set; the built-in edges and damage rates count")]
    from streams.risk_tables import risk_tables  # noqa: PLC0415 - brings SciPy and numba

    try:
        risk_tables(settings)
    except InvalidSettings as error:
        return [wrong("risks", one_line(error), "mend the file (docs/methods.md, Bins and damage)")]
    return [ok("risks", f"{settings.risks_file} is sound")]


def look_at_access(settings: Settings) -> list[Finding]:
    """Who the web page would let in."""
    if settings.web_token is None and settings.web_access_file is None:
        said = "neither WEB_TOKEN nor WEB_ACCESS_FILE is set; `up`, `demo` and `serve` make a token"
        return [ok("web access", said)]
    from ops.web.access import load_access  # noqa: PLC0415 - brings what the page is made of

    try:
        access = load_access(settings)
    except (InvalidFile, InvalidSettings) as error:
        return [wrong("web access", one_line(error), "mend it where the page runs (docs/page.md)")]
    source = "WEB_TOKEN" if settings.web_access_file is None else f"{settings.web_access_file} is sound"
    visitors = "nobody else" if access.visitor is None else f"every visitor as {access.visitor.role}"
    return [ok("web access", f"{source}; without a token {visitors}")]


def look_at_templates(settings: Settings) -> list[Finding]:
    """REPORT_TEMPLATES, where it is set."""
    folder = settings.report_templates
    if folder is None:
        return []
    if not folder.is_dir():
        return [
            wrong(
                "templates", f"REPORT_TEMPLATES {folder} is no folder", "make it, or unset REPORT_TEMPLATES"
            )
        ]
    return [ok("templates", f"{folder} holds {len(list(folder.iterdir()))} files")]


def judged_webhooks(tenants: Collection[Tenant], environ: Mapping[str, str]) -> list[Finding]:
    """Webhooks that tenants name and that this environment lacks; only the reporter needs them."""
    names = sorted({each.slack_webhook_env for each in tenants if each.slack_webhook_env})
    if not names:
        return []
    missing = [name for name in names if not environ.get(name)]
    if missing:
        return [
            not_checked(
                "webhooks",
                f"not in this environment: {', '.join(missing)}",
                "only `riskflow reporter` needs them, in its environment or its .env",
            )
        ]
    return [ok("webhooks", f"{len(names)} set")]


def _without_tenants(settings: Settings) -> Finding:
    said = "TENANTS_FILE is not set, so weekly triggers are refused"
    if settings.thresholds_file is not None:
        return warning("tenants", f"{said}; THRESHOLDS_FILE counts for nothing", "set TENANTS_FILE")
    if settings.weekly_schedule_enabled:
        return not_checked(
            "tenants",
            f"{said}; the weekly schedule leaves a failed job each week",
            "set TENANTS_FILE (docs/tenants.md), or WEEKLY_SCHEDULE_ENABLED=false",
        )
    return ok("tenants", f"{said}, and none is scheduled")


def _slip(name: str, known: Collection[str]) -> str | None:
    if name.upper() in known:
        return None
    found = get_close_matches(name.upper(), known, n=1, cutoff=CLOSENESS)
    return found[0] if found else None
