"""Files appear whole or not at all."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from consumers.report.files import folder_of, replacing
from consumers.report.logo import MAX_BYTES, UnusableLogo, data_uri


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path: Path):
    path = tmp_path / "summary.csv"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_fault_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    path = tmp_path / "summary.csv"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="closed"), replacing(path) as file:
        file.close()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_goes_once_it_is_old(tmp_path: Path):
    path = tmp_path / "a_report.html"
    old, fresh, others = (tmp_path / f".{name}.tmp" for name in ("a_report.html.1", "a_report.html.2", "b.1"))
    for left in (old, fresh, others):
        left.touch()
    os.utime(old, (0, 0))
    os.utime(others, (0, 0))
    with replacing(path) as file:
        file.write(b"page")
    assert {each.name for each in tmp_path.iterdir()} == {path.name, fresh.name, others.name}


def test_the_folder_of_a_date_is_made(tmp_path: Path):
    folder = folder_of(tmp_path / "not" / "yet", date(2026, 11, 23))
    assert folder == folder_of(tmp_path / "not" / "yet", date(2026, 11, 23))
    assert folder.is_dir()
    assert folder.name == "2026-11-23"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n...", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml"),
    ],
)
def test_a_logo_becomes_part_of_the_page(tmp_path: Path, content: bytes, kind: str):
    path = tmp_path / "logo"
    path.write_bytes(content)
    assert data_uri(path).startswith(f"data:{kind};base64,")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"GIF89a", "logo school.gif: neither SVG nor PNG nor JPEG"),
        (b"<svg" + b" " * MAX_BYTES, "logo school.gif: larger than 500 kB"),
        (None, "logo school.gif: No such file or directory"),
    ],
)
def test_an_unusable_logo_says_why(tmp_path: Path, content: bytes | None, reason: str):
    path = tmp_path / "school.gif"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnusableLogo, match=reason):
        data_uri(path)
