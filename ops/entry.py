"""Where a process begins: a signal that comes while the program is still being loaded is a plain end."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

SERVICES = frozenset({"sink", "producers", "reporter", "worker", "serve", "up"})
"""Commands that run until they are told to stop, so that a stop is no failure."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def main() -> None:
    """Run the command line.

    What runs until it is stopped puts its own handlers in place of these, once there is something to
    finish; every other command is interrupted as usual from here on.
    """
    for number in SIGNALS:
        signal.signal(number, _leave)
    from ops import cli  # noqa: PLC0415 - what takes its time to load

    if not _serves():
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cli.main()


def _serves() -> bool:
    return len(sys.argv) > 1 and sys.argv[1] in SERVICES


def _leave(number: int, frame: FrameType | None) -> None:
    """End at once: nothing is held yet, and an exception in the middle of an import would be shown."""
    del frame
    os._exit(os.EX_OK if _serves() else 128 + number)


if __name__ == "__main__":
    main()
