"""From the schools' CSV files over the trigger's topic to the mail that the principal has received."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from mail_server import HANG, Authority, Fault, FaultyMailServer
from schools import METRICS, REPORT_DATE, SUMMARY, write_files
from whole import Whole, running

from ops.demo.receivers import SlackCatcher
from ops.load.loader import load
from ops.load.options import LoadOptions
from streams.models.inputs import Years

LOGIN = ("riskflow", "a password: 비밀")
OFFICES = {"seoul-hs": {"principal@seoul.example.org"}}
OFFICES["hudson-ms"] = {"office@hudson.example.org", "head@hudson.example.org"}
SENTENCES = {
    "seoul-hs": {
        "plain": (
            "학생 수: 7",
            "위험 학생: 4 (심각 3명, 주의 1명)",
            "양호: 2",
            "자료 부족: 1",
            "출결: 심각 1명, 주의 0명",
        ),
        "html": ("학생 수 7", "심각 3", "주의 1", "양호 2", "자료 부족 1", "출결: 심각 1명, 주의 0명"),
    },
    "hudson-ms": {
        "plain": (
            "Students: 2",
            "At risk: 1 (critical 0, warning 1)",
            "No concern: 1",
            "Insufficient data: 0",
        ),
        "html": ("Students 2", "Critical 0", "Warning 1", "No concern 1", "Insufficient data 0"),
    },
}
FIGURES = 1e-9
"""Numbers are written with all their digits, so only the rounding of the last ones may differ."""


@dataclass
class Schools:
    """The running whole with the three tenants' data loaded, and who receives."""

    whole: Whole
    mail: FaultyMailServer
    slack: SlackCatcher

    async def report(self, report_date: date, job_id: str) -> None:
        await self.whole.trigger("weekly", job_id, report_date=report_date)

    def folder(self, report_date: date = REPORT_DATE) -> Path:
        return self.whole.settings.reports_dir / report_date.isoformat()

    def mails(self, report_date: date) -> Counter[str]:
        """How many mails about a date each tenant's offices have received."""
        found: Counter[str] = Counter()
        for mail in self.mail.received:
            name = re.fullmatch(
                r"<riskflow\.(.+)\.(\d{4}-\d\d-\d\d)@example\.org>", mail.message["Message-ID"]
            )
            assert name is not None, mail.message["Message-ID"]
            if name[2] == report_date.isoformat():
                assert set(mail.recipients) == OFFICES[name[1]]
                found[name[1]] += 1
        return found

    async def deliveries(self, report_date: date) -> dict[tuple[str, str], str]:
        rows = await self.whole.connection.fetch(
            "SELECT org_id, channel, state FROM report_deliveries WHERE report_date = $1", report_date
        )
        return {(row["org_id"], row["channel"]): row["state"] for row in rows}

    async def until_delivery(self, report_date: date, org_id: str, channel: str, state: str) -> None:
        query = "SELECT state = $4 FROM report_deliveries WHERE (report_date, org_id, channel) = ($1, $2, $3)"
        await self.whole.until(query, report_date, org_id, channel, state)


@pytest.fixture
async def schools(database_url, tmp_path):
    authority = Authority(tmp_path)
    mail = FaultyMailServer("starttls", authority.certificate(), LOGIN)
    slack = SlackCatcher()
    await mail.start()
    await slack.start()
    files = write_files(tmp_path)
    settings = {
        "tenants_file": tmp_path / "tenants.yaml",
        "smtp_host": "localhost",
        "smtp_port": mail.port,
        "smtp_user": LOGIN[0],
        "smtp_password": LOGIN[1],
        "smtp_from": "riskflow@example.org",
        "smtp_ca_file": authority.file,
        "delivery_pause": 600,
        "students_per_part": 3,
    }
    webhook = {"SEOUL_HS_SLACK_WEBHOOK": f"{slack.url}/services/T0/B0/secret"}
    async with running(database_url, tmp_path, webhook, **settings) as whole:
        for table, path in files.items():
            loaded = await load(table, [path], whole.connection, LoadOptions(baseline=Years(1991, 2020)))
            assert loaded.duplicates == (1 if table == "attendance" else 0)
        await whole.services.start()
        yield Schools(whole, mail, slack)
    await mail.stop()
    await slack.stop()


async def test_two_weeks_of_school_become_reports_mails_and_a_slack_message_each_exactly_once(schools):
    await schools.report(REPORT_DATE, "weekly-1")
    job = await schools.whole.ended("weekly-1")
    assert (job.status, job.total_grids, job.processed_grids, job.failed_grids) == ("completed", 3, 3, 0)
    assert await schools.deliveries(REPORT_DATE) == {
        ("seoul-hs", "email"): "sent",
        ("seoul-hs", "slack"): "sent",
        ("hudson-ms", "email"): "sent",
        ("empty-hs", "email"): "no_data",
    }
    check_files(schools.folder())
    check_pages(schools.folder())
    check_mails(schools)
    check_slack(schools)

    await between_two_tenants(schools, date(2026, 3, 10))
    await in_the_middle_of_one(schools, date(2026, 3, 11))
    assert schools.mails(REPORT_DATE) == {"seoul-hs": 1, "hudson-ms": 1}, "a restart sends nothing again"
    secrets = ("secret", LOGIN[1], "a password")
    logs = "".join(path.read_text() for path in schools.whole.logs.glob("*.log"))
    assert not [secret for secret in secrets if secret in logs]


