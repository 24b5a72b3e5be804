"""Log lines of the Kafka client while a broker is away: one for an outage, not hundreds a second."""

from __future__ import annotations

import logging

OUTAGE_SECONDS = 30.0
"""Silence after which the next error belongs to another outage [s] (expert assumption)."""

CLIENT = "aiokafka"

NOISE = ("Topic creation disabled!",)
"""Beginnings of lines that say what the app's own settings ask for."""

LIFE_OF_PARTS = "[^"
"""Beginning of Faust's lines on the start and stop of its own parts; the worker says when it is ready."""


class OneLineAnOutage(logging.Filter):
    """Passes the first error of the Kafka client and then none until it was silent for OUTAGE_SECONDS."""

    def __init__(self) -> None:
        super().__init__()
        self._last = -OUTAGE_SECONDS

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        text = str(record.msg)
        if text.startswith(NOISE) or (text.startswith(LIFE_OF_PARTS) and record.levelno <= logging.INFO):
            return False
        if record.name.partition(".")[0] != CLIENT or record.levelno < logging.WARNING:
            return True
        before, self._last = self._last, record.created
        if record.created - before < OUTAGE_SECONDS:
            return False
        record.msg, record.args = f"the broker does not answer: {record.getMessage()}", ()
        return True


def quieten() -> None:
    """Put the filter on every handler of the root logger."""
    outage = OneLineAnOutage()
    for handler in logging.getLogger().handlers:
        handler.addFilter(outage)
