"""Which riskflow this is: pyproject.toml says it, the installed package repeats it."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

UNKNOWN = "unknown"
"""Of a checkout that was never installed."""


def riskflow_version() -> str:
    """Version of the installed package, UNKNOWN where it is not installed."""
    try:
        return version("riskflow")
    except PackageNotFoundError:
        return UNKNOWN
