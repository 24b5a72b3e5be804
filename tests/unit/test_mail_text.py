"""The mail of a report: headers, both texts, attachments, and what is left out."""

from __future__ import annotations

import re
import sys
from datetime import UTC, date, datetime
from email import message_from_bytes
from email.policy import default

import pytest
from deliveries_samples import CSV, HTML, parcel_of, settings_of, tenant_of, write_report

from consumers import mail_text
from consumers.mail_text import compose, message_id, wire
from consumers.mail_words import WORDS
from consumers.parcel import Summary
from consumers.report.words import catalogue
from consumers.slack import payload
from consumers.verdict import CannotSend
from schemas.tenants import STUDENT_RISKS

AT = datetime(2026, 11, 22, 21, 5, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path):
    write_report(tmp_path)
    return settings_of(tmp_path, smtp_from="riskflow <riskflow@example.org>")


def read(message):
    """The mail as the recipient's program reads it."""
    return message_from_bytes(wire(message, utf8=False), policy=default)


def text_of(message, kind="plain"):
    return message.get_body((kind,)).get_content().replace("\r\n", "\n")


def test_the_subject_says_who_when_and_how_many(settings):
    mail = read(compose(settings, parcel_of(tenant_of("ko", name="서울고등학교")), AT))
    assert mail["Subject"] == "서울고등학교: 주간 위험 보고서 2026-11-23, 학생 120명 중 심각 7명, 주의 13명"
    english = read(compose(settings, parcel_of(tenant_of("en")), AT))
    assert (
        english["Subject"]
        == "Seoul High School: weekly risk report 2026-11-23, critical 7, warning 13 of 120"
    )


def test_headers_tell_programs_what_the_mail_is(settings):
    mail = read(compose(settings, parcel_of(tenant_of("en"), address=("a@example.org", "b@example.org")), AT))
    assert mail["From"] == "riskflow <riskflow@example.org>"
    assert mail["To"] == "a@example.org, b@example.org"
    assert mail["Date"] == "Mon, 23 Nov 2026 06:05:00 +0900"
    assert mail["Message-ID"] == "<riskflow.seoul-hs.2026-11-23@example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"


def test_text_and_html_give_the_same_counts_and_the_worst_risk_first(settings):
    mail = read(compose(settings, parcel_of(tenant_of("en")), AT))
    assert text_of(mail).splitlines()[3:13] == [
        "Students: 120",
        "At risk: 20 (critical 7, warning 13)",
        "No concern: 95",
        "Insufficient data: 5",
        "",
        "What to look at first",
        "- Attendance: critical 4, warning 2",
        "- Ability: critical 3, warning 9",
        "- Omitted items: critical 0, warning 5",
        "",
    ]
    html = text_of(mail, "html")
    cells = re.findall(r"<td[^>]*>(\d+)</td>", html)
    assert cells == ["120", "7", "13", "95", "5"]
    assert re.findall(r"<li>(.*?)</li>", html)[0] == "Attendance: critical 4, warning 2"


def test_nobody_at_risk_is_said(settings):
    calm = Summary(
        students=9, without_data=0, crit=0, warn=0, ok=9, risks=dict.fromkeys(STUDENT_RISKS, (0, 0))
    )
    mail = read(compose(settings, parcel_of(tenant_of("ko"), summary=calm), AT))
    assert "설정된 기준값을 넘은 학생이 없습니다." in text_of(mail)


def test_the_report_and_the_metrics_are_attached_as_they_lie(settings):
    mail = read(compose(settings, parcel_of(tenant_of("ko")), AT))
    files = {part.get_filename(): part for part in mail.iter_attachments()}
    assert {name: part.get_payload(decode=True).decode() for name, part in files.items()} == {
        "seoul-hs_report.html": HTML,
        "seoul-hs_metrics.csv": CSV,
    }
    assert [part.get_content_type() for part in files.values()] == ["text/html", "text/csv"]
    assert {part.get_content_charset() for part in files.values()} == {"utf-8"}


def test_students_are_named_in_the_attachments_only(settings):
    message = compose(settings, parcel_of(tenant_of("ko")), AT)
    mail = read(message)
    assert "김하늘" in HTML
    assert "김하늘" not in text_of(mail) + text_of(mail, "html") + mail["Subject"]


def test_every_line_is_ascii_and_ends_in_crlf(settings):
    raw = wire(compose(settings, parcel_of(tenant_of("ko", name="서울고등학교")), AT), utf8=False)
    assert raw.isascii()
    assert raw.count(b"\n") == raw.count(b"\r\n")
    assert max(map(len, raw.split(b"\r\n"))) <= 998


def test_a_name_with_markup_shows_as_text(settings):
    mail = read(compose(settings, parcel_of(tenant_of("en", name="<b>School</b> & co")), AT))
    assert "&lt;b&gt;School&lt;/b&gt; &amp; co" in text_of(mail, "html")
    assert text_of(mail).startswith("<b>School</b> & co\n")


@pytest.mark.parametrize("limit", [0, 2_000])
def test_what_does_not_fit_is_left_out_and_the_text_says_where_it_lies(settings, limit):
    folder = settings.reports_dir / "2026-11-23"
    (folder / "seoul-hs_report.html").write_text("x" * 3_000)
    mail = read(compose(settings, parcel_of(tenant_of("en")), AT, limit))
    kept = [part.get_filename() for part in mail.iter_attachments()]
    assert kept == ([] if limit == 0 else ["seoul-hs_metrics.csv"])
    assert "Too large to attach: seoul-hs_report.html" in text_of(mail)
    assert "The report lies in the folder of reports under: 2026-11-23/seoul-hs_report.html" in text_of(mail)


