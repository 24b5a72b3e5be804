"""Live and ready: what beats, what waits, what is stuck."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from waiting import until

from schemas import pulse as pulses
from schemas.pulse import EVENT_LOOP, Pulse, beating


class Clock:
    """Time that only the test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def word(pulse: Pulse) -> tuple[bool, bool, str]:
    report = pulse.report()
    return report["live"], report["ready"], report["state"]


def test_a_service_without_loops_is_being_put_together(clock: Clock) -> None:
    assert word(Pulse(clock)) == (True, False, "waiting")


def test_a_loop_that_has_not_begun_keeps_the_service_from_being_ready(clock: Clock) -> None:
    pulse = Pulse(clock)
    pulse.loop("sink").ready()
    pulse.loop("acceptor")
    assert word(pulse) == (True, False, "waiting")
    assert [loop["waits_for"] for loop in pulse.report()["loops"]] == [None, "its start"]


def test_a_loop_is_late_then_dead_and_alive_again_with_its_next_beat(clock: Clock) -> None:
    pulse = Pulse(clock)
    loop = pulse.loop("sink", limit=300, late=30)
    loop.ready()
    states = {}
    for clock.now in (0, 30, 30.1, 300, 300.1):
        states[clock.now] = word(pulse)
    assert states == {
        0: (True, True, "ready"),
        30: (True, True, "ready"),
        30.1: (True, False, "waiting"),
        300: (True, False, "waiting"),
        300.1: (False, False, "stuck"),
    }
    loop.beat()
    assert word(pulse) == (True, True, "ready")


@pytest.mark.parametrize("tell", [lambda loop: loop.waiting("database h/d"), lambda loop: loop.idle()])
def test_who_waits_or_has_nothing_to_do_is_never_dead(clock: Clock, tell: Callable[..., None]) -> None:
    pulse = Pulse(clock)
    loop = pulse.loop("sink", limit=1)
    loop.ready()
    tell(loop)
    clock.now = 1e6
    assert word(pulse)[0] is True
    # Its limit counts from the end of the wait.
    loop.ready()
    clock.now += 1
    assert word(pulse) == (True, True, "ready")
    clock.now += 1
    assert word(pulse) == (False, False, "stuck")


def test_a_beat_does_not_end_a_wait_and_the_wait_is_counted_from_its_beginning(clock: Clock) -> None:
    pulse = Pulse(clock)
    loop = pulse.loop("sink")
    loop.ready("standing by")
    clock.now = 10
    loop.waiting("broker h:1")
    clock.now = 17
    loop.waiting("broker h:1")
    shown = pulse.report()["loops"][0]
    assert (shown["waits_for"], shown["seconds"], shown["limit"], shown["note"]) == (
        "broker h:1",
        7,
        None,
        None,
    )
    loop.beat()
    assert word(pulse) == (True, False, "waiting")


def test_one_stuck_loop_makes_the_service_stuck_whatever_the_others_do(clock: Clock) -> None:
    pulse = Pulse(clock)
    good, bad = pulse.loop("good", limit=5), pulse.loop("bad", limit=5)
    good.ready()
    bad.ready()
    clock.now = 6
    good.beat()
    assert word(pulse) == (False, False, "stuck")
    assert [loop["live"] for loop in pulse.report()["loops"]] == [True, False]


def test_a_service_that_stops_is_live_and_not_ready(clock: Clock) -> None:
    pulse = Pulse(clock)
    pulse.loop("sink").ready()
    pulse.stopping()
    assert word(pulse) == (True, False, "stopping")


async def test_an_event_loop_beats_until_it_is_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulses, "EVENT_LOOP_SECONDS", 0.2)
    monkeypatch.setattr(pulses, "BEAT_SECONDS", 0.01)
    pulse = Pulse()
    async with beating(pulse):
        await until(lambda: pulse.report()["ready"])
        time.sleep(0.3)  # noqa: ASYNC251 - to block the loop is what is tried
        assert word(pulse) == (False, False, "stuck")
        assert pulse.states()[0].name == EVENT_LOOP
        await until(lambda: pulse.report()["live"])
