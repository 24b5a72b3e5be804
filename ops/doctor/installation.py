"""Python, riskflow and the libraries that it needs."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from ops.doctor.finding import Finding, not_checked, ok, wrong
from ops.stack.jars import why_missing
from schemas.version import riskflow_version

NOT_INSTALLED = "riskflow runs from a folder and is not installed"
INSTALL = "make install, or: pip install 'riskflow[demo]'"
KEY = ("aiokafka", "asyncpg", "faust-streaming", "numba", "numpy", "pydantic", "scipy")
"""Libraries whose versions are shown where all is well."""
EXTRAS = {"demo": "mail of `riskflow demo`", "netcdf": "`riskflow load netcdf`", "ui": "`riskflow ui`"}


def look_at_installation() -> list[Finding]:
    """Python, riskflow, its libraries and its extras."""
    try:
        wanted = [Requirement(line) for line in requires("riskflow") or ()]
        python = metadata("riskflow")["Requires-Python"]
    except PackageNotFoundError:
        return [not_checked(check, NOT_INSTALLED, INSTALL) for check in ("python", "riskflow", "libraries")]
    return [
        judged_python(platform.python_version(), python),
        ok("riskflow", riskflow_version()),
        judged_libraries(each for each in wanted if applies(each, "")),
        judged_extras({extra: [each for each in wanted if only_of(each, extra)] for extra in EXTRAS}),
    ]


def look_at_java() -> list[Finding]:
    """Whether `riskflow up --broker kafka` could start; nothing else needs it."""
    fault = why_missing()
    said = "Apache Kafka can be started" if fault is None else f"{fault}; only `--broker kafka` needs it"
    return [ok("java", said)]


def judged_python(running: str, wanted: str) -> Finding:
    """The running Python against the versions that the package allows."""
    if SpecifierSet(wanted).contains(running, prereleases=True):
        return ok("python", running)
    return wrong("python", f"{running}, needed is {wanted}", "make install PYTHON=python3.12, or a newer one")


def judged_libraries(wanted: Iterable[Requirement]) -> Finding:
    """The installed libraries against what the package needs."""
    faults = list(misfits(wanted))
    if faults:
        return wrong("libraries", "; ".join(faults), "pip install --upgrade riskflow, or: make install")
    return ok("libraries", ", ".join(f"{name} {installed(name)}" for name in KEY))


def judged_extras(wanted: dict[str, list[Requirement]]) -> Finding:
    """Which extras are there; a missing one is no fault."""
    states = [
        extra if not list(misfits(needed)) else f"no {extra} ({EXTRAS[extra]})"
        for extra, needed in wanted.items()
    ]
    return ok("extras", ", ".join(states))


def misfits(wanted: Iterable[Requirement]) -> Iterator[str]:
    """A few words about each library that is missing or of another version than is needed."""
    for each in wanted:
        found = installed(each.name)
        if found is None:
            yield f"{each.name} is missing"
        elif not each.specifier.contains(found, prereleases=True):
            yield f"{each.name} is {found}, needed is {each.specifier}"


def installed(name: str) -> str | None:
    """Version of an installed library."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def applies(each: Requirement, extra: str) -> bool:
    """Whether the requirement counts on this machine under the extra; "" is none."""
    return each.marker is None or each.marker.evaluate({"extra": extra})


def only_of(each: Requirement, extra: str) -> bool:
    """Whether it is a requirement of this extra and of nothing else."""
    return applies(each, extra) and not applies(each, "")
