"""The findings for a person: a line each, what to do below it, and the sum."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console

from ops.doctor.finding import Finding, State

STYLES = {State.OK: "green", State.WARNING: "yellow", State.WRONG: "bold red", State.NOT_CHECKED: "dim"}
STATE_WIDTH = max(len(state) for state in State)


def print_findings(out: Console, findings: Sequence[Finding]) -> None:
    """Print all; the order is that of the checks."""
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        out.print(f"{finding.state:<{STATE_WIDTH}}", style=STYLES[finding.state], end="  ", highlight=False)
        _say(out, f"{finding.check:<{width}}  {finding.says}")
        if finding.remedy is not None:
            _say(out, f"{'':<{STATE_WIDTH + width + 2}}  do: {finding.remedy}")
    counts = Counter(finding.state for finding in findings)
    _say(out, ", ".join(f"{counts[state]} {state}" for state in State))


def _say(out: Console, line: str) -> None:
    out.print(line, highlight=False, markup=False, soft_wrap=True)
