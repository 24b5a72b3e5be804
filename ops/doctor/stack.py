"""Whether `riskflow up` runs on this machine, and what the commands of a person speak to."""

from __future__ import annotations

from ops.doctor.finding import Finding, not_checked, ok
from ops.stack.registry import running_stack

START = "riskflow up --data-dir data, or riskflow demo; or set DATABASE_* and KAFKA_* to servers of your own"


def look_at_stack() -> list[Finding]:
    """The `riskflow up` that this user has started last."""
    stack = running_stack()
    if stack is None:
        return [not_checked("riskflow up", "does not run on this machine", START)]
    return [ok("riskflow up", f"runs on {stack.data_dir} as process {stack.supervisor.pid}")]
