"""How log lines look: one form for our own and the libraries' loggers, on standard error."""

from __future__ import annotations

import logging
import sys

import structlog

from schemas.settings import Settings

HUMAN_TIME = "%Y-%m-%d %H:%M:%SZ"

NOISY = {
    "aiokafka": logging.ERROR,
    "faust": logging.WARNING,
    "mode": logging.WARNING,
    "asyncio": logging.WARNING,
    "asyncpg": logging.ERROR,
    "mail.log": logging.ERROR,
    "numba": logging.WARNING,
}
"""Least levels of libraries whose lower levels retell what our own lines say."""

OUTAGE_SECONDS = 30.0
"""Silence after which the next error belongs to another outage [s] (expert assumption)."""

CLIENT = "aiokafka"

NOISE = ("Topic creation disabled!",)
"""Beginnings of lines that say what the app's own settings ask for."""

LIFE_OF_PARTS = "[^"
"""Beginning of Faust's lines on the start and stop of its own parts; the worker says when it is ready."""


def configure(settings: Settings, service: str) -> None:
    """Send structlog and standard logging through one formatter.

    Args:
        settings: Gives level and form (human or JSON).
        service: Name that every line carries.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(
            fmt="iso" if settings.log_format == "json" else HUMAN_TIME, utc=True
        ),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(settings.log_level)),
        cache_logger_on_first_use=False,
    )
    if settings.log_format == "json":
        # On a terminal the supervisor puts the name before each line.
        structlog.contextvars.bind_contextvars(service=service)
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(OneLineAnOutage())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(settings)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    for name, level in NOISY.items():
        logging.getLogger(name).setLevel(max(level, logging.getLevelName(settings.log_level)))


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


def _rendering(settings: Settings) -> list[structlog.typing.Processor]:
    if settings.log_format == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    # The default traceback shows local variables, and a connection string may be one of them.
    plain = structlog.dev.plain_traceback
    lines = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), pad_event_to=0, pad_level=False, exception_formatter=plain
    )
    return [lines]
