"""The mail that carries a report: headers, text beside HTML, attachments."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8, EmailPolicy
from email.utils import format_datetime, parseaddr
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    select_autoescape,
)
from jinja2.sandbox import SandboxedEnvironment

from consumers.mail_words import WORDS
from consumers.parcel import Parcel, Summary, link, place
from consumers.report.faults import place_in_template
from consumers.verdict import CannotSend, ReportIsGone
from schemas.settings import Settings

MAX_ENCODED_BYTES = 20_000_000
"""Of the attachments together, as they travel; large mail services take 20 to 25 MB (expert assumption)."""
ENCODED_PER_BYTE = 78 / 57
"""Base64 writes 57 bytes as a line of 76 characters and its end."""
TEMPLATE_SECONDS = 10.0
"""How long a template may take for the text of one mail (expert assumption)."""


class _Policy(EmailPolicy):
    """Folds the subject by email.header; the policies' own way drops a space between two encoded words."""

    def fold_binary(self, name: str, value: Any) -> bytes:
        if name.lower() != "subject" or self.utf8 or str(value).isascii():
            return super().fold_binary(name, value)
        folded = Header(str(value), "utf-8", header_name=name).encode(linesep=self.linesep)
        return f"{name}: {folded}{self.linesep}".encode("ascii")


# Everything below 8 bits, so that every server may carry it.
_POLICY = _Policy(linesep=SMTP.linesep, cte_type="7bit")


def compose(
    settings: Settings, parcel: Parcel, at: datetime, limit: float = MAX_ENCODED_BYTES
) -> EmailMessage:
    """The mail of a delivery.

    No student is named in the subject or the text: they show on locked screens and stay in the logs of
    mail servers; who opens the attachments has chosen to.

    Args:
        settings: Sender, templates, folder and address of the reports.
        parcel: What is sent.
        at: Present moment, for the header Date.
        limit: Bytes that the attachments may take; those that do not fit are left out, and the text says
            where the report lies.

    Raises:
        CannotSend: A file of the report is missing, SMTP_FROM is no address or a template has a fault.
    """
    tenant, summary = parcel.contents()
    words = WORDS[tenant.language]
    files = {Path(path).name: _content(settings, path) for path in (parcel.html, parcel.csv)}
    fitting = _fitting(files, limit)
    values = {
        "tenant": tenant,
        "summary": summary,
        "date": parcel.report_date,
        "words": words,
        "risks": risks_in_order(summary, words.risks),
        "left_out": [name for name in files if name not in fitting],
        "link": link(settings, parcel.html),
        "path": parcel.html,
    }
    templates = environment(settings.report_templates)
    message = EmailMessage(_POLICY)
    message["From"] = settings.smtp_from
    message["To"] = ", ".join(parcel.address)
    message["Date"] = format_datetime(at.astimezone(ZoneInfo(tenant.timezone)))
    message["Message-ID"] = message_id(parcel, sender_address(settings).rpartition("@")[2])
    message["Subject"] = words.subject.format(
        name=tenant.name,
        date=parcel.report_date,
        crit=summary.crit,
        warn=summary.warn,
        students=summary.students,
    )
    # RFC 3834: vacation notices and the like do not answer.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_rendered(templates, "mail.txt.j2", values))
    message.add_alternative(_rendered(templates, "mail.html.j2", values), subtype="html")
    for name in fitting:
        subtype = "csv" if name.endswith(".csv") else "html"
        message.add_attachment(
            files[name], maintype="text", subtype=subtype, filename=name, params={"charset": "utf-8"}
        )
    return message


def wire(message: EmailMessage, *, utf8: bool) -> bytes:
    """The mail's bytes, lines ended by CRLF; `utf8` where an address needs it (RFC 6532)."""
    return message.as_bytes(policy=SMTPUTF8.clone(cte_type="7bit") if utf8 else _POLICY)


def message_id(parcel: Parcel, domain: str) -> str:
    """The same for every try and for a resend, so that a mailbox that has it already may drop the copy."""
    # Dots, colons and the like may not stand just anywhere in an id (RFC 5322, section 3.6.4).
    org_id = quote(parcel.org_id, safe="").replace("%", "=").replace(".", "=2E")
    return f"<riskflow.{org_id}.{parcel.report_date}@{domain}>"


def sender_address(settings: Settings) -> str:
    """The address in SMTP_FROM, without a name.

    Raises:
        CannotSend: There is none.
    """
    address = parseaddr(settings.smtp_from or "")[1]
    local, _, domain = address.rpartition("@")
    if not local or not domain:
        raise CannotSend("SMTP_FROM holds no address; write it as riskflow@example.org")
    return address


def risks_in_order(summary: Summary, names: dict[str, str]) -> list[tuple[str, int, int]]:
    """Name, students at CRIT and at WARN of each risk that has any, most urgent first."""
    ranked = sorted(summary.risks.items(), key=lambda risk: risk[1], reverse=True)
    return [(names[risk], crit, warn) for risk, (crit, warn) in ranked if crit or warn]


def environment(folder: Path | None) -> SandboxedEnvironment:
    """Templates of mails; those in `folder` replace riskflow's own of the same name."""
    loaders: list[BaseLoader] = [PackageLoader("consumers", "mail_templates")]
    if folder is not None:
        loaders.insert(0, FileSystemLoader(folder))
    return SandboxedEnvironment(
        loader=ChoiceLoader(loaders),
        autoescape=select_autoescape(("html.j2",), default=False),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )


def _rendered(templates: SandboxedEnvironment, name: str, values: dict[str, object]) -> str:
    try:
        template = templates.get_template(name)
        with _ended_in_time():
            return template.render(values)
    except Exception as error:  # a template of the user's may raise anything
        where = place_in_template(error) or name
        raise CannotSend(f"template {where}: {error}") from error


@contextmanager
def _ended_in_time() -> Iterator[None]:
    """Raises TimeoutError in the block, at a line of Python, once it has taken TEMPLATE_SECONDS."""
    end = time.monotonic() + TEMPLATE_SECONDS

    # A thread cannot be ended from outside, and a loop that writes nothing gives its caller no turn.
    def watch(frame: FrameType, event: str, arg: object) -> Callable[..., Any]:
        del frame, event, arg
        if time.monotonic() > end:
            raise TimeoutError(f"not ready within {TEMPLATE_SECONDS:g} s; has it a loop without end?")
        return watch

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        yield
    finally:
        sys.settrace(before)


def _content(settings: Settings, path: str) -> bytes:
    file = place(settings, path)
    try:
        return file.read_bytes()
    except OSError as error:
        raise ReportIsGone(f"{file} cannot be read ({error.strerror}); trigger the week again") from error


def _fitting(files: dict[str, bytes], limit: float) -> Sequence[str]:
    """Names of the files that fit together, the first ones first."""
    fitting, left = [], limit
    for name, content in files.items():
        size = len(content) * ENCODED_PER_BYTE
        if size <= left:
            fitting.append(name)
            left -= size
    return fitting
