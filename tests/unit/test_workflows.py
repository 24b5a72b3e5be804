"""The workflows and the scripts that they run: they pass their linters, and name what is there."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCRIPTS = (".ci/run", "deploy/release", "deploy/riskflow-service")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PARSED = {path.name: yaml.safe_load(path.read_text()) for path in WORKFLOWS}
JOBS = [(name, title, job) for name, whole in PARSED.items() for title, job in whole["jobs"].items()]
STEPS = [step for _, _, job in JOBS for step in job.get("steps", [])]


def tool(name: str) -> str:
    program = Path(sys.executable).with_name(name)
    assert program.exists(), f"{name} is missing; `make install` brings it"
    return str(program)


def checked(*command: str, **options: object) -> None:
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, **options)
    assert found.returncode == 0, found.stdout + found.stderr


def test_workflows_fit_their_schema():
    assert [path.name for path in WORKFLOWS] == ["cd.yml", "ci.yml"]
    checked(tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS))


def test_workflows_give_away_no_right_that_they_do_not_need():
    checked(tool("zizmor"), "--offline", "--no-progress", ".github")


def test_workflows_pass_actionlint():
    program = shutil.which("actionlint")
    if program is None:
        pytest.skip("no actionlint (go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12)")
    checked(program, "-shellcheck", tool("shellcheck"))


def test_scripts_pass_shellcheck():
    checked(tool("shellcheck"), *SCRIPTS)


def test_a_linter_finds_what_is_wrong(tmp_path):
    bad = tmp_path / "bad.sh"
    bad.write_text("#!/bin/sh\necho $1\n")
    with pytest.raises(AssertionError, match="SC2086"):
        checked(tool("shellcheck"), str(bad))


def test_every_python_of_the_tests_is_allowed_and_the_oldest_is_among_them():
    versions = PARSED["ci.yml"]["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert PROJECT["project"]["requires-python"] == f">={versions[0]}"
    assert versions == sorted(versions, key=lambda each: int(each.split(".")[1]))
    image = re.search(r"^ARG PYTHON=(3\.\d+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert image is not None
    assert image[1] in versions


def test_every_job_ends_and_may_only_read_unless_it_says_why():
    bounded = {title: job.get("timeout-minutes") for _, title, job in JOBS if "uses" not in job}
    assert all(bounded.values()), bounded
    assert PARSED["ci.yml"]["permissions"] == {"contents": "read"}
    assert PARSED["cd.yml"]["permissions"] == {}
    writing = {title for _, title, job in JOBS if "write" in job.get("permissions", {}).values()}
    assert writing == {"image"}


def test_only_actions_of_github_itself_are_used_and_no_checkout_keeps_its_token():
    used = {step["uses"] for step in STEPS if "uses" in step}
    assert {each.split("/")[0] for each in used} == {"actions"}
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", each) for each in used)
    checkouts = [step for step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) >= 4
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_nothing_is_published_before_the_checks_of_its_commit_have_passed():
    jobs = PARSED["cd.yml"]["jobs"]
    assert jobs["ci"]["uses"] == "./.github/workflows/ci.yml"
    assert (jobs["image"]["needs"], jobs["deploy"]["needs"]) == ("ci", "image")
    assert jobs["deploy"]["environment"] == "production"
    assert "workflow_call" in PARSED["ci.yml"][True]  # YAML 1.1 reads `on` as true


def test_make_targets_of_the_workflows_are_there():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = {word for step in STEPS for word in re.findall(r"\bmake ([a-z]+)", step.get("run", ""))}
    assert called >= {"lint", "peers"}
    assert called <= targets | {"docs"}


def test_the_linter_is_of_one_version():
    places = [ROOT / ".ci" / "run", ROOT / ".github" / "workflows" / "ci.yml", Path(__file__)]
    named = {
        version for path in places for version in re.findall(r"actionlint@(v[\d.]+\d)", path.read_text())
    }
    assert len(named) == 1


def test_the_secrets_of_the_deployment_are_those_that_its_page_names():
    text = (ROOT / ".github" / "workflows" / "cd.yml").read_text()
    named = set(re.findall(r"secrets\.(DEPLOY_\w+)", text))
    page = (ROOT / "docs" / "deployment.md").read_text()
    assert named == set(re.findall(r"`(DEPLOY_\w+)`", page))
