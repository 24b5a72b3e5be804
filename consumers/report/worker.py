"""What one process of the renderer does: a tenant's rows in, its two files out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from dataclasses import dataclass, field
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path

import jinja2

from consumers.report import tables
from consumers.report.data import ReportData, is_being_replaced, read
from consumers.report.faults import sentence
from consumers.report.files import csv_name, folder_of, html_name, replacing
from consumers.report.limits import RENDER_SECONDS, limited
from consumers.report.logo import UnusableLogo, data_uri
from consumers.report.page import Pages
from schemas.database import session
from schemas.faults import is_passing
from schemas.tenants import Tenant


@dataclass(frozen=True, slots=True)
class Task:
    """A report to write."""

    dsn: str = field(repr=False)  # it holds the password
    tenant: Tenant
    report_date: date
    reports_dir: Path
    templates: Path | None
    seconds: float = RENDER_SECONDS
    """That the page may take."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it: files relative to reports_dir, or why there are none; and what to warn of."""

    html: str = ""
    csv: str = ""
    failure: str | None = None
    warnings: tuple[str, ...] = ()
    waits: bool = False
    """Nothing was written: a newer job is replacing the rows, and its end decides."""


def live_with(parent: Connection) -> None:
    """Initialise a worker process: it ends as soon as the other end of `parent` closes.

    The operating system closes that end however the parent dies, so none is left behind.
    """
    # Ctrl-C reaches the whole group; the parent decides when its workers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        parent.recv_bytes()
    os._exit(0)


def write_report(task: Task) -> Outcome:
    """Write a tenant's page and metrics; a fault of its template or data is an outcome.

    Raises:
        OSError: The folder cannot be written (full, read-only, away); it is every tenant's, so the caller
            tries again. What is wrong with this tenant's file alone is an outcome.
        asyncpg.PostgresError: The database is away for the moment.
    """
    try:
        return asyncio.run(_write_report(task))
    except Exception as error:
        if is_passing(error):
            raise
        return Outcome(failure=sentence(error))


async def _write_report(task: Task) -> Outcome:
    folder = folder_of(task.reports_dir, task.report_date)
    csv, html = folder / csv_name(task.tenant.org_id), folder / html_name(task.tenant.org_id)
    place = (task.tenant.org_id, task.report_date)
    # One snapshot, so that the numbers of the page and of the CSV belong together.
    async with (
        session(task.dsn, application="renderer worker") as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        if await is_being_replaced(connection, *place):
            return Outcome(waits=True)
        data = await read(connection, *place)
        with limited(task.seconds):
            page, warnings = render(task, data)
        with replacing(csv) as file:
            await tables.write_metrics(connection, *place, file)
    with replacing(html) as file:
        file.write(page.encode())
    names = [str(path.relative_to(task.reports_dir)) for path in (html, csv)]
    return Outcome(html=names[0], csv=names[1], warnings=tuple(warnings))


def render(task: Task, data: ReportData) -> tuple[str, list[str]]:
    """The page, and what to warn of.

    Raises:
        jinja2.TemplateError: A template has a fault or cannot be read.
    """
    logo, warnings = None, []
    if task.tenant.logo is not None:
        try:
            logo = data_uri(Path(task.tenant.logo))
        except UnusableLogo as error:
            warnings.append(str(error))
    try:
        page = Pages(task.templates).render(data, task.tenant, logo=logo, notes=warnings)
    except OSError as error:
        # Rendering reads nothing but templates.
        raise jinja2.TemplateError(f"cannot be read: {error.strerror}: {error.filename}") from error
    return page, warnings
