"""Log lines: one form, no secret, one line an outage."""

import logging
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
import structlog

from ops.logs import configure
from schemas.settings import Settings
from schemas.tracing import tracing

# Put together here, so that no line of this file shows it in a traceback.
SECRET = "-".join(["hush"] * 2)


@pytest.fixture(autouse=True)
def as_before():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def settings(form: str) -> Settings:
    return Settings(_env_file=None, log_format=form)


def connect_in_vain(dsn: str) -> None:
    raise ConnectionError(f"no answer from {dsn.rpartition('@')[2]}")


@pytest.mark.parametrize("form", ["human", "json"])
def test_a_traceback_shows_no_local_variable(form, capsys):
    configure(settings(form), "sink")
    try:
        connect_in_vain(f"postgresql://someone:{SECRET}@h/d")
    except ConnectionError as error:
        structlog.get_logger("test").error("service ends", exc_info=error)
    said = capsys.readouterr().err
    assert "ConnectionError: no answer from h/d" in said
    assert SECRET not in said


def test_json_lines_carry_the_service_and_every_value(capsys):
    configure(settings("json"), "sink")
    structlog.get_logger("test").info("job accepted", job_id="j-1", cells=61)
    logging.getLogger("elsewhere").warning("a library speaks: %s", "so")
    ours, theirs = (orjson.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (ours["event"], ours["job_id"], ours["cells"], ours["service"], ours["level"]) == (
        "job accepted",
        "j-1",
        61,
        "sink",
        "info",
    )
    assert (theirs["event"], theirs["level"]) == ("a library speaks: so", "warning")


def test_an_absent_broker_is_one_line(capsys):
    configure(settings("human"), "worker")
    client = logging.getLogger("aiokafka.conn")
    for _ in range(200):
        client.error("Unable connect to node with id %s", 0)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "the broker does not answer: Unable connect to node with id 0" in lines[0]


def test_a_line_shows_its_job_and_trace_whole_to_programs_and_short_to_people(capsys):
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    said = {}
    for form in ("json", "human"):
        configure(settings(form), "sink")
        with tracing("yearly", parent):
            structlog.get_logger("test").info("batch stored")
        said[form] = capsys.readouterr().err
    line = orjson.loads(said["json"])
    assert (line["job_id"], line["trace_id"]) == ("yearly", "4bf92f3577b34da6a3ce929d0e0e4736")
    assert "job_id=yearly" in said["human"]
    assert "trace=4bf92f35" in said["human"]
    assert "4bf92f3577" not in said["human"]


@pytest.mark.parametrize("where", ["main", "thread"])
def test_an_exception_that_nobody_catches_is_one_line(where):
    faulty = "raise ValueError('nobody catches this')"
    thread = f"import threading; t = threading.Thread(target=exec, args=({faulty!r},)); t.start(); t.join()"
    program = (
        "from ops.logs import configure; from schemas.settings import Settings; "
        "configure(Settings(_env_file=None, log_format='json'), 'sink'); "
    )
    done = subprocess.run(
        [sys.executable, "-c", program + (faulty if where == "main" else thread)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    (line,) = (orjson.loads(line) for line in done.stderr.splitlines())
    assert (line["event"], line["level"], line["service"]) == ("uncaught exception", "critical", "sink")
    assert "ValueError: nobody catches this" in line["exception"]
