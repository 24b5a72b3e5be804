"""Which errors of the database are the data's own, and which pass."""

import asyncpg
import pytest

from schemas.faults import is_data_fault, is_passing


@pytest.mark.parametrize(
    ("error", "of_data", "passes"),
    [
        (OverflowError("value out of int32 range"), True, False),
        (asyncpg.DataError("invalid input for query argument"), True, False),
        (asyncpg.UniqueViolationError("duplicate key"), True, False),
        (asyncpg.DeadlockDetectedError("deadlock detected"), False, True),
        (asyncpg.ConnectionDoesNotExistError("connection was closed"), False, True),
        (ConnectionResetError(104, "reset by peer"), False, True),
        (TimeoutError(), False, True),
        (asyncpg.UndefinedTableError("no such table"), False, False),
        (ZeroDivisionError(), False, False),
    ],
)
def test_an_error_is_of_the_data_or_passes_or_neither(error, of_data, passes):
    assert (is_data_fault(error), is_passing(error)) == (of_data, passes)
