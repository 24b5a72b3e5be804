"""The conversation with a real mail server: what arrives, and what every failure means."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from deliveries_samples import ADDRESS, CSV, DAY, HTML, parcel_of, settings_of, tenant_of, write_report
from mail_server import DROP, HANG, Authority, Fault, FaultyMailServer

from consumers import mail
from consumers.verdict import CannotSend
from ops.stack.endpoint import free_port

LOGIN = ("reports", "s3cret-of-the-mail-server")
SECOND = "deputy@example.org"
PARCEL = parcel_of(tenant_of("ko", name="서울고등학교"), address=(ADDRESS, SECOND))


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def serving(authority, tmp_path):
    """Starts a server and gives it with the settings that speak to it."""
    write_report(tmp_path)

    @asynccontextmanager
    async def started(*faults, security="starttls", certificate=None, login=LOGIN, **changes):
        context = certificate or authority.certificate()
        server = FaultyMailServer(security, None if security == "none" else context, login, faults=[*faults])
        await server.start()
        values = {
            "smtp_host": "localhost",
            "smtp_port": server.port,
            "smtp_from": "riskflow <riskflow@example.org>",
            "smtp_user": LOGIN[0],
            "smtp_password": LOGIN[1],
            "smtp_security": security,
            "smtp_ca_file": authority.file,
        }
        try:
            yield server, settings_of(tmp_path, **(values | changes))
        finally:
            await server.stop()

    return started


async def test_a_mail_goes_over_starttls_with_a_login_and_arrives_whole(serving):
    async with serving() as (server, settings):
        verdict = await mail.send(settings, {}, PARCEL)
    assert (verdict.state, verdict.detail) == ("sent", "250 2.0.0 OK: queued as 1")
    (caught,) = server.received
    assert (caught.encrypted, caught.user) == (True, "reports")
    assert (caught.sender, caught.recipients) == ("riskflow@example.org", [ADDRESS, SECOND])
    message = caught.message
    assert (
        message["Subject"] == "서울고등학교: 주간 위험 보고서 2026-11-23, 학생 120명 중 심각 7명, 주의 13명"
    )
    assert message["Message-ID"] == f"<riskflow.seoul-hs.{DAY}@example.org>"
    assert "학생 수: 120" in message.get_body(("plain",)).get_content()
    assert "<td" in message.get_body(("html",)).get_content()
    files = {part.get_filename(): part.get_payload(decode=True) for part in message.iter_attachments()}
    assert files == {"seoul-hs_report.html": HTML.encode(), "seoul-hs_metrics.csv": CSV.encode()}


@pytest.mark.parametrize("security", ["tls", "none"])
async def test_a_mail_goes_over_tls_and_in_the_clear_where_that_is_asked_for(serving, security):
    async with serving(security=security) as (server, settings):
        verdict = await mail.send(settings, {}, PARCEL)
    assert verdict.state == "sent"
    assert [caught.encrypted for caught in server.received] == [security == "tls"]


async def test_a_line_that_begins_with_a_dot_arrives_as_it_was(serving, tmp_path):
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "mail.txt.j2").write_text(".\n..two\nlast\n")
    async with serving(report_templates=tmp_path / "templates") as (server, settings):
        await mail.send(settings, {}, PARCEL)
    text = server.received[0].message.get_body(("plain",)).get_content()
    assert text.splitlines() == [".", "..two", "last"]


@pytest.mark.parametrize(
    ("fault", "state", "words"),
    [
        (Fault("MAIL", "451 4.3.0 come back later"), "passing", "451 4.3.0 come back later"),
        (Fault("MAIL", "550 5.7.1 not you"), "refused", "550 5.7.1 not you"),
        (Fault("MAIL", "421 4.3.2 closing"), "passing", "421 4.3.2 closing"),
        (Fault("MAIL", DROP), "passing", "Unexpected EOF received"),
        (Fault("MAIL", HANG), "passing", "Timed out"),
        (Fault("RCPT", "550 5.1.1 nobody here"), "refused", f"{ADDRESS}: 550 5.1.1 nobody here; {SECOND}"),
        (Fault("RCPT", "450 4.2.0 greylisted"), "passing", f"{ADDRESS}: 450 4.2.0 greylisted"),
        (Fault("DATA", "451 4.3.0 no space"), "passing", "451 4.3.0 no space"),
        (Fault("DATA", "554 5.5.1 no mail today"), "refused", "554 5.5.1 no mail today"),
        (Fault("DATA", DROP), "passing", "Unexpected EOF received"),
    ],
)  # fmt: skip
async def test_a_failure_before_the_mail_is_handed_over_leaves_no_doubt(serving, fault, state, words):
    async with serving(fault, delivery_timeout=0.3 if fault.act == HANG else 5) as (server, settings):
        verdict = await mail.send(settings, {}, PARCEL)
    assert verdict.state == state
    assert words in verdict.detail
    assert server.received == []


@pytest.mark.parametrize(
    ("act", "state", "words"),
    [
        ("451 4.3.0 disk full", "passing", "451 4.3.0 disk full"),
        ("554 5.6.0 looks like spam", "refused", "554 5.6.0 looks like spam"),
        (DROP, "unknown", "the mail was handed over, but the server's answer did not come"),
        (HANG, "unknown", "the mail was handed over, but the server's answer did not come"),
        ("251 2.0.0 elsewhere", "unknown", "251 2.0.0 elsewhere"),
    ],
)
async def test_after_the_handing_over_only_an_answer_tells(serving, act, state, words):
    async with serving(Fault("BODY", act), delivery_timeout=0.3 if act == HANG else 5) as (_, settings):
        verdict = await mail.send(settings, {}, PARCEL)
    assert verdict.state == state
    assert words in verdict.detail


async def test_a_refused_recipient_does_not_keep_the_mail_from_the_others(serving):
    fault = Fault("RCPT", "550 5.1.1 no such user", address=SECOND)
    async with serving(fault) as (server, settings):
        verdict = await mail.send(settings, {}, PARCEL)
    assert verdict.state == "sent"
    assert verdict.detail == f"250 2.0.0 OK: queued as 1; not to {SECOND}: 550 5.1.1 no such user"
    assert [caught.recipients for caught in server.received] == [[ADDRESS]]


async def test_a_server_that_does_not_listen_may_come_back(serving):
    async with serving(smtp_port=free_port()) as (_, settings):
        verdict = await mail.send(settings, {}, PARCEL)
    assert verdict.state == "passing"
    assert "connecting to localhost" in verdict.detail


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_certificate_that_is_not_trusted_is_a_persons_matter(serving, authority, security):
    wrong = authority.certificate("mail.example.org")
    async with serving(security=security, certificate=wrong) as (server, settings):
        verdict = await mail.send(settings, {}, PARCEL)
        stranger = await mail.send(settings.model_copy(update={"smtp_ca_file": None}), {}, PARCEL)
    assert (verdict.state, stranger.state) == ("refused", "refused")
    assert "the certificate of localhost is not trusted: Hostname mismatch" in verdict.detail
    assert "set SMTP_CA_FILE" in stranger.detail
    assert server.reached == []


async def test_nothing_is_said_in_the_clear_where_starttls_is_asked_for(serving):
    async with serving(security="none", smtp_security="starttls") as (server, settings):
        verdict = await mail.send(settings, {}, PARCEL)
    assert verdict.state == "refused"
    assert "offers no STARTTLS, and nothing is sent in the clear" in verdict.detail
    assert server.reached == []


async def test_a_wrong_password_is_refused_and_told_to_nobody(serving):
    wrong = "the-wrong-one"
    async with serving(smtp_password=wrong) as (_, settings):
        verdict = await mail.send(settings, {}, PARCEL)
    assert verdict.state == "refused"
    assert verdict.detail.startswith("535 ")
    assert wrong not in repr(verdict) + repr(settings)


async def test_a_server_that_repeats_the_password_is_not_quoted_with_it(serving):
    async with serving(Fault("MAIL", f"550 what is {LOGIN[1]} for")) as (_, settings):
        verdict = await mail.send(settings, {}, PARCEL)
    assert verdict.detail == "550 what is (hidden) for"


async def test_a_server_that_takes_less_than_the_attachments_gets_the_text(serving, monkeypatch):
    monkeypatch.setattr("ops.demo.receivers.MAX_MAIL_BYTES", 30_000)
    async with serving() as (server, settings):
        (settings.reports_dir / f"{DAY}" / "seoul-hs_report.html").write_text("x" * 40_000)
        verdict = await mail.send(settings, {}, PARCEL)
    assert verdict.state == "sent"
    (caught,) = server.received
    assert [part.get_filename() for part in caught.message.iter_attachments()] == ["seoul-hs_metrics.csv"]
    assert "seoul-hs_report.html" in caught.message.get_body(("plain",)).get_content()


async def test_an_address_beyond_ascii_is_sent_where_the_server_takes_it(serving):
    async with serving() as (server, settings):
        verdict = await mail.send(settings, {}, parcel_of(tenant_of("ko"), address=("교장@example.org",)))
    assert verdict.state == "sent"
    assert server.received[0].recipients == ["교장@example.org"]
    assert server.received[0].message["To"] == "교장@example.org"


async def test_what_is_not_set_or_not_there_is_a_sentence(serving, tmp_path):
    async with serving() as (server, settings):
        with pytest.raises(CannotSend, match="SMTP_HOST is not set"):
            await mail.send(settings.model_copy(update={"smtp_host": None}), {}, PARCEL)
        with pytest.raises(CannotSend, match=r"SMTP_CA_FILE .*none\.pem cannot be used: No such file"):
            await mail.send(settings.model_copy(update={"smtp_ca_file": tmp_path / "none.pem"}), {}, PARCEL)
        (tmp_path / f"{DAY}" / "seoul-hs_report.html").unlink()
        with pytest.raises(CannotSend, match="trigger the week again"):
            await mail.send(settings, {}, PARCEL)
        with pytest.raises(CannotSend, match="the job of this report is no longer in the database"):
            await mail.send(settings, {}, replace(PARCEL, tenant=None))
    assert server.received == []