def test_the_link_is_there_where_the_reports_are_served(settings):
    served = settings.model_copy(update={"reports_url": "https://reports.example.org/riskflow/"})
    mail = read(compose(served, parcel_of(tenant_of("en")), AT))
    address = "https://reports.example.org/riskflow/2026-11-23/seoul-hs_report.html"
    assert f"Open the report: {address}" in text_of(mail)
    assert f'href="{address}"' in text_of(mail, "html")


@pytest.mark.parametrize(
    ("org_id", "made"),
    [
        ("a.b", "<riskflow.a=2Eb.2026-11-23@example.org>"),
        ("a:b@c", "<riskflow.a=3Ab=40c.2026-11-23@example.org>"),
        ("s" * 200, f"<riskflow.{'s' * 200}.2026-11-23@example.org>"),
    ],
)
def test_the_id_stays_one_token_whatever_the_tenant_is_called(settings, org_id, made):
    paths = {"html": "2026-11-23/seoul-hs_report.html", "csv": "2026-11-23/seoul-hs_metrics.csv"}
    parcel = parcel_of(tenant_of("en", org_id=org_id), **paths)
    assert message_id(parcel, "example.org") == made
    assert read(compose(settings, parcel, AT))["Message-ID"] == made


def test_a_template_of_the_users_replaces_ours_and_its_faults_name_the_line(settings, tmp_path):
    folder = tmp_path / "templates"
    folder.mkdir()
    own = settings.model_copy(update={"report_templates": folder})
    (folder / "mail.txt.j2").write_text("Hello {{ tenant.name }}\n")
    assert text_of(read(compose(own, parcel_of(tenant_of("en")), AT))) == "Hello Seoul High School\n"
    (folder / "mail.txt.j2").write_text("Hello\n{{ tenant.nmae }}\n")
    with pytest.raises(CannotSend, match=r"template mail\.txt\.j2 line 2: .*nmae"):
        compose(own, parcel_of(tenant_of("en")), AT)
    (folder / "mail.txt.j2").write_text("Hello\n\n{% if %}\n")
    with pytest.raises(CannotSend, match=r"template mail\.txt\.j2 line 3"):
        compose(own, parcel_of(tenant_of("en")), AT)


def test_a_template_without_end_is_ended_at_its_line(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(mail_text, "TEMPLATE_SECONDS", 0.1)
    folder = tmp_path / "templates"
    folder.mkdir()
    # Long enough to be told from one that is not ended.
    loops = "{% for a in range(99999) %}{% for b in range(999) %}{% endfor %}{% endfor %}"
    (folder / "mail.txt.j2").write_text(f"Hello\n{loops}\n")
    own = settings.model_copy(update={"report_templates": folder})
    trace = sys.gettrace()
    with pytest.raises(CannotSend, match=r"template mail\.txt\.j2 line 2: not ready within 0\.1 s"):
        compose(own, parcel_of(tenant_of("en")), AT)
    assert sys.gettrace() is trace


def test_a_missing_file_and_a_missing_sender_are_named(settings):
    without = settings.model_copy(update={"smtp_from": "riskflow"})
    with pytest.raises(CannotSend, match="SMTP_FROM holds no address"):
        compose(without, parcel_of(tenant_of("en")), AT)
    (settings.reports_dir / "2026-11-23" / "seoul-hs_report.html").unlink()
    with pytest.raises(CannotSend, match=r"seoul-hs_report\.html cannot be read .*trigger the week again"):
        compose(settings, parcel_of(tenant_of("en")), AT)


@pytest.mark.parametrize("language", ["ko", "en"])
def test_levels_and_risks_are_called_as_in_the_report(language):
    words, report = WORDS[language], catalogue(language)
    assert words.title == report["page.title"]
    assert (words.crit, words.warn, words.ok, words.without_data) == tuple(
        report[f"level.{level}"] for level in ("CRIT", "WARN", "OK", "NO_DATA")
    )
    assert words.risks == {risk: report[f"risk.{risk}"] for risk in STUDENT_RISKS}


def test_slack_gets_the_counts_and_the_link_with_its_control_characters_escaped(settings):
    served = settings.model_copy(update={"reports_url": "https://reports.example.org/?a=1&b="})
    body = payload(served, parcel_of(tenant_of("ko", name="<!channel> & 서울")))
    header, counts, look_at, where = body["blocks"]
    assert body["text"].startswith("&lt;!channel&gt; &amp; 서울: 주간 위험 보고서 2026-11-23")
    assert header["text"]["text"] == "&lt;!channel&gt; &amp; 서울 · 주간 학생 위험 보고서 2026-11-23"
    assert [field["text"] for field in counts["fields"]] == [
        "*학생 수*\n120", "*위험 학생*\n20", "*심각*\n7", "*주의*\n13", "*양호*\n95", "*자료 부족*\n5",
    ]  # fmt: skip
    assert look_at["text"]["text"].splitlines()[1] == "• 출결: 심각 4명, 주의 2명"
    link = "https://reports.example.org/?a=1&amp;b=/2026-11-23/seoul-hs_report.html"
    assert where["text"]["text"] == f"<{link}|보고서 열기>"


def test_slack_gets_the_path_where_nothing_is_served_and_a_title_that_fits(settings):
    body = payload(settings, parcel_of(tenant_of("en", name="&" * 200), report_date=date(2026, 11, 23)))
    assert len(body["blocks"][0]["text"]["text"]) <= 150
    assert body["blocks"][0]["text"]["text"].endswith("…")
    assert body["blocks"][3]["text"]["text"].endswith("`2026-11-23/seoul-hs_report.html`")
