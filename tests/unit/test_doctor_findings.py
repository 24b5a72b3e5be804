"""How `riskflow doctor` judges what it has seen."""

from __future__ import annotations

import socket
import threading
from collections import Counter, namedtuple
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from packaging.requirements import Requirement
from rich.console import Console
from typer.testing import CliRunner

from ops.cli import app
from ops.connected import SERVICES
from ops.doctor import bounded as bounding
from ops.doctor import machine, ports
from ops.doctor.broker import judged_letters, judged_replication, judged_topics
from ops.doctor.connected import judged_services
from ops.doctor.database import judged_clock, judged_encoding, judged_server
from ops.doctor.files import judged_sources, look_at_access, look_at_risks, look_at_templates, look_at_tenants
from ops.doctor.finding import Finding, State, document, not_checked, ok, warning, wrong
from ops.doctor.installation import judged_libraries, judged_python, look_at_installation
from ops.doctor.printed import print_findings
from ops.doctor.tables import Role, judged_migrations, judged_role
from ops.stack.endpoint import free_port
from producers.topics import Standing
from schemas.database import Migration, migrations
from schemas.settings import Settings

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
MIGRATIONS = [Migration(1, "0001_one", "SELECT 1"), Migration(2, "0002_two", "SELECT 2")]
APPLIED = {each.number: each.digest for each in MIGRATIONS}
TOPICS = Standing(missing=(), faults=(), remarks=(), copies=3, behind=0)
Usage = namedtuple("Usage", "free")  # noqa: PYI024 - what is used of shutil's


