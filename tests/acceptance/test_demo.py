"""`riskflow demo` as a newcomer runs it, and what its database then holds."""

import asyncio
import csv
import os
import signal
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import asyncpg
import pytest
from test_real_input import check_every_row
from waiting import until

from consumers.mail_words import WORDS
from ops.demo.mailroom import Mailroom
from ops.demo.schools import demo_schools
from ops.demo.sources import DataPackageMissing, korean_weather_file, storm_tracks
from ops.stack.servers import EmbeddedPostgres

CELLS = 61
STAYS = "The page, until Ctrl-C ends everything:"
RISKS = (
    "high_temperature", "cold_wave", "drought", "wildfire", "inland_flood", "urban_flood", "coastal_flood",
    "typhoon", "water_scarcity",
)  # fmt: skip
NUMBERS = """
    SELECT p.latitude, p.longitude, p.risk_type, p.probability::text, p.bin_data::text, p.aal, p.reason,
           p.basis, h.hazard_score, h.hazard_level
    FROM probability_results p
    JOIN hazard_results h USING (latitude, longitude, risk_type, scenario, window_start, window_end)
    ORDER BY 1, 2, 3
"""
SCHOOLS = {"gasang-hs": "ko", "yesi-ms": "ko", "sample-is": "en"}
STUDENTS = {"gasang-hs": 300, "yesi-ms": 240, "sample-is": 180}
SLACK = {"gasang-hs": "sent", "yesi-ms": None, "sample-is": "sent"}
COUNTS = """
    SELECT s.org_id, s.org_name, s.report_date, s.total_students, s.crit_count, s.warn_count, s.ok_count,
           s.insufficient_data, e.state, p.state
    FROM tenant_risk_summary s
    JOIN report_deliveries e ON (e.org_id, e.report_date) = (s.org_id, s.report_date)
    LEFT JOIN report_deliveries p
        ON (p.org_id, p.report_date, p.channel) = (s.org_id, s.report_date, 'slack')
    WHERE e.channel = 'email' ORDER BY s.org_id
"""


