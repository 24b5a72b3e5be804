"""Receivers that fail on purpose: a mail server and a Slack webhook with faults at chosen steps."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import trustme
from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

from ops.demo.receivers import HOST, CaughtPost, MailCatcher, SlackCatcher

Step = Literal["MAIL", "RCPT", "DATA", "BODY"]
HANG, DROP = "hang", "drop"


class Authority:
    """A certificate authority of the tests' own."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self.file = folder / "authority.pem"
        self._authority.cert_pem.write_to_path(str(self.file))

    def certificate(self, name: str = HOST) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._authority.issue_cert(name).configure_cert(context)
        return context


@dataclass
class Fault:
    """What happens at a step: a reply, HANG (until released) or DROP.

    `times` -1 is always, `address` is one recipient.
    """

    step: Step
    act: str
    times: int = -1
    address: str | None = None


class FaultyMailServer(MailCatcher):
    """Fails as told; a fault in BODY comes after the mail is kept, and before the answer."""

    def __init__(self, *arguments: Any, faults: list[Fault] | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.faults = faults or []
        self.reached: list[Step] = []
        self.at_step = asyncio.Condition()
        self.release = asyncio.Event()

    def session(self, **options: Any) -> SMTP:
        return _Session(self, **options)

    async def fault(self, server: SMTP, step: Step, address: str | None = None) -> str | None:
        """The reply of the fault at this step, None where there is none; hangs or drops where told."""
        self.reached.append(step)
        async with self.at_step:
            self.at_step.notify_all()
        for fault in self.faults:
            if fault.step == step and fault.times and fault.address in {None, address}:
                fault.times -= 1
                if fault.act == DROP:
                    server.transport.abort()
                    # Until the end of the connection is noticed.
                    await asyncio.Event().wait()
                if fault.act == HANG:
                    await self.release.wait()
                    return None
                return fault.act
        return None

    async def until(self, step: Step, count: int = 1) -> None:
        """Wait until a step was reached `count` times."""
        async with asyncio.timeout(10), self.at_step:
            await self.at_step.wait_for(lambda: self.reached.count(step) >= count)

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, *told: Any) -> str:  # noqa: N802
        return await self.fault(server, "MAIL") or await super().handle_MAIL(server, session, envelope, *told)

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del session, options
        if reply := await self.fault(server, "RCPT", address):
            return reply
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Recipient OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        kept = await super().handle_DATA(server, session, envelope)
        return await self.fault(server, "BODY") or kept


class _Session(SMTP):
    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        if reply := await self.event_handler.fault(self, "DATA"):
            await self.push(reply)
        else:
            await super().smtp_DATA(arg)


class FaultySlack(SlackCatcher):
    """Answers with the given responses in turn, then as Slack does; HANG and DROP as in Fault."""

    def __init__(self, answers: list[web.Response | str] | None = None) -> None:
        super().__init__()
        self.answers = answers or []
        self.asked = 0
        self.requested = asyncio.Event()

    async def answer(self, post: CaughtPost) -> web.StreamResponse:
        self.asked += 1
        self.requested.set()
        answer = self.answers.pop(0) if self.answers else None
        if answer == HANG:
            await asyncio.Event().wait()
        if isinstance(answer, web.Response):
            return answer
        return await super().answer(post)

    async def _posted(self, request: web.Request) -> web.StreamResponse:
        if self.answers and self.answers[0] == DROP:
            self.answers.pop(0)
            self.asked += 1
            await request.read()
            request.transport.abort()
            await asyncio.Event().wait()
        return await super()._posted(request)