def settings(**changes: object) -> Settings:
    return Settings(_env_file=None, **changes)


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """Neither an `.env` nor a running `riskflow up` is found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_each_wrong_finding_says_what_to_do_and_makes_the_whole_wrong():
    findings = [ok("a", "well"), warning("b", "soon", "mend"), not_checked("c", "away")]
    assert document(findings)["well"]
    findings.append(wrong("d", "broken", "riskflow migrate"))
    said = document(findings)
    assert not said["well"]
    assert said["findings"][-1] == {
        "check": "d",
        "state": "wrong",
        "says": "broken",
        "remedy": "riskflow migrate",
    }


def test_findings_are_printed_a_line_each_with_the_sum():
    out = Console(width=60, record=True, quiet=False)
    with out.capture() as caught:
        print_findings(out, [ok("python", "3.11"), wrong("topics", "missing [x]", "riskflow topics")])
    lines = caught.get().splitlines()
    assert lines[0] == "ok           python  3.11"
    assert lines[1] == "wrong        topics  missing [x]"
    assert lines[2].strip() == "do: riskflow topics"
    assert lines[3] == "1 ok, 0 warning, 1 wrong, 0 not checked"


@pytest.mark.parametrize(
    ("known", "state", "words"),
    [
        (APPLIED, State.OK, "all 2 are applied, the last is 0002_two"),
        (None, State.WRONG, "no tables of riskflow"),
        ({1: APPLIED[1]}, State.WRONG, "missing: 0002_two"),
        (APPLIED | {1: "other"}, State.WRONG, "another text: 0001_one"),
        (APPLIED | {3: "later"}, State.WRONG, "newer than this riskflow: it has 3"),
    ],
)
def test_migrations_are_there_missing_changed_or_newer(known, state, words):
    finding = judged_migrations(known, MIGRATIONS)
    assert finding.state is state
    assert words in finding.says
    assert (finding.remedy is None) == (state is State.OK)


@pytest.mark.parametrize(
    ("role", "migrated", "state"),
    [
        (Role("me", is_super=False, owns=True, creates=True), True, State.OK),
        (Role("me", is_super=True, owns=False, creates=True), True, State.OK),
        (Role("me", is_super=False, owns=False, creates=True, services=("sink",)), True, State.OK),
        (Role("me", is_super=False, owns=False, creates=True), True, State.WRONG),
        (Role("me", is_super=False, owns=False, creates=True), False, State.OK),
        (Role("me", is_super=False, owns=False, creates=False), False, State.WARNING),
    ],
)
def test_a_role_owns_serves_or_may_nothing(role, migrated, state):
    assert judged_role(role, migrated=migrated).state is state


def test_an_old_server_and_another_encoding_are_wrong():
    assert judged_server("h:1/db", "14.9", 14).state is State.WRONG
    assert judged_server("h:1/db", "15.1", 15).state is State.OK
    assert judged_encoding("SQL_ASCII").state is State.WRONG
    assert judged_encoding("UTF8").state is State.OK


def test_clocks_apart_are_a_warning_that_says_both():
    near = judged_clock(here=NOON, there=NOON + timedelta(seconds=2))
    far = judged_clock(here=NOON, there=NOON - timedelta(seconds=3))
    assert near.state is State.OK
    assert far.state is State.WARNING
    assert "here 2026-11-30 12:00:00Z, database 2026-11-30 11:59:57Z: 3 s apart" in far.says


def test_services_are_known_by_any_of_their_connections():
    everyone = {next(iter(parts)) for parts in SERVICES.values()}
    assert judged_services(everyone).state is State.OK
    without_page = judged_services(everyone - SERVICES["web"])
    assert (without_page.state, "web" in without_page.says) == (State.OK, False)
    some = judged_services({"scheduler", "jobs"})
    assert some.state is State.WARNING
    assert some.says == "connected: producers; not connected: worker, sink, reporter"
    assert "riskflow worker, riskflow sink, riskflow reporter" in some.remedy
    assert judged_services({"jobs"}).says == "none is connected"


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, State.OK),
        ({"missing": ("risk.reports.v1",)}, State.WRONG),
        ({"faults": ("risk.reports.v1 is compacted",)}, State.WRONG),
        ({"remarks": ("risk.reports.v1 keeps messages for less",)}, State.WARNING),
    ],
)
def test_topics_are_there_missing_faulty_or_other(changes, state):
    found = Standing(**{"missing": (), "faults": (), "remarks": (), "copies": 1, "behind": 0} | changes)
    (finding,) = judged_topics(found)
    assert finding.state is state
    assert not changes or next(iter(changes.values()))[0] in finding.says


@pytest.mark.parametrize(
    ("copies", "behind", "state"),
    [(3, 0, State.OK), (2, 0, State.WARNING), (3, 1, State.WARNING), (0, 0, State.NOT_CHECKED)],
)
def test_copies_of_partitions_are_told_from_those_wanted(copies, behind, state):
    found = Standing(missing=(), faults=(), remarks=(), copies=copies, behind=behind)
    assert [each.state for each in judged_replication(found, 3)] == [state]


def test_dead_letters_are_counted_by_topic():
    assert judged_letters(Counter()).state is State.OK
    finding = judged_letters(Counter({"b": 2, "a": 1}))
    assert (finding.state, finding.says) == (State.WARNING, "3 wait: 1 of a, 2 of b")


def test_python_and_libraries_are_held_to_what_the_package_needs():
    assert judged_python("3.11.7", ">=3.11").state is State.OK
    assert judged_python("3.10.2", ">=3.11").state is State.WRONG
    unmet = [Requirement("pytest>=9999"), Requirement("no-such-library-of-ours>=1"), Requirement("numpy>=1")]
    finding = judged_libraries(unmet)
    assert finding.state is State.WRONG
    assert "needed is >=9999" in finding.says
    assert "no-such-library-of-ours is missing" in finding.says
    assert "numpy" not in finding.says


def test_this_installation_is_well():
    assert {each.state for each in look_at_installation()} == {State.OK}


@pytest.mark.parametrize(
    ("free", "state"), [(2 << 30, State.OK), (500 << 20, State.WARNING), (1 << 20, State.WRONG)]
)
def test_a_disk_is_well_low_or_full(monkeypatch, tmp_path, free, state):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: Usage(free))
    assert machine.judged_disk("disk", tmp_path).state is state


def test_memory_and_processors_are_held_to_the_workers():
    assert machine.judged_memory(2 << 30, 2).state is State.OK
    assert machine.judged_memory(1 << 30, 2).state is State.WARNING
    assert machine.judged_processors(2, 2).state is State.OK
    assert machine.judged_processors(2, 3).remedy.startswith("set PARALLEL_WORKERS=2")


def test_the_nearest_folder_of_a_path_that_is_not_there_is_found(tmp_path):
    assert machine.nearest(tmp_path / "a" / "b") == tmp_path


def test_a_reports_folder_that_is_a_file_is_wrong(tmp_path):
    (tmp_path / "taken").write_text("")
    (finding,) = machine.look_at_reports_dir(settings(reports_dir=tmp_path / "taken" / "reports"))
    assert finding.state is State.WRONG
    (finding,) = machine.look_at_reports_dir(settings(reports_dir=tmp_path / "new"))
    assert (finding.state, finding.says) == (State.OK, f"{tmp_path / 'new'} can be made")


def test_a_health_port_is_free_or_taken_by_another_program():
    (unset,) = ports.look_at_health_port(settings())
    assert unset.state is State.NOT_CHECKED
    (free,) = ports.look_at_health_port(settings(health_port=free_port()))
    assert free.state is State.OK
    with socket.create_server(("127.0.0.1", 0)) as other:
        stop = threading.Thread(target=_hang_up, args=(other,))
        stop.start()
        (taken,) = ports.look_at_health_port(settings(health_port=other.getsockname()[1]))
        stop.join()
    assert taken.state is State.WRONG
    assert "is taken" in taken.says


def test_a_web_port_is_free_or_taken_by_another_program():
    (free,) = ports.look_at_web_port(settings(web_port=free_port()))
    assert free.state is State.OK
    with socket.create_server(("127.0.0.1", 0)) as other:
        stop = threading.Thread(target=_hang_up, args=(other,))
        stop.start()
        (taken,) = ports.look_at_web_port(settings(web_port=other.getsockname()[1]))
        stop.join()
    assert taken.state is State.WARNING
    assert "taken by another program" in taken.says


def test_who_the_page_lets_in_is_told_and_a_broken_access_file_is_wrong(tmp_path):
    assert look_at_access(settings())[0].state is State.OK
    assert look_at_access(settings(web_token="t" * 16))[0].says == "WEB_TOKEN; without a token nobody else"
    file = tmp_path / "access.yaml"
    file.write_text("access:\n  - {name: visitor, role: viewer}\n")
    assert look_at_access(settings(web_access_file=file))[0].says.endswith("every visitor as viewer")
    file.write_text("access:\n  - {name: clerk, role: king}\n")
    (broken,) = look_at_access(settings(web_access_file=file))
    assert broken.state is State.WRONG
    assert "access.yaml line 2" in broken.says


def _hang_up(server: socket.socket) -> None:
    server.accept()[0].close()


def test_a_slip_in_the_file_of_settings_is_named():
    finding = judged_sources(Path("/x/.env"), {"DATABSE_HOST": "h", "SLACK_HOOK": "u"}, {"BATCH_SIZE": "9"})
    assert finding.state is State.WARNING
    assert "DATABSE_HOST (is DATABASE_HOST meant?)" in finding.says
    assert "SLACK_HOOK" not in finding.says
    assert finding.says.startswith("1 of the environment, 0 of /x/.env")


def test_a_broken_tenants_file_is_wrong_with_its_line(tmp_path):
    file = tmp_path / "tenants.yaml"
    file.write_text("tenants:\n  - org_id: a\n    nam: A\n")
    (finding,) = look_at_tenants(settings(tenants_file=file))
    assert finding.state is State.WRONG
    assert "tenants.yaml line 3" in finding.says
    assert "\n" not in finding.says


def test_tenants_webhooks_and_their_lack_are_told(tmp_path, monkeypatch):
    file = tmp_path / "tenants.yaml"
    file.write_text(
        "tenants:\n  - org_id: a\n    name: A\n    timezone: Asia/Seoul\n    language: ko\n"
        "    slack_webhook_env: A_WEBHOOK\n"
    )
    found = look_at_tenants(settings(tenants_file=file))
    assert [each.state for each in found] == [State.OK, State.NOT_CHECKED]
    monkeypatch.setenv("A_WEBHOOK", "https://hooks.example.org/a")
    assert [each.state for each in look_at_tenants(settings(tenants_file=file))] == [State.OK, State.OK]


def test_thresholds_without_tenants_and_a_schedule_without_tenants_are_told(tmp_path):
    (finding,) = look_at_tenants(settings(thresholds_file=tmp_path / "t.yaml"))
    assert finding.state is State.WARNING
    (finding,) = look_at_tenants(settings(weekly_schedule_enabled=False))
    assert finding.state is State.OK


def test_a_broken_risks_file_and_missing_templates_are_wrong(tmp_path):
    (tmp_path / "risks.toml").write_text("[no_such_risk]\n")
    (finding,) = look_at_risks(settings(risks_file=tmp_path / "risks.toml"))
    assert finding.state is State.WRONG
    (finding,) = look_at_templates(settings(report_templates=tmp_path / "none"))
    assert finding.state is State.WRONG


async def test_a_check_that_hangs_is_left_behind(monkeypatch):
    monkeypatch.setattr(bounding, "LIMIT", 0.05)
    release = threading.Event()
    hanging = bounding.in_thread(lambda: [ok("slow", str(release.wait(30)))])
    (finding,) = await bounding.bounded("slow", hanging)
    release.set()
    assert (finding.state, finding.says) == (State.NOT_CHECKED, "took longer than 0.05 s")


async def test_a_check_that_cannot_look_says_so():
    async def fails() -> list[Finding]:
        raise PermissionError(13, "Permission denied", "/x")

    (finding,) = await bounding.bounded("disk", fails())
    assert finding.state is State.NOT_CHECKED
    assert "/x" in finding.says


def test_with_nothing_running_the_doctor_says_how_to_start_and_ends_well():
    found = CliRunner().invoke(app, ["doctor", "--json"])
    assert found.exit_code == 0, found.output
    said = orjson.loads(found.output)
    states = {each["check"]: each["state"] for each in said["findings"]}
    assert said["well"]
    assert states["riskflow up"] == "not checked"
    assert states["python"] == "ok"
    remedies = {each["check"]: each["remedy"] for each in said["findings"]}
    assert "riskflow up" in remedies["riskflow up"]


def test_servers_that_are_named_and_away_are_wrong(monkeypatch):
    port = free_port()
    monkeypatch.setenv("DATABASE_URL", f"postgresql://me:hidden@127.0.0.1:{port}/db")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "no-such-host.invalid:9092")
    found = CliRunner().invoke(app, ["doctor", "--json"])
    assert found.exit_code == 1
    said = {each["check"]: each for each in orjson.loads(found.output)["findings"]}
    assert said["database"]["state"] == said["broker"]["state"] == "wrong"
    assert "no-such-host.invalid cannot be resolved" in said["broker"]["says"]
    assert said["migrations"]["state"] == said["topics"]["state"] == "not checked"
    assert "hidden" not in found.output


def test_wrong_settings_are_one_line_and_the_rest_is_still_looked_at(monkeypatch):
    monkeypatch.setenv("BATCH_SIZE", "none")
    found = CliRunner().invoke(app, ["doctor"])
    assert found.exit_code == 1
    assert "BATCH_SIZE" in found.output
    assert "python" in found.output
    assert "Traceback" not in found.output


def test_the_version_is_the_packages():
    found = CliRunner().invoke(app, ["--version"])
    assert (found.exit_code, found.output.split()[0]) == (0, "riskflow")


def test_the_migrations_of_this_version_are_judged_by_their_own_digests():
    ours = migrations()
    assert judged_migrations({each.number: each.digest for each in ours}, ours).state is State.OK
