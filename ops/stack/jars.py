"""The jars of Apache Kafka: fetched once by Maven into the user's cache, then used from there."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import platformdirs
import structlog

from ops.stack.child import Child, Command
from ops.stack.postmaster import discard
from schemas.errors import RiskflowError, Unavailable

log = structlog.get_logger(__name__)

KAFKA = "4.3.1"
LOG4J = "2.24.3"  # what Kafka 4.3 is built with; its own log needs both
JAVA_AT_LEAST = 17  # of Kafka 4's broker (Kafka's documentation, "Compatibility")
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
DEPENDENCIES = (
    ("org.apache.kafka", "kafka_2.13", KAFKA),
    ("org.apache.logging.log4j", "log4j-core", LOG4J),
    ("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J),
)
REMEDY = "Debian has both: openjdk-17-jre-headless and maven"
FETCH_SECONDS = 600.0  # for 43 MB over a slow line (expert assumption)
VERSION_SECONDS = 30.0  # for `java -version` on a busy machine (expert assumption)
LOCK_SECONDS = 0.2  # between two looks at another's fetch (expert assumption)


def why_missing() -> str | None:
    """Why Apache Kafka cannot be had here; None when Java is there, and the jars or Maven to fetch them."""
    fault = java_fault()
    if fault is None and not jars_folder().is_dir() and shutil.which("mvn") is None:
        fault = "no Maven on the PATH and no jars in the cache"
    return fault


def java_fault() -> str | None:
    """What is wrong with the PATH's Java; None when Apache Kafka runs on it."""
    program = shutil.which("java")
    if program is None:
        return f"no Java {JAVA_AT_LEAST} or later on the PATH"
    try:
        answer = subprocess.run(  # noqa: S603 - the program is the PATH's Java
            (program, "-version"), capture_output=True, text=True, timeout=VERSION_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{program} cannot be run: {error}"
    found = re.search(r'version "(?:1\.)?(\d+)', answer.stderr)
    if found is None:
        return f"{program} does not say its version"
    if int(found[1]) < JAVA_AT_LEAST:
        return f"{program} is Java {found[1]}; Apache Kafka needs Java {JAVA_AT_LEAST} or later"
    return None


def jars_folder() -> Path:
    """Where the jars of this version lie once they are fetched."""
    return platformdirs.user_cache_path("riskflow") / f"kafka-{KAFKA}"


async def kafka_jars() -> Path:
    """The folder with the jars, fetched now if they are not there; safe when several fetch at once.

    Raises:
        RiskflowError: Java or Maven is missing, or the cache cannot be written.
        Unavailable: Maven could not fetch them.
    """
    fault = await asyncio.to_thread(why_missing)
    if fault is not None:
        raise RiskflowError(f"Apache Kafka cannot be started: {fault} ({REMEDY})")
    folder = jars_folder()
    if not folder.is_dir():
        try:
            await _fetch_once(folder)
        except OSError as error:
            raise RiskflowError(
                f"the cache {folder.parent} cannot take Apache Kafka's jars: {error.strerror}"
            ) from error
    return folder


async def _fetch_once(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    async with _alone(folder.with_name(f"{folder.name}.lock")):
        if folder.is_dir():  # noqa: ASYNC240 - one look at a local folder
            return
        scratch = folder.with_name(f"{folder.name}.partial")
        # Only a fetch that was killed leaves one: the lock is ours.
        discard(scratch)
        scratch.mkdir()
        try:
            await _fetch(scratch)
            (scratch / "lib").rename(folder)
        finally:
            discard(scratch)


@asynccontextmanager
async def _alone(file: Path) -> AsyncIterator[None]:
    """Hold the file's lock; the system lets go of it when the process ends, however it ends."""
    with file.open("a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(LOCK_SECONDS)
            else:
                break
        yield


async def _fetch(folder: Path) -> None:
    """Have Maven put the jars into `folder/lib`, each checked against its checksum."""
    log.info("fetching Apache Kafka with Maven, once", version=KAFKA, megabytes=43)
    (folder / "pom.xml").write_text(pom())
    argv = ("mvn", "-q", "-B", "-C", "-f", "pom.xml", COPY, "-DoutputDirectory=lib")
    # A user's Maven may be set up by any variable, so it gets them all.
    command = Command("maven", argv, folder / "maven.log", os.environ, cwd=folder)
    child = await Child.spawn(command)
    try:
        code = await asyncio.wait_for(child.wait(), FETCH_SECONDS)
    except TimeoutError:
        raise Unavailable(f"Maven did not fetch Apache Kafka {KAFKA} within {FETCH_SECONDS:g} s") from None
    finally:
        await child.clear()
    if code != 0:
        raise Unavailable(f"Maven could not fetch Apache Kafka {KAFKA}: {complaint(child)}")


def complaint(child: Child) -> str:
    """What Maven says is wrong, in one line; how it ended where it says nothing."""
    lines = child.command.log.read_text(errors="replace").splitlines()
    faults = [line.removeprefix("[ERROR]").strip() for line in lines if line.startswith("[ERROR]")]
    if faults:
        return faults[0].removesuffix("-> [Help 1]").strip()
    return f"it ended with code {child.exit_code}: {child.last_lines()}"


def pom() -> str:
    """The project that Maven is given: nothing but the dependencies."""
    wanted = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId>"
        f"<version>{version}</version></dependency>"
        for group, name, version in DEPENDENCIES
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>riskflow</groupId><artifactId>kafka-jars</artifactId><version>1</version>"
        f"<packaging>pom</packaging><dependencies>{wanted}</dependencies></project>\n"
    )
