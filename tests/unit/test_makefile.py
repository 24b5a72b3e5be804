"""What `make install` says where it cannot go on."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = ("Makefile", "pyproject.toml", "constraints.txt", "demo-data.txt")


@pytest.fixture
def clone(tmp_path):
    """What make reads of a clone."""
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def install(clone: Path, python: str, **env: str) -> str:
    """What make says on standard error; it must fail and leave nothing that passes for an installation."""
    found = subprocess.run(
        ["make", "install", f"PYTHON={python}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=clone,
        env=os.environ | env,
    )
    assert found.returncode != 0
    assert not (clone / ".venv" / "installed").exists()
    return found.stderr


def program(clone: Path, script: str) -> str:
    """A program in place of Python."""
    path = clone / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_without_python_it_says_how_to_name_one(clone):
    assert "install Python 3.11 or later, or name yours: make PYTHON=" in install(clone, "no-such-python")


def test_an_old_python_is_told(clone):
    old = f"""exec {sys.executable} -c 'import sys; sys.version_info = (3, 10); exec(sys.argv[1])' "$2" """
    assert "riskflow needs Python 3.11 or later, this is 3.10" in install(clone, program(clone, old))


def test_a_python_without_venv_is_told(clone):
    lacking = f"""[ "$2" = venv ] && exit 1; exec {sys.executable} "$@" """
    assert "install python3-venv" in install(clone, program(clone, lacking))


def test_without_a_network_it_says_that_pips_words_mislead(clone):
    said = install(clone, sys.executable, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(clone))
    assert "Without a network, or a mirror in PIP_INDEX_URL" in " ".join(said.split())
