"""The wheel: what is in it, and that it runs from an empty folder of a machine without a clone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from email import message_from_bytes
from pathlib import Path

import orjson
import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
SDIST_ONLY = (
    "tests",
    "docs",
    "benchmarks",
    "deploy",
    "constraints.txt",
    "Makefile",
    "pyproject.toml",
    "LICENSE",
)
CACHES = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
# Where Python finds modules and riskflow its settings: none of it may come from whoever runs the tests.
INHERITED = ("PATH", "LANG", "LC_ALL", "TMPDIR", "TZ")


def sources() -> set[str]:
    """Every file of the packages, by its path in the clone."""
    return {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and not CACHES & set(path.parts)
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """Folder with the wheel and the source distribution, built by the backend that pyproject.toml names."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def wheel(built) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def machine(wheel, server_home) -> tuple[Path, Path]:
    """Programs of a new environment with the wheel in it, and an empty folder.

    The libraries are those of the environment of the tests, which pip has installed by the same constraints;
    its own riskflow is an editable one, whose hook no path file of another environment runs.
    """
    home = server_home / "wheel"
    venv.create(home, with_pip=False, symlinks=True)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            home,
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            wheel,
        ],
        check=True,
    )
    (own,) = (home / "lib").glob("python*/site-packages")
    (own / "libraries.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    empty = server_home / "newcomer"
    empty.mkdir()
    return home / "bin", empty


def run(machine, program: str, *arguments: str, limit: float = 120) -> subprocess.CompletedProcess[str]:
    programs, folder = machine
    env = {name: os.environ[name] for name in INHERITED if name in os.environ}
    env |= {"HOME": str(folder.parent / "home"), "COLUMNS": "100", "PARALLEL_WORKERS": "1"}
    return subprocess.run(
        [programs / program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=env,
        timeout=limit,
    )


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    about = {name for name in names if name.split("/")[0].endswith(".dist-info")}
    assert names - about == sources()
    kinds = {Path(name).suffix for name in names - about}
    assert kinds >= {".py", ".sql", ".toml", ".j2", ".css", ".js", ".csv", ".svg", ".yaml"}
    assert {name.split("/", 1)[1] for name in about} == {
        "METADATA",
        "WHEEL",
        "RECORD",
        "entry_points.txt",
        "licenses/LICENSE",
    }


def test_the_wheel_says_what_it_is_and_what_it_needs(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        about = message_from_bytes(archive.read(name))
    project = PROJECT["project"]
    assert (about["Name"], about["Version"]) == ("riskflow", project["version"])
    assert about["Requires-Python"] == project["requires-python"]
    assert set(about.get_all("Provides-Extra")) == set(project["optional-dependencies"])
    needed = [line for line in about.get_all("Requires-Dist") if "extra ==" not in line]
    assert len(needed) == len(project["dependencies"])


def test_the_source_distribution_holds_what_builds_tests_and_deploys_it(built):
    (packed,) = built.glob("*.tar.gz")
    with tarfile.open(packed) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= sources()
    assert all(any(name == part or name.startswith(f"{part}/") for name in names) for part in SDIST_ONLY)
    allowed = {
        *PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["only-include"],
        "PKG-INFO",
        ".gitignore",
    }
    assert {
        name for name in names if not any(name == part or name.startswith(f"{part}/") for part in allowed)
    } == set()
    assert not any(CACHES & set(Path(name).parts) for name in names)


def test_what_runs_is_the_wheel_and_not_the_clone(machine):
    places = "import consumers, ops, producers, schemas, streams; "
    places += "print(*(m.__file__ for m in (consumers, ops, producers, schemas, streams)))"
    found = run(machine, "python", "-c", places)
    assert found.returncode == 0, found.stderr
    assert len(found.stdout.split()) == len(PACKAGES)
    assert all(place.startswith(str(machine[0].parent)) for place in found.stdout.split())


def test_pip_finds_nothing_missing_or_too_old(machine):
    found = subprocess.run(
        [sys.executable, "-m", "pip", "--python", machine[0].parent, "check"],
        capture_output=True,
        text=True,
        check=False,
        cwd=machine[1],
    )
    assert "riskflow" not in found.stdout, found.stdout


def test_the_installed_program_says_its_version(machine):
    found = run(machine, "riskflow", "--version")
    assert (found.returncode, found.stdout) == (0, f"riskflow {PROJECT['project']['version']}\n")


def test_the_installed_doctor_finds_nothing_wrong_in_an_empty_folder(machine):
    found = run(machine, "riskflow", "doctor", "--json")
    assert found.returncode == 0, found.stdout + found.stderr
    said = orjson.loads(found.stdout)
    assert said["version"] == PROJECT["project"]["version"]
    states = {each["check"]: each["state"] for each in said["findings"]}
    assert {states[check] for check in ("python", "riskflow", "libraries")} == {"ok"}
    assert list(machine[1].iterdir()) == []


def test_the_installed_demo_runs_from_an_empty_folder(machine):
    found = run(machine, "riskflow", "demo", "--drawn", limit=400)
    assert (found.returncode, found.stderr) == (0, ""), found.stdout + found.stderr
    assert "THE WEATHER IS DRAWN" in found.stdout
    assert len(re.findall(r" sent +(?:sent|-) *$", found.stdout, re.MULTILINE)) == 3
    folders = sorted(machine[1].glob("riskflow-demo-reports/*-*-*"))
    assert [len(list(folder.glob("*_report.html"))) for folder in folders] == [3] * 8
