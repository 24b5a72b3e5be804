"""Texts from outside that would be formulas, markup or terminal commands are shown as what they are."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from rich.console import Console

from ops.load.findings import Findings
from ops.load.options import LoadOptions
from ops.printed_explanation import print_explanation
from streams.models.inputs import Years

EXPLAINED = {
    "risk_type": "drought",
    "latitude": 37.0,
    "longitude": 127.0,
    "scenario": "[/red]",
    "window": {"start": 1991, "end": 2020},
    "intensity_meaning": "dry months",
    "unit": "count",
    "stored": {},
    "failures": [],
    "years": [1991],
    "intensity": [1.0],
    "basis": "basin [/bold] of [link=https://evil.example]Han[/link]\x1b[31m",
    "reason": "station [nosuch] is not there\x1b]0;owned\x07",
}


@pytest.mark.parametrize(
    ("text", "listed"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+cmd|x", "'+cmd|x"),
        ("-2+3", "'-2+3"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "'\t=1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("-999", "-999"),
        ("-1.5e3", "-1.5e3"),
        ("plain", "plain"),
    ],
)
def test_a_listed_value_is_no_formula(tmp_path: Path, text: str, listed: str) -> None:
    path = tmp_path / "listed.csv"
    options = LoadOptions(baseline=Years(1991, 2020), bad_values="missing", bad_values_file=path)
    findings = Findings(options, [tmp_path / "file.csv"])
    findings.list_value("file.csv", 2, "ta", text, "is no number")
    findings.close(stored=True)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[1] == ["file.csv", "2", "ta", listed, "is no number"]


def test_what_is_told_of_a_cell_is_text_on_the_terminal() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=200)
    print_explanation(console, EXPLAINED)
    written = console.file.getvalue()
    assert "scenario [/red]" in written
    assert "basin [/bold] of [link=https://evil.example]Han[/link]" in written
    assert "station [nosuch] is not there" in written
    assert "\x1b[31m" not in written
    assert "\x07" not in written
    assert "\x1b]" not in written