async def demo(folder: Path, *options: str) -> str:
    """What the demo prints; it must end well."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops.cli", "demo", "--data-dir", str(folder), *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"COLUMNS": "100"},
    )
    out, err = await asyncio.wait_for(process.communicate(), 300)
    assert process.returncode == 0, out.decode() + err.decode()
    assert err.decode() == ""
    return out.decode()


async def demo_that_opens_its_page(folder: Path, *options: str) -> str:
    """What it prints before it waits for Ctrl-C.

    The page must answer then, be what the browser was told to open, and Ctrl-C must end it all well.
    """
    browser, opened = folder.with_suffix(".browser"), folder.with_suffix(".opened")
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > "{opened}"\n')
    browser.chmod(0o755)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ops.cli", "demo", "--open", "--data-dir", str(folder), *options),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"COLUMNS": "100", "BROWSER": str(browser)},
    )
    assert process.stdout is not None
    said = []
    async with asyncio.timeout(300):
        while STAYS not in (said[-1] if said else ""):
            line = (await process.stdout.readline()).decode()
            assert line, "".join(said)
            said.append(line)
    base, _, token = said[-1].split()[-1].partition("/#token=")
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.get(f"{base}/api/v1/map?risk=typhoon") as answer:
            assert len((await answer.json())["latitude"]) == CELLS
        async with session.get(f"{base}/api/v1/tenants") as answer:
            assert {each["org_id"] for each in (await answer.json())["items"]} == set(SCHOOLS)

    async def is_opened() -> bool:
        return opened.exists() and bool(opened.read_text())

    await until(is_opened, "the browser")
    assert opened.read_text() == said[-1].split()[-1]
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    return "".join(said)


@dataclass(frozen=True)
class Kept:
    """What the demo has kept: every climate result, and per school its counts and deliveries."""

    results: list[tuple]
    schools: list[tuple]
    trend: dict[str, int]


async def stored(folder: Path) -> Kept:
    """What is in the database that the demo has kept; what must hold of each row is checked."""
    server = EmbeddedPostgres(folder / "postgresql")
    await server.start()
    try:
        await server.wait_ready()
        connection = await asyncpg.connect(server.url)
        await check_every_row(connection, CELLS)
        jobs = await connection.fetch(
            "SELECT DISTINCT job_type, status, processed_grids, failed_grids FROM batch_job_logs ORDER BY 1"
        )
        assert [tuple(row) for row in jobs] == [
            ("hazard", "completed", CELLS, 0),
            ("probability", "completed", CELLS, 0),
            ("weekly", "completed", len(SCHOOLS), 0),
        ]
        kept = Kept(
            [tuple(row) for row in await connection.fetch(NUMBERS)],
            [tuple(row) for row in await connection.fetch(COUNTS)],
            dict(await connection.fetch("SELECT org_id, count(*) FROM tenant_risk_summary GROUP BY org_id")),
        )
        await connection.close()
    finally:
        await server.stop()
    return kept


def check_second_act(said: str, kept: Kept, reports: Path) -> None:
    """The table says what the rows say, one mail and one message of each came, the pages lie there."""
    assert "THE STUDENTS ARE DRAWN" in said
    assert kept.trend == dict.fromkeys(SCHOOLS, 8)
    words = " ".join(said.split())
    mails = said[said.index("Mails as") : said.index("Slack messages as")]
    for org_id, name, day, students, crit, warn, ok, no_data, email, slack in kept.schools:
        assert f" {org_id} {students} {crit} {warn} {ok} {no_data} {email} {slack or '-'} " in words
        assert (students, crit + warn + ok + no_data) == (STUDENTS[org_id], students)
        assert min(crit, warn, no_data) > 0
        assert (email, slack) == ("sent", SLACK[org_id])
        assert mails.count(f"{org_id}_metrics.csv") == 1
        subject = WORDS[SCHOOLS[org_id]].subject.format(
            name=name, date=day, crit=crit, warn=warn, students=students
        )
        assert words.count(f" {subject} ") == (2 if slack else 1)
        page = reports / str(day) / f"{org_id}_report.html"
        assert f" {page.as_uri()} " in words
        assert name in page.read_text(encoding="utf-8")
        with (reports / str(day) / f"{org_id}_metrics.csv").open(encoding="utf-8", newline="") as file:
            levels = Counter(row["level"] for row in csv.DictReader(file))
        assert levels == {"CRIT": crit, "WARN": warn, "OK": ok, "NO_DATA": no_data}


@pytest.fixture
def records():
    try:
        korean_weather_file()
        storm_tracks()
    except DataPackageMissing as error:
        pytest.skip(f"no real records: {error}")


@pytest.mark.usefixtures("records")
async def test_the_demo_on_real_records_twice_gives_the_same_numbers(server_home):
    folder = server_home / "demo"
    said = await demo(folder)
    assert "WEATHER IS DRAWN" not in said
    for risk in RISKS:
        assert f" {risk}" in said
    assert " typhoon " in said, "a risk that rests on no assumption carries no star"
    assert "water_scarcity*" in said
    first = await stored(folder)
    assert {row[6] for row in first.results} == {None}, "every risk has a number at every station"
    check_second_act(said, first, folder / "reports")
    said = await demo(folder)
    again = await stored(folder)
    assert again == first
    assert said.splitlines()[-1].startswith("The page was at http://127.0.0.1:")
    check_second_act(said, again, folder / "reports")


async def test_the_demo_without_records_says_first_that_its_weather_is_drawn_and_opens_its_page(server_home):
    folder = server_home / "drawn"
    said = await demo_that_opens_its_page(folder, "--drawn")
    assert said.splitlines()[0].startswith("THE WEATHER IS DRAWN")
    kept = await stored(folder)
    numbers = {row[2] for row in kept.results if row[5] is not None}
    assert numbers >= set(RISKS) - {"typhoon"}
    check_second_act(said, kept, folder / "reports")


def test_without_the_mail_server_of_the_demo_no_school_is_mailed(monkeypatch):
    schools = demo_schools()
    assert all(Mailroom(schools).reachable(school).email for school in schools)
    monkeypatch.setitem(sys.modules, "aiosmtpd", None)
    mailroom = Mailroom(schools)
    assert mailroom.settings == {}
    reachable = [mailroom.reachable(school) for school in schools]
    assert [school.email for school in reachable] == [[], [], []]
    assert [bool(school.slack_webhook_env) for school in reachable] == [
        SLACK[school.org_id] == "sent" for school in schools
    ]
