"""How log lines look: one form for our own and the libraries' loggers, on standard error."""

from __future__ import annotations

import logging
import sys
import threading
from types import TracebackType

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

TRACE_DIGITS = 8
"""Digits of a trace that a line for people shows."""

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
        *_of_service(settings, service),
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
    logging.captureWarnings(capture=True)
    sys.excepthook = _tell_uncaught
    threading.excepthook = _tell_uncaught_in_thread
    for name, level in NOISY.items():
        logging.getLogger(name).setLevel(max(level, logging.getLevelName(settings.log_level)))


def _of_service(settings: Settings, service: str) -> list[structlog.typing.Processor]:
    """Name the service in every line, also those of other threads; for a person the supervisor does so."""
    if settings.log_format == "human":
        return []

    def add(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event.setdefault("service", service)
        return event

    return [add]


def _tell_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    structlog.get_logger(__name__).critical("uncaught exception", exc_info=(kind, error, trace))


def _tell_uncaught_in_thread(told: threading.ExceptHookArgs) -> None:
    if told.exc_value is not None and not isinstance(told.exc_value, SystemExit):
        fault = (told.exc_type, told.exc_value, told.exc_traceback)
        name = told.thread.name if told.thread else None
        structlog.get_logger(__name__).critical("uncaught exception", thread=name, exc_info=fault)


def _shorten(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """For a person the beginning of a trace tells it from others."""
    if "trace_id" in event:
        event["trace"] = ", ".join(each[:TRACE_DIGITS] for each in str(event.pop("trace_id")).split(", "))
    return event


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
    return [_shorten, lines]
