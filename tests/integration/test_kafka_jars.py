"""Apache Kafka's jars: fetched once, whole or not at all, and what is said where they cannot be had."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from ops.stack import jars
from schemas.errors import RiskflowError, Unavailable

# What the real programs print and write; `sleep` lets two fetches meet.
JAVA = "echo 'openjdk version \"{version}\" 2025-04-15' >&2"
MAVEN = 'echo fetch >> "$CALLS"; mkdir lib; echo one > lib/one.jar; sleep 0.3; echo two > lib/two.jar'
BROKEN_MAVEN = (
    "mkdir lib; echo half > lib/half.jar\n"
    "echo '[ERROR] Could not resolve dependencies: no route to the registry -> [Help 1]'; exit 1"
)


class Machine:
    """A PATH and a cache of their own."""

    def __init__(self, folder: Path) -> None:
        self.programs, self.cache, self.calls = folder / "bin", folder / "cache", folder / "calls"
        self.programs.mkdir()
        for name in ("sh", "mkdir", "sleep"):
            (self.programs / name).symlink_to(shutil.which(name) or "")

    def install(self, name: str, script: str) -> None:
        file = self.programs / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(machine.programs))
    monkeypatch.setenv("CALLS", str(machine.calls))
    monkeypatch.setattr(jars.platformdirs, "user_cache_path", lambda name: machine.cache / name)
    return machine


async def test_what_is_missing_is_named(machine: Machine) -> None:
    assert jars.why_missing() == "no Java 17 or later on the PATH"
    machine.install("java", "echo 'Unable to locate a Java Runtime.' >&2; exit 1")
    assert jars.why_missing() == f"{machine.programs}/java does not say its version"
    machine.install("java", JAVA.format(version="1.8.0_412"))
    assert (jars.why_missing() or "").endswith("java is Java 8; Apache Kafka needs Java 17 or later")
    machine.install("java", JAVA.format(version="17.0.15"))
    assert jars.why_missing() == "no Maven on the PATH and no jars in the cache"
    with pytest.raises(RiskflowError, match=r"cannot be started: no Maven on the PATH and no jars"):
        await jars.kafka_jars()
    machine.install("mvn", MAVEN)
    assert jars.why_missing() is None


async def test_two_at_once_fetch_once_and_the_next_needs_no_maven(machine: Machine) -> None:
    machine.install("java", JAVA.format(version="21"))
    machine.install("mvn", MAVEN)
    first, second = await asyncio.gather(jars.kafka_jars(), jars.kafka_jars())
    assert first == second
    assert sorted(file.name for file in first.iterdir()) == ["one.jar", "two.jar"]
    (machine.programs / "mvn").unlink()
    assert await jars.kafka_jars() == first
    assert machine.calls.read_text() == "fetch\n"


async def test_a_fetch_that_fails_leaves_nothing_and_says_why(machine: Machine) -> None:
    machine.install("java", JAVA.format(version="17.0.15"))
    machine.install("mvn", BROKEN_MAVEN)
    with pytest.raises(Unavailable, match=r"fetch Apache Kafka .*: Could not resolve .* to the registry$"):
        await jars.kafka_jars()
    assert [file.name for file in (machine.cache / "riskflow").iterdir() if file.is_dir()] == []
    machine.install("mvn", MAVEN)
    assert (await jars.kafka_jars()).is_dir()


async def test_what_a_killed_fetch_left_is_not_taken_for_the_jars(machine: Machine) -> None:
    machine.install("java", JAVA.format(version="17.0.15"))
    machine.install("mvn", MAVEN)
    left = jars.jars_folder().with_name(f"{jars.jars_folder().name}.partial")
    (left / "lib").mkdir(parents=True)
    (left / "lib" / "half.jar").write_text("half")
    folder = await jars.kafka_jars()
    assert sorted(file.name for file in folder.iterdir()) == ["one.jar", "two.jar"]
    assert not left.exists()


async def test_a_cache_that_cannot_be_written_is_named(machine: Machine) -> None:
    machine.install("java", JAVA.format(version="17.0.15"))
    machine.install("mvn", MAVEN)
    machine.cache.write_text("a file in the folder's place")
    with pytest.raises(RiskflowError, match=r"cache .*riskflow cannot take .* jars: Not a directory"):
        await jars.kafka_jars()
