"""The version is said in pyproject.toml; whatever repeats it says the same."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def found(file: str, pattern: str) -> str:
    match = re.search(pattern, (ROOT / file).read_text(), re.MULTILINE)
    assert match is not None, f"{file} does not say the version"
    return match[1]


def test_image_compose_file_and_sample_say_the_version():
    assert found("Dockerfile", r"^ARG VERSION=(.+)$") == VERSION
    assert found("docker-compose.yml", r"image: \$\{RISKFLOW_IMAGE:-riskflow:(.+)\}$") == VERSION
    assert found("deploy/env.example", r"^RISKFLOW_IMAGE=riskflow:(.+)$") == VERSION


def test_the_changelog_begins_with_the_version_and_is_in_order():
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    told = [re.fullmatch(r"(\d+\.\d+\.\d+) - (unreleased|\d{4}-\d\d-\d\d)", each) for each in headings]
    assert all(told), headings
    assert told[0][1] == VERSION
    assert "unreleased" not in {each[2] for each in told[1:]}
    versions = [tuple(map(int, each[1].split("."))) for each in told]
    assert versions == sorted(versions, reverse=True)
