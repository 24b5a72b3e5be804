"""How a try to deliver ended, as far as it is known."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from schemas.errors import RiskflowError

MAX_WORDS = 500
"""Characters of a server's answer that are kept (expert assumption)."""
HIDDEN = "(hidden)"


class CannotSend(RiskflowError):  # noqa: N818 - named by what is wrong, as all errors here
    """Something is missing that a person must mend; nothing was sent."""


class ReportIsGone(CannotSend):
    """What would be sent is no longer there; making it anew also sends it."""


class NotHandedOver(asyncio.CancelledError):
    """Cancelled while nothing that a recipient could get had left."""


@contextmanager
def not_handed_over() -> Iterator[None]:
    """A block that, when it is cancelled, has surely delivered nothing, and says so."""
    try:
        yield
    except asyncio.CancelledError:
        raise NotHandedOver from None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one try.

    `passing` and `refused` mean that nothing was delivered; `unknown` that it may have been.
    """

    state: Literal["sent", "passing", "refused", "unknown"]
    detail: str
    wait: float | None = None
    """Least seconds until the next try, where the server named them."""


def quoted(text: str, secrets: Iterable[str] = ()) -> str:
    """A server's words on one line, of bounded length, without the secrets that they may repeat."""
    text = text.encode("utf-8", "replace").decode()
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return " ".join(text.split())[:MAX_WORDS]
