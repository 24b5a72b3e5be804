"""Faults strike only where and when the environment asks for them."""

import subprocess
import sys

import pytest

from schemas.errors import InvalidSettings
from schemas.fault_points import FAULT_VARIABLE, TOKENS_VARIABLE, Fault, fault_point, faults


def test_nothing_happens_where_nothing_is_asked_for(monkeypatch):
    monkeypatch.delenv(FAULT_VARIABLE, raising=False)
    assert fault_point("sink.before_commit") is False


@pytest.mark.parametrize(
    ("place", "subject", "dropped"),
    [
        ("climate.send", "yearly:7", True),
        ("climate.send", "yearly:8", False),
        ("climate.take", "yearly:7", False),
    ],
)
def test_a_message_is_dropped_at_the_named_place_for_the_named_subject(monkeypatch, place, subject, dropped):
    monkeypatch.setenv(FAULT_VARIABLE, "sink.after_commit=sleep 0, climate.send=drop:yearly:7")
    assert fault_point(place, subject) is dropped


def test_a_fault_that_strikes_once_takes_its_token_and_waits_for_the_next(monkeypatch, tmp_path):
    monkeypatch.setenv(FAULT_VARIABLE, "climate.take=drop once")
    monkeypatch.setenv(TOKENS_VARIABLE, str(tmp_path))
    token = tmp_path / "climate.take.drop"
    struck = [fault_point("climate.take", "a")]
    for _ in range(2):
        token.touch()
        struck += [fault_point("climate.take", "a"), fault_point("climate.take", "a")]
    assert struck == [False, True, False, True, False]
    assert not token.exists()


def test_the_token_of_another_subject_is_left(monkeypatch, tmp_path):
    monkeypatch.setenv(FAULT_VARIABLE, "climate.take=drop once:b")
    monkeypatch.setenv(TOKENS_VARIABLE, str(tmp_path))
    (tmp_path / "climate.take.drop").touch()
    assert [fault_point("climate.take", each) for each in "aba"] == [False, True, False]


def test_a_kill_ends_the_process_as_a_crash_would():
    program = "from schemas.fault_points import fault_point; fault_point('here'); print('alive')"
    ended = subprocess.run(
        [sys.executable, "-c", program], env={FAULT_VARIABLE: "here=kill"}, capture_output=True, check=False
    )
    assert (ended.returncode, b"alive" in ended.stdout) == (-9, False)


def test_sleeping_takes_the_time_that_was_asked_for():
    assert faults("a.b=sleep 0.5 once:x:1,c=stop") == [
        Fault("a.b", "sleep", "x:1", 0.5, once=True),
        Fault("c", "stop"),
    ]


@pytest.mark.parametrize(
    "text", ["sink", "=kill", "sink=", "sink=explode", "sink=sleep", "sink=sleep long", "a=kill 3"]
)
def test_what_cannot_be_read_is_refused_with_its_text(monkeypatch, text):
    monkeypatch.setenv(FAULT_VARIABLE, text)
    with pytest.raises(InvalidSettings, match=FAULT_VARIABLE):
        fault_point("sink")


def test_a_fault_that_strikes_once_needs_the_folder_of_tokens(monkeypatch):
    monkeypatch.setenv(FAULT_VARIABLE, "sink=kill once")
    monkeypatch.delenv(TOKENS_VARIABLE, raising=False)
    with pytest.raises(InvalidSettings, match=TOKENS_VARIABLE):
        fault_point("sink")
