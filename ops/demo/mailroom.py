"""Where the demo's mails and Slack messages end: two servers on this machine."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from importlib import util
from types import TracebackType
from typing import Any, Self

from pydantic import SecretStr

from ops.demo.webhooks import HOST, SlackCatcher
from ops.stack.supervisor import Service
from schemas.tenants import Tenant

INSTALL = "pip install 'aiosmtpd>=1.4.6'"
SENDER = "riskflow demo <riskflow@demo.example>"
USER = "riskflow-demo"


class Mailroom:
    """A Slack receiver and, where aiosmtpd is installed, a mail server; `async with` starts and stops both.

    Attributes:
        mail: None where aiosmtpd is not installed.
        slack: Takes a message of each school at a path of its own.
    """

    def __init__(self, schools: Sequence[Tenant]) -> None:
        self._schools = schools
        # The login is the demo's own, so that one in the environment is never spoken to this server.
        self._password = secrets.token_urlsafe()
        self._exits = AsyncExitStack()
        self.slack = SlackCatcher()
        self.mail = _mail_catcher((USER, self._password))

    async def __aenter__(self) -> Self:
        for server in filter(None, (self.mail, self.slack)):
            await server.start()
            self._exits.push_async_callback(server.stop)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exits.aclose()

    @property
    def settings(self) -> dict[str, Any]:
        """Settings by which mail comes here and nowhere else."""
        if self.mail is None:
            return {}
        return {
            "smtp_host": HOST,
            "smtp_port": self.mail.port,
            "smtp_user": USER,
            "smtp_password": SecretStr(self._password),
            "smtp_from": SENDER,
            "smtp_security": "none",
        }

    def known_to(self, services: Sequence[Service]) -> list[Service]:
        """The services, of which the reporter's environment names the webhooks."""
        webhooks = {
            school.slack_webhook_env: f"{self.slack.url}/services/{school.org_id}"
            for school in self._schools
            if school.slack_webhook_env
        }
        return [
            replace(each, env={**each.env, **webhooks}) if each.name == "reporter" else each
            for each in services
        ]

    def reachable(self, school: Tenant) -> Tenant:
        """The school with the channels that end here."""
        return school if self.mail is not None else school.model_copy(update={"email": []})

    def caught_mails(self) -> Iterator[tuple[str, str]]:
        """Subject, and recipients with the names of the attached files, of each mail as received."""
        for mail in self.mail.received if self.mail is not None else ():
            files = ", ".join(part.get_filename() or "" for part in mail.message.iter_attachments())
            yield mail.message["Subject"], f"to {', '.join(mail.recipients)}, with {files}"

    def caught_posts(self) -> Iterator[tuple[str, str]]:
        """Text and path of each Slack message as received."""
        for post in self.slack.received:
            yield post.body["text"], f"posted to {post.path}"


def _mail_catcher(login: tuple[str, str]) -> Any:
    if util.find_spec("aiosmtpd") is None:
        return None
    from ops.demo.receivers import MailCatcher  # noqa: PLC0415 - an extra that may be missing

    # aiosmtpd warns of its own attribute at every login.
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    return MailCatcher("none", login=login)
