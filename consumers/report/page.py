"""The page of a tenant's report: one HTML file that asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import BaseLoader, ChoiceLoader, FileSystemLoader, PackageLoader, StrictUndefined, Template
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup

from consumers.report import charts
from consumers.report.colours import palette
from consumers.report.data import Counts, ReportData
from consumers.report.files import csv_name
from consumers.report.reasons import RULES
from consumers.report.words import Words
from schemas.tenants import DAYS, ESTIMATE_DAYS, STUDENT_RISKS, WEEK_DAYS, Tenant

TEMPLATE = "report.html.j2"
SCRIPT = "script.js"


@dataclass(frozen=True, slots=True)
class Span:
    """Days that a metric looks at, both included."""

    key: str
    first: date
    last: date


class Pages:
    """Makes pages from riskflow's templates, or from those of a folder that replace them."""

    def __init__(self, folder: Path | None = None) -> None:
        names = frozenset(each.name for each in folder.iterdir()) if folder is not None else frozenset()
        self._environment = _environment(folder, names)

    def render(self, data: ReportData, tenant: Tenant, *, logo: str | None, notes: list[str]) -> str:
        """The page.

        Args:
            data: What the report says.
            tenant: Name, language, colours and time zone.
            logo: Data URI of the logo, None for a page without.
            notes: Reasons why the logo is not shown, for the appendix.

        Raises:
            jinja2.TemplateError: A template has a fault.
        """
        words = Words(tenant.language, tenant.timezone)
        template: Template = self._environment.get_template(TEMPLATE)
        script = Markup(self._environment.get_template(SCRIPT).render())  # noqa: S704 - a template file
        return template.render(
            _context(data, tenant, words),
            t=words,
            logo=logo,
            notes=notes,
            script=script,
            script_hash=_content_hash(script),
        )


@lru_cache(maxsize=4)
def _environment(folder: Path | None, names: frozenset[str]) -> SandboxedEnvironment:
    """Compiled templates, which take two thirds of a page's time; a changed one is compiled anew.

    `names` are the folder's files: one that is new there takes the place of ours.
    """
    del names
    loaders: list[BaseLoader] = [PackageLoader("consumers.report")]
    if folder is not None:
        loaders.insert(0, FileSystemLoader(folder))
    # Sandboxed, because the templates of the folder are text from outside the program.
    return SandboxedEnvironment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _content_hash(script: str) -> str:
    """Source expression of the content security policy: no script but this one runs."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _context(data: ReportData, tenant: Tenant, words: Words) -> dict[str, Any]:
    report_date = data.counts.report_date
    at_risk = data.counts.crit + data.counts.warn
    return {
        "tenant": tenant,
        "data": data,
        "counts": data.counts,
        "at_risk": at_risk,
        "palette": palette(tenant.colors.primary, tenant.colors.accent),
        "levels": charts.LEVEL_COLOURS,
        "charts": _drawn(data, words),
        "changes": _changes(data.counts, data.before),
        "risks": STUDENT_RISKS,
        "rules": RULES,
        "most_classes": charts.MOST_CLASSES,
        "classes_of_students": sorted({each.class_name for each in data.at_risk if each.class_name}),
        "spans": _spans(report_date),
        "csv_name": csv_name(tenant.org_id),
        "plurals": words.forms("page.filter_count"),
    }


def _drawn(data: ReportData, words: Words) -> dict[str, Markup | None]:
    """Charts by name, None where there is nothing to draw; none at all for a tenant without data."""
    if not data.counts.with_data:
        return {}
    return {
        "levels": charts.level_split(data.counts, words),
        "trend": charts.trend(data.trend, words) if len(data.trend) > 1 else None,
        "falls": charts.falls(data.falls, data.thresholds.theta, words) if data.falls else None,
        "absence": charts.absence(data.days, words) if data.days else None,
        "classes": charts.classes(data.classes, words) if data.classes else None,
    }


def _changes(now: Counts, before: Counts | None) -> dict[str, int] | None:
    if before is None:
        return None
    return {
        "students": now.students - before.students,
        "CRIT": now.crit - before.crit,
        "WARN": now.warn - before.warn,
        "OK": now.ok - before.ok,
        "NO_DATA": now.no_data - before.no_data,
    }


def _spans(report_date: date) -> list[Span]:
    last = report_date - timedelta(1)
    days = {"week": WEEK_DAYS, "fortnight": DAYS, "estimates": ESTIMATE_DAYS}
    return [Span(key, report_date - timedelta(length), last) for key, length in days.items()]
