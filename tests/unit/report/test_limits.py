"""A page that takes too much ends with a sentence, and the process goes on."""

from __future__ import annotations

import signal
import time
from contextlib import suppress

import pytest
from jinja2.sandbox import SandboxedEnvironment

from consumers.report import limits
from consumers.report.faults import sentence
from consumers.report.limits import TooLong, limited
from schemas.database import SESSION

ENDLESS = "<p>\n{% for i in range(99999) %}\n{% for j in range(99999) %}{% endfor %}\n{% endfor %}"


def test_an_endless_template_is_ended_and_its_line_named():
    template = SandboxedEnvironment().from_string(ENDLESS)
    template.name = template.filename = "report.html.j2"
    with pytest.raises(TooLong) as caught, limited(0.2):
        template.render()
    assert sentence(caught.value).endswith("not ready within 0.2 s; has it a loop without end?")


def test_an_alarm_that_was_swallowed_comes_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "_AGAIN_SECONDS", 0.05)

    def swallow() -> None:
        with suppress(TooLong):
            time.sleep(5)
        time.sleep(5)

    with pytest.raises(TooLong), limited(0.05):
        swallow()


def test_too_much_memory_is_refused_and_the_limit_goes_with_the_page(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "RENDER_BYTES", 1 << 26)
    with pytest.raises(MemoryError) as caught, limited():
        bytearray(1 << 29)
    assert sentence(caught.value) == "the page takes more than 512 MB of memory"
    assert len(bytearray(1 << 29)) == 1 << 29


def test_nothing_rings_after_a_page_that_was_in_time():
    before = signal.getsignal(signal.SIGALRM)
    with limited(5):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert signal.getitimer(signal.ITIMER_PROF) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) == before


def test_a_page_is_ended_before_the_session_that_it_is_read_in():
    assert float(SESSION["idle_in_transaction_session_timeout"].removesuffix("s")) > limits.RENDER_SECONDS
