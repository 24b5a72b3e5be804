"""Which errors of PostgreSQL pass by themselves and which are the data's own fault."""

from __future__ import annotations

import asyncpg

PASSING_CLASSES = frozenset({"08", "40", "53", "57"})
"""SQLSTATE classes of lost connections, rollbacks, exhausted resources and operator intervention."""
PASSING_STATES = frozenset({"25P03", "55P03"})
"""Our own session limits: idle_in_transaction_session_timeout and lock_timeout."""
DATA_CLASSES = frozenset({"22", "23"})
"""SQLSTATE classes of values that PostgreSQL cannot take and of violated constraints."""
# These carry no SQLSTATE: the connection broke below the protocol.
_BROKEN = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)


def is_data_fault(error: BaseException) -> bool:
    """Whether the same statement with the same values will fail for ever."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "")[:2] in DATA_CLASSES
    # A value that the driver cannot encode is an InterfaceError too, but a ValueError beside it; in COPY a
    # number too large for its column is a bare OverflowError.
    return isinstance(error, OverflowError) or (
        isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)
    )


def is_passing(error: BaseException) -> bool:
    """Whether trying again later, on a new connection, may succeed."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        return state[:2] in PASSING_CLASSES or state in PASSING_STATES
    return isinstance(error, _BROKEN) and not is_data_fault(error)