async def between_two_tenants(schools: Schools, report_date: date) -> None:
    """The process dies when one tenant's mail is sent and the other's is still to be tried again."""
    schools.mail.faults = [
        Fault("RCPT", "451 4.3.0 come back later", address=office) for office in OFFICES["hudson-ms"]
    ]
    await schools.report(report_date, "weekly-2")
    await schools.until_delivery(report_date, "seoul-hs", "email", "sent")
    await schools.until_delivery(report_date, "seoul-hs", "slack", "sent")
    await schools.until_delivery(report_date, "hudson-ms", "email", "retrying")
    await schools.whole.services.kill("reporter")
    schools.mail.faults = []
    await schools.whole.connection.execute("UPDATE report_deliveries SET next_try_at = now()")
    await schools.whole.services.start("reporter")
    job = await schools.whole.ended("weekly-2")
    assert (job.status, job.failed_grids) == ("completed", 0)
    assert schools.mails(report_date) == {"seoul-hs": 1, "hudson-ms": 1}
    assert len(schools.slack.received) == 2


async def in_the_middle_of_one(schools: Schools, report_date: date) -> None:
    """The process dies after the server has the mail, before it has said so."""
    schools.mail.faults = [Fault("BODY", HANG, times=1)]
    await schools.report(report_date, "weekly-3")
    states = (
        "SELECT count(*) = 1 FROM report_deliveries WHERE report_date = $1 AND channel = 'email' AND state = "
    )
    await schools.whole.until(states + "'sending'", report_date)
    await schools.whole.until(states + "'sent'", report_date)
    await schools.until_delivery(report_date, "seoul-hs", "slack", "sent")
    await schools.whole.services.kill("reporter")
    await schools.whole.services.start("reporter")
    job = await schools.whole.ended("weekly-3")
    assert (job.status, job.processed_grids, job.failed_grids) == ("completed_with_failures", 3, 1)
    unknown = [key for key, state in (await schools.deliveries(report_date)).items() if state == "unknown"]
    assert len(unknown) == 1
    assert f"{unknown[0][0]}: email: " in job.error_message
    assert schools.mails(report_date) == {"seoul-hs": 1, "hudson-ms": 1}, "no second mail"
    assert len(schools.slack.received) == 3


def check_files(folder: Path) -> None:
    names = {f"{org_id}_{file}" for org_id in SUMMARY for file in ("metrics.csv", "report.html")}
    assert {path.name for path in folder.iterdir()} == names | {"summary.csv"}
    rows = read(folder / "summary.csv")
    assert [row["org_id"] for row in rows] == sorted(SUMMARY)
    for row in rows:
        check_row(row, SUMMARY[row["org_id"]])
    for org_id, first in (("seoul-hs", "s"), ("hudson-ms", "h"), ("empty-hs", "-")):
        rows = read(folder / f"{org_id}_metrics.csv")
        expected = [name for name in METRICS if name.startswith(first)]
        assert [row["student_id"] for row in rows] == expected
        for row in rows:
            named = {
                "report_date": REPORT_DATE.isoformat(),
                "org_id": org_id,
                "student_id": row["student_id"],
            }
            check_row(row, named | METRICS[row["student_id"]])


def check_row(row: dict[str, str], expected: dict[str, object]) -> None:
    assert list(row) == list(expected), "the columns and their order"
    for name, value in expected.items():
        if isinstance(value, float):
            assert float(row[name]) == pytest.approx(value, abs=FIGURES), name
        else:
            assert row[name] == ("" if value is None else str(value)), name


def check_pages(folder: Path) -> None:
    page = (folder / "seoul-hs_report.html").read_text(encoding="utf-8")
    assert '<html lang="ko"' in page
    assert "서울고등학교" in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(4)&lt;/script&gt;" in page
    english = (folder / "hudson-ms_report.html").read_text(encoding="utf-8")
    assert '<html lang="en"' in english
    assert "Student 001" in english
    assert "Student 002" not in english, "who is not at risk is not named"
    assert "Student 001" not in (folder / "empty-hs_report.html").read_text(encoding="utf-8")


def check_mails(schools: Schools) -> None:
    assert schools.mails(REPORT_DATE) == {"seoul-hs": 1, "hudson-ms": 1}
    for mail in schools.mail.received:
        assert mail.encrypted
        assert (mail.user, mail.sender) == (LOGIN[0], "riskflow@example.org")
        attached = {
            part.get_filename(): part.get_payload(decode=True) for part in mail.message.iter_attachments()
        }
        org_id = "seoul-hs" if "principal@seoul.example.org" in mail.recipients else "hudson-ms"
        assert len(attached) == 2
        for name in (f"{org_id}_report.html", f"{org_id}_metrics.csv"):
            assert attached.get(name) == (schools.folder() / name).read_bytes(), list(attached)
        for kind in ("plain", "html"):
            body = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", mail.message.get_body((kind,)).get_content()))
            assert [sentence for sentence in SENTENCES[org_id][kind] if sentence not in body] == [], body
            assert "alert" not in body
        assert ("서울고등학교" if org_id == "seoul-hs" else "Hudson Middle School") in mail.message["Subject"]


def check_slack(schools: Schools) -> None:
    (post,) = schools.slack.received
    assert post.path == "/services/T0/B0/secret"
    assert "서울고등학교" in str(post.body)
    assert {"blocks", "text"} <= set(post.body)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
