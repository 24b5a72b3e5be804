"""Logging in to the web page, and what each role and other sites may not do, over real HTTP."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from web_client import TOKEN, Client, served, web_settings
from weekly_rows import weekly_job

from schemas.settings import Settings

pytestmark = pytest.mark.usefixtures("connection")

SCHOOL = "token-of-the-school"
FILE = """\
access:
  - {name: officer, role: operator, token_env: OFFICER_TOKEN, tenants: ["*"]}
  - {name: clerk, role: operator, token_env: CLERK_TOKEN}
  - {name: school, role: viewer, token_env: SCHOOL_TOKEN, tenants: [a]}
  - {name: visitor, role: viewer}
"""
CLERK = "token-of-the-clerk"
CHANGES = [
    ("POST", "/api/v1/jobs"),
    ("POST", "/api/v1/jobs/some/cancel"),
    ("POST", "/api/v1/jobs/some/resume"),
    ("POST", "/api/v1/scenarios"),
    ("POST", "/api/v1/letters/risk.triggers.v1/0/0/replay"),
    ("POST", "/api/v1/letters/risk.triggers.v1/0/0/drop"),
]
BODIES = {
    "/api/v1/jobs": b'{"job_type": "climate"}',
    "/api/v1/scenarios": b'{"from": "historical", "name": "w"}',
}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def page(
    flow_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Client]:
    for name, token in (("OFFICER_TOKEN", TOKEN), ("CLERK_TOKEN", CLERK), ("SCHOOL_TOKEN", SCHOOL)):
        monkeypatch.setenv(name, token)
    path = tmp_path / "access.yaml"
    path.write_text(FILE)
    async with served(web_settings(flow_settings, web_access_file=path)) as client:
        yield client


async def test_each_token_is_told_what_it_may(page: Client) -> None:
    told = {
        token: await page.known_as(token).get("/api/v1/session") for token in (TOKEN, CLERK, SCHOOL, None)
    }
    assert {name: (each["name"], *each["may"].values()) for name, each in told.items()} == {
        TOKEN: ("officer", True, True, True),
        CLERK: ("clerk", True, False, False),
        SCHOOL: ("school", False, False, True),
        None: ("visitor", False, False, False),
    }
    assert "not known" in await page.known_as("another token").problem("GET", "/api/v1/session", 401)


@pytest.mark.parametrize(("method", "path"), CHANGES)
async def test_a_viewer_changes_nothing(page: Client, method: str, path: str) -> None:
    for token in (SCHOOL, None):
        body = BODIES.get(path, b"{}")
        said = await page.known_as(token).problem(method, path, 403, data=body, headers=JSON)
        assert "only an operator" in said


async def test_weekly_jobs_and_letters_are_for_who_sees_all_tenants(
    page: Client, connection: asyncpg.Connection
) -> None:
    await weekly_job(connection, "weekly-1", ("a", 1), ("b", 1))
    assert [each["job_id"] for each in (await page.get("/api/v1/jobs"))["items"]] == ["weekly-1"]
    assert (await page.get("/api/v1/jobs/weekly-1"))["total"] == 2
    for token in (CLERK, SCHOOL, None):
        other = page.known_as(token)
        assert (await other.get("/api/v1/jobs"))["items"] == []
        assert "there is no job weekly-1" in await other.problem("GET", "/api/v1/jobs/weekly-1", 404)
        assert "dead letters" in await other.problem("GET", "/api/v1/letters", 403)
    clerk = page.known_as(CLERK)
    assert "there is no job" in await clerk.problem(
        "POST", "/api/v1/jobs/weekly-1/cancel", 404, data=b"{}", headers=JSON
    )
    assert "not all tenants" in await clerk.problem(
        "POST", "/api/v1/jobs", 403, data=b'{"job_type": "weekly"}', headers=JSON
    )
    assert await connection.fetchval("SELECT status FROM batch_job_logs") == "pending"


async def test_a_login_is_kept_in_a_cookie_that_no_script_and_no_other_site_gets(page: Client) -> None:
    headers = JSON | {"Origin": page.base}
    async with page.session.post(
        page.base + "/api/v1/session", data=f'{{"token": "{SCHOOL}"}}', headers=headers
    ) as answer:
        assert (answer.status, (await answer.json())["name"]) == (200, "school")
        cookie = answer.headers["Set-Cookie"]
    assert all(each in cookie for each in ("HttpOnly", "SameSite=strict", "Path=/"))
    assert "Secure" not in cookie, "over plain http a browser would not keep it"
    anonymous = page.known_as(None)
    kept = {"Cookie": cookie.partition(";")[0]}
    assert (await anonymous.send("GET", "/api/v1/session", 200, headers=kept))["name"] == "school"
    async with page.session.delete(
        page.base + "/api/v1/session", headers=kept | JSON | {"Content-Length": "0"}
    ) as gone:
        assert gone.status == 204
        assert 'riskflow_session=""' in gone.headers["Set-Cookie"]
    wrong = await anonymous.problem(
        "POST", "/api/v1/session", 401, data=b'{"token": "guessed"}', headers=JSON
    )
    assert "not known" in wrong


@pytest.mark.parametrize(
    ("headers", "status", "said"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403, "another site"),
        ({"Sec-Fetch-Site": "same-site"}, 403, "another site"),
        ({"Origin": "http://evil.example"}, 403, "another site"),
        ({"Origin": "null"}, 403, "another site"),
        ({"Content-Type": "text/plain"}, 415, "application/json"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "application/json"),
    ],
)
async def test_another_site_cannot_act_for_a_person(
    page: Client, connection: asyncpg.Connection, headers: dict[str, str], status: int, said: str
) -> None:
    cookie = {"Cookie": f"riskflow_session={TOKEN}"}
    body = b'{"job_type": "climate"}'
    told = await page.known_as(None).problem(
        "POST", "/api/v1/jobs", status, data=body, headers=JSON | cookie | headers
    )
    assert said in told
    assert await connection.fetchval("SELECT count(*) FROM outbox") == 0


async def test_a_name_pointed_at_this_address_is_not_answered(page: Client) -> None:
    body = await page.send("GET", "/api/v1/session", 400, headers={"Host": "evil.example"})
    assert b"Invalid host" in body


async def test_a_body_without_an_end_or_too_long_is_refused(page: Client) -> None:
    said = await page.problem(
        "POST", "/api/v1/jobs", 413, data=io.BytesIO(b" " * (1 << 20) + b"{}"), headers=JSON
    )
    assert "at most" in said


async def test_no_answer_may_be_framed_or_run_what_is_not_its_own(page: Client) -> None:
    async with page.session.get(page.base + "/") as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in policy
    assert "script-src" not in policy, "scripts fall under default-src"
    assert policy.startswith("default-src 'self';")
