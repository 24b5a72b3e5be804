"""Every error that riskflow raises on purpose. The message is the sentence the user reads."""

from __future__ import annotations


class RiskflowError(Exception):
    """Something is wrong that a person can act on; the message says what, where and what to do."""


class InvalidSettings(RiskflowError):  # noqa: N818 - named by what is wrong, as all errors here
    """A setting is missing or not allowed; the program must not start."""


class InvalidMessage(RiskflowError):  # noqa: N818
    """The message cannot be decoded into its topic's model; it will never succeed."""


class RefusedTrigger(RiskflowError):  # noqa: N818
    """The trigger is well formed but asks for what cannot be done; the sentence names what is allowed."""


class NotFound(RiskflowError):  # noqa: N818
    """What is named is not there; the sentence says what is, or where to look."""


class InvalidFile(RiskflowError):  # noqa: N818
    """A file to load has a fault; nothing of it was stored."""


class Unavailable(RiskflowError):  # noqa: N818
    """The broker or the database did not answer within the limit."""
