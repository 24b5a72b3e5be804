"""What a check has come to: one line, and where it is not well, what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from schemas.version import riskflow_version


class State(StrEnum):
    """How it is with what a check looks at."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor; `remedy` is a command or a sentence, None where nothing is to be done."""

    check: str
    state: State
    says: str
    remedy: str | None = None


def ok(check: str, says: str) -> Finding:
    """It is well."""
    return Finding(check, State.OK, says)


def warning(check: str, says: str, remedy: str) -> Finding:
    """It works, and may not for long or not as meant."""
    return Finding(check, State.WARNING, says, remedy)


def wrong(check: str, says: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(check, State.WRONG, says, remedy)


def not_checked(check: str, why: str, remedy: str | None = None) -> Finding:
    """Nothing is known of it."""
    return Finding(check, State.NOT_CHECKED, why, remedy)


def unreachable(
    check: str, said: str, remedy: str, *, named: str | None, others: Sequence[str]
) -> list[Finding]:
    """What is known where a server cannot be asked.

    Args:
        check: The server's own.
        said: What kept it from being asked.
        remedy: What to do.
        named: None where the settings name this server, so that it is wrong; else the place that was tried.
        others: Checks that need the server.
    """
    first = (
        wrong(check, said, remedy)
        if named is None
        else not_checked(check, f"none is named and none answers at {named}", remedy)
    )
    return [first, *(not_checked(other, f"the {check} cannot be asked") for other in others)]


def document(findings: Sequence[Finding]) -> dict[str, Any]:
    """The object of `riskflow doctor --json`."""
    return {
        "version": riskflow_version(),
        "well": is_well(findings),
        "findings": [asdict(finding) for finding in findings],
    }


def is_well(findings: Sequence[Finding]) -> bool:
    """Whether nothing is wrong."""
    return all(finding.state is not State.WRONG for finding in findings)
