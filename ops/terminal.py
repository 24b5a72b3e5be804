"""What every command of a person has: settings, log lines, and the consoles it prints on."""

from __future__ import annotations

import logging
import os
import sys

from rich.console import Console

from schemas.settings import Settings

PIPE_WIDTH = 140
"""Columns of a table that does not go to a terminal, unless COLUMNS says otherwise."""


def console(*, stderr: bool = False) -> Console:
    """A console on standard output or standard error."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH)


def client() -> Settings:
    """Settings of a command that a person types.

    Raises:
        InvalidSettings: A variable is not allowed.
    """
    from ops.context import client_settings  # noqa: PLC0415 - so that `riskflow --help` stays light
    from ops.logs import configure  # noqa: PLC0415 - as above

    settings = client_settings()
    configure(settings, "command line")
    # The error that ends the command says once what the Kafka client says at every try.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    return settings
