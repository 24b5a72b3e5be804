"""How dead letters are read by people: times, bytes and values of any kind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ops.dead_letters import moment_of, text_of, value_of
from schemas.errors import RiskflowError
from schemas.messages import now


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23T06:00+09:00", datetime(2026, 11, 22, 21, tzinfo=UTC)),
        ("2026-11-23", datetime(2026, 11, 23, tzinfo=UTC)),
        ("2026-11-23 06:30", datetime(2026, 11, 23, 6, 30, tzinfo=UTC)),
    ],
)
def test_a_moment_without_a_zone_is_of_utc(text: str, moment: datetime) -> None:
    assert moment_of(text) == moment


@pytest.mark.parametrize(("text", "hours"), [("90m", 1.5), ("12h", 12), ("7d", 168)])
def test_a_span_counts_back_from_now(text: str, hours: float) -> None:
    assert abs(now() - moment_of(text) - timedelta(hours=hours)) < timedelta(seconds=5)


def test_what_is_no_time_is_refused_with_examples() -> None:
    with pytest.raises(RiskflowError, match="--since 'soon': write 30m, 12h, 7d or a time"):
        moment_of("soon")


def test_a_span_beyond_the_calendar_is_refused() -> None:
    with pytest.raises(RiskflowError, match="--since '999999d' is before the first year"):
        moment_of("999999d")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "none"),
        (b"", "(empty)"),
        ("키".encode(), "키"),
        (b"\x1b[2Jgone", "\\x1b[2Jgone"),
        ("\x9b31m".encode(), "\\x9b31m"),
        ("\u202egone\u2066".encode(), "\\u202egone\\u2066"),
        (b"\xff\x00\x01", "hex ff0001"),
    ],
)
def test_bytes_are_shown_as_what_they_are_and_steer_no_terminal(content: bytes | None, text: str) -> None:
    assert text_of(content) == text


def test_json_is_indented_and_the_rest_is_left() -> None:
    assert value_of(b'{"a":[1]}') == '{\n  "a": [\n    1\n  ]\n}'
    assert value_of(b"no json") == "no json"
    assert value_of(None) == "none"
    assert value_of('{"a":"\x9b\u202e"}'.encode()) == '{\n  "a": "\\x9b\\u202e"\n}'
    deep = b"[" * 900 + b"]" * 900
    assert value_of(deep) == deep.decode()
