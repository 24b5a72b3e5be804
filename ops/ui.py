"""`riskflow ui`: the terminal Kafka UI kaskade on the broker of the settings."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from schemas.errors import RiskflowError
from schemas.settings import Settings


def open_ui(settings: Settings, topic: str | None = None) -> None:
    """Turn into kaskade; comes back only as an error.

    Args:
        settings: Names the broker.
        topic: Show its messages; without it, all topics.

    Raises:
        RiskflowError: kaskade is not installed.
    """
    beside = Path(sys.executable).with_name("kaskade")
    program = str(beside) if beside.exists() else shutil.which("kaskade")
    if program is None:
        raise RiskflowError("the Kafka UI is not installed; install it with: pip install 'riskflow[ui]'")
    mode = (
        ["admin"] if topic is None else ["consumer", "-t", topic, "--earliest", "-k", "string", "-v", "json"]
    )
    os.execv(program, [program, *mode, "-b", settings.kafka_bootstrap_servers])  # noqa: S606 - a program found above
