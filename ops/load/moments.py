"""Times of day: ISO 8601 texts to moments, where a day depends on the offset."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from ops.load.columns import FIRST_YEAR, LAST_YEAR
from schemas.errors import RiskflowError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
NOT_A_TIME = "is not a time (YYYY-MM-DDTHH:MM:SS and an offset such as +09:00 or Z)"


def zone_named(name: str | None) -> tzinfo | None:
    """The time zone of an option.

    Raises:
        RiskflowError: There is none of that name.
    """
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise RiskflowError(
            f"--timezone {name}: name a time zone of the IANA database, such as Asia/Seoul"
        ) from error


def read_moment(text: str, zone: tzinfo | None) -> int | str:
    """Microseconds since 1970-01-01 in UTC, or in words what is wrong with the text.

    Args:
        text: ISO 8601, stripped.
        zone: What times without an offset are in; None refuses them.
    """
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is None:
            if zone is None:
                return "has no offset; write +09:00 or Z behind it, or name its zone by --timezone"
            time = time.replace(tzinfo=zone)
            if fault := _clock_fault(time):
                return fault
    except (ValueError, OverflowError):
        return NOT_A_TIME
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        return f"is outside {FIRST_YEAR} to {LAST_YEAR}"
    return (time - EPOCH) // MICROSECOND


def _clock_fault(time: datetime) -> str:
    """Whether a local time comes twice or never, because the clocks change; else an empty text."""
    if time.utcoffset() == time.replace(fold=1).utcoffset():
        return ""
    back = time.astimezone(UTC).astimezone(time.tzinfo)
    how = "comes twice" if back.replace(tzinfo=None) == time.replace(tzinfo=None) else "does not exist"
    return f"{how} in {time.tzinfo}, where the clocks change; write its offset"
