"""Tenants over HTTP: their weekly state and reports, each for who may see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path

import asyncpg
import pytest
from web_client import TOKEN, Client, served, web_settings
from weekly_rows import REPORT_DATE, weekly_job

from schemas.settings import Settings

TENANTS = "/api/v1/tenants"
SCHOOL = "token-of-the-school"
FILE = """\
access:
  - {name: officer, role: operator, token_env: OFFICER_TOKEN, tenants: ["*"]}
  - {name: school, role: viewer, token_env: SCHOOL_TOKEN, tenants: [a]}
  - {name: visitor, role: viewer}
"""
BEFORE = REPORT_DATE - timedelta(days=7)


@pytest.fixture
async def page(
    report_settings: Settings,
    connection: asyncpg.Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Client]:
    """A page over two tenants: `a` reported twice and sent, `b` is being computed."""
    monkeypatch.setenv("OFFICER_TOKEN", TOKEN)
    monkeypatch.setenv("SCHOOL_TOKEN", SCHOOL)
    path = tmp_path / "access.yaml"
    path.write_text(FILE)
    await summary(connection, "a", BEFORE, crit=3, warn=5)
    await summary(connection, "a", REPORT_DATE, crit=2, warn=7)
    await weekly_job(connection, "weekly-1", ("a", 1), ("b", 2))
    await connection.execute("UPDATE batch_job_tenants SET state = 'rendered' WHERE org_id = 'a'")
    await delivery(connection, report_settings, "a")
    async with served(web_settings(report_settings, web_access_file=path)) as client:
        yield client


async def summary(connection: asyncpg.Connection, org_id: str, day: date, *, crit: int, warn: int) -> None:
    await connection.execute(
        "INSERT INTO tenant_risk_summary (org_id, report_date, org_name, total_students, crit_count,"
        " warn_count, ok_count, insufficient_data, theta_warn, theta_crit, omit_warn, omit_crit, guess_warn,"
        " guess_crit,"
        " attendance_warn, attendance_crit, thresholds, calculated_at, job_id, job_seq)"
        " VALUES"
        " ($1, $2, upper($1), 100, $3, $4, 80, 10, 0, 0, 0, 0, 0, 0, 0, 0, '{}', now(), 'weekly-1', 1)",
        org_id,
        day,
        crit,
        warn,
    )


async def delivery(connection: asyncpg.Connection, settings: Settings, org_id: str) -> None:
    folder = settings.reports_dir / f"{REPORT_DATE}"
    folder.mkdir(parents=True)
    (folder / f"{org_id}_report.html").write_text(
        f"<p>report of {org_id}</p><script>document.cookie</script>"
    )
    (folder / f"{org_id}_metrics.csv").write_text("report_date,org_id\n")
    await connection.execute(
        "INSERT INTO report_deliveries (org_id, report_date, channel, state, attempts, html, csv, detail,"
        " sent_at, job_id) VALUES ($1, $2, 'email', 'sent', 1, $3, $4, 'taken', now(), 'weekly-1')",
        org_id,
        REPORT_DATE,
        f"{REPORT_DATE}/{org_id}_report.html",
        f"{REPORT_DATE}/{org_id}_metrics.csv",
    )


async def test_who_sees_all_tenants_sees_each_at_its_latest_report(page: Client) -> None:
    first, second = (await page.get(TENANTS))["items"]
    assert (first["org_id"], first["report_date"], first["state"]) == ("a", f"{REPORT_DATE}", "rendered")
    assert (first["crit"], first["crit_before"], first["warn"], first["warn_before"]) == (2, 3, 7, 5)
    assert [(each["channel"], each["state"]) for each in first["deliveries"]] == [("email", "sent")]
    assert (second["org_id"], second["state"], second["students"], second["crit"]) == (
        "b",
        "pending",
        2,
        None,
    )
    assert (second["deliveries"], second["report_url"]) == ([], None)


async def test_a_role_sees_its_own_tenants_and_hears_of_no_other(page: Client) -> None:
    school = page.known_as(SCHOOL)
    assert [each["org_id"] for each in (await school.get(TENANTS))["items"]] == ["a"]
    for path in (
        f"{TENANTS}/b/reports",
        f"{TENANTS}/b/reports/{REPORT_DATE}/report",
        f"{TENANTS}/nobody/reports",
    ):
        said = await school.problem("GET", path, 404)
        assert "that school may see" in said
    assert "sees no tenants" in await page.known_as(None).problem("GET", TENANTS, 403)


async def test_the_history_of_a_tenant_comes_in_pages(page: Client) -> None:
    first = await page.get(f"{TENANTS}/a/reports", limit=1)
    second = await page.get(f"{TENANTS}/a/reports", limit=1, cursor=first["next"])
    dates = [each["report_date"] for answer in (first, second) for each in answer["items"]]
    assert dates == [f"{REPORT_DATE}", f"{BEFORE}"]
    assert second["items"][0]["report_url"] is None, "nobody has its files any more"


async def test_a_report_is_shown_where_it_can_reach_nothing_of_the_page(page: Client) -> None:
    (report, _) = (await page.get(TENANTS))["items"]
    async with page.session.get(page.base + report["report_url"], headers=page.headers) as answer:
        assert (answer.status, "report of a" in await answer.text()) == (200, True)
        policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-scripts")
    assert "allow-same-origin" not in policy
    async with page.session.get(page.base + report["csv_url"], headers=page.headers) as answer:
        assert f"{REPORT_DATE}_a_metrics.csv" in answer.headers["Content-Disposition"]
        assert await answer.text() == "report_date,org_id\n"


async def test_a_file_outside_the_folder_of_reports_is_never_given(
    page: Client, connection: asyncpg.Connection, report_settings: Settings
) -> None:
    (report_settings.reports_dir.parent / "secret.html").write_text("secret")
    await connection.execute("UPDATE report_deliveries SET html = '../secret.html'")
    said = await page.problem("GET", f"{TENANTS}/a/reports/{REPORT_DATE}/report", 404)
    assert "REPORTS_DIR" in said
    assert (await page.get(TENANTS))["items"][0]["report_url"] is None
