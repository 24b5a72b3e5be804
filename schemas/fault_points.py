"""Faults that a test asks for: places where it may kill, stop or slow a service, or drop a message.

Nothing happens unless the environment names a place in RISKFLOW_FAULT, as `place=action[:subject]`, several
separated by commas:

    climate.compute=sleep 0.5             every chunk takes half a second more
    climate.compute=kill:yearly-2026:7    whoever takes up this chunk dies of it
    sink.before_commit=kill once          one sink dies after its rows, before their commit

A `once` fault strikes when its token lies in the folder RISKFLOW_FAULT_TOKENS, and takes it away: whoever
puts the file `<place>.<action>` there decides when, and how often. It is taken by one process alone.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import structlog

from schemas.errors import InvalidSettings

FAULT_VARIABLE = "RISKFLOW_FAULT"
TOKENS_VARIABLE = "RISKFLOW_FAULT_TOKENS"
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
DROP, SLEEP, ONCE = "drop", "sleep", "once"
FORM = "place=kill, stop, drop or sleep SECONDS, then once if a token is to be waited for, then :subject"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is to happen where; to every subject where none is named."""

    place: str
    action: str
    subject: str = ""
    seconds: float = 0.0
    once: bool = False

    def strikes(self, place: str, subject: str) -> bool:
        """Whether it happens here and now; takes the token of a fault that strikes once."""
        if self.place != place or self.subject not in {"", subject}:
            return False
        return not self.once or _take_token(f"{self.place}.{self.action}")


def fault_point(place: str, subject: str = "") -> bool:
    """Suffer what a test has asked for at this place.

    Args:
        place: Which one, such as `sink.before_commit`.
        subject: What is being worked on, such as a chunk_id.

    Returns:
        Whether the caller shall leave out what comes next: a message to be dropped.

    Raises:
        InvalidSettings: RISKFLOW_FAULT cannot be read.
    """
    asked = os.environ.get(FAULT_VARIABLE)
    if not asked:
        return False
    struck = [fault for fault in faults(asked) if fault.strikes(place, subject)]
    for fault in struck:
        _suffer(fault, subject)
    return any(fault.action == DROP for fault in struck)


@lru_cache(maxsize=1)
def faults(asked: str) -> list[Fault]:
    """The faults that the text names.

    Raises:
        InvalidSettings: It names none that there is.
    """
    return [_fault(one.strip()) for one in asked.split(",")]


def _fault(text: str) -> Fault:
    place, _, rest = text.partition("=")
    what, _, subject = rest.partition(":")
    action, *words = what.split() or [""]
    once = words[-1:] == [ONCE]
    numbers = words[:-1] if once else words
    wanted = 1 if action == SLEEP else 0
    if not place or action not in {*SIGNALS, DROP, SLEEP} or len(numbers) != wanted:
        raise InvalidSettings(f"{FAULT_VARIABLE}: {text!r} is not {FORM}")
    try:
        seconds = float(numbers[0]) if numbers else 0.0
    except ValueError as error:
        raise InvalidSettings(f"{FAULT_VARIABLE}: {numbers[0]!r} is no number of seconds") from error
    return Fault(place, action, subject, seconds, once)


def _suffer(fault: Fault, subject: str) -> None:
    log.warning("a fault that was asked for", place=fault.place, action=fault.action, subject=subject)
    if fault.action in SIGNALS:
        os.kill(os.getpid(), SIGNALS[fault.action])
    time.sleep(fault.seconds)


def _take_token(name: str) -> bool:
    folder = os.environ.get(TOKENS_VARIABLE)
    if not folder:
        raise InvalidSettings(
            f"{TOKENS_VARIABLE}: must name the folder of the tokens of faults that strike once"
        )
    try:
        (Path(folder) / name).unlink()
    except FileNotFoundError:
        return False
    return True
