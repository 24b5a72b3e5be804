"""The libraries of the page are as their authors published them, and each file of theirs is accounted for."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import ops

VENDOR = Path(ops.__file__).parent / "web" / "static" / "vendor"
PACKAGES = tomllib.loads((VENDOR / "vendor.toml").read_text("utf-8"))["package"]
LISTED = {
    f"{package.get('folder', package['name'])}/{path}": sha256
    for package in PACKAGES
    for path, sha256 in package["files"].items()
}


def test_files_are_unmodified() -> None:
    found = {path: hashlib.sha256((VENDOR / path).read_bytes()).hexdigest() for path in LISTED}

    assert found == LISTED


def test_every_file_is_listed() -> None:
    lying = {each.relative_to(VENDOR).as_posix() for each in VENDOR.rglob("*") if each.is_file()}

    assert lying - {"vendor.toml"} == set(LISTED)


def test_every_package_says_version_and_licence_and_brings_the_licence() -> None:
    for package in PACKAGES:
        assert package["version"]
        assert package["licence"]
        assert any("LICEN" in path.upper() for path in package["files"]), package["name"]
