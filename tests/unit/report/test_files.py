"""Files appear whole or not at all."""

from __future__ import annotations

import fcntl
from datetime import date
from pathlib import Path
from typing import IO

import pytest

from consumers.report.files import Unwritable, folder_of, replacing, sweep_all
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


def test_what_a_killed_writer_left_goes_and_what_a_live_one_writes_stays(tmp_path: Path):
    left = tmp_path / ".a_metrics.csv.0123abcd.tmp"
    foreign = tmp_path / ".a_metrics.csv.swp"
    left.touch()
    foreign.touch()
    with replacing(tmp_path / "b_report.html") as live:
        assert not left.exists()
        with replacing(tmp_path / "a_report.html") as file:
            file.write(b"page")
        assert Path(live.name).exists()
        live.write(b"other")
    assert (tmp_path / "b_report.html").read_bytes() == b"other"
    assert {each.name for each in tmp_path.iterdir()} == {"a_report.html", "b_report.html", foreign.name}


def test_the_folders_of_all_dates_are_swept(tmp_path: Path):
    left = tmp_path / "2026-11-16" / ".summary.csv.0123abcd.tmp"
    sweep_all(tmp_path / "not yet there")
    left.parent.mkdir()
    left.touch()
    sweep_all(tmp_path)
    assert list(left.parent.iterdir()) == []


def test_a_writer_whose_file_is_swept_before_it_has_the_lock_takes_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    lock, swept = fcntl.flock, []

    def sweep_first(file: IO[bytes], kind: int) -> None:
        if not swept:
            swept.append(file.name)
            Path(file.name).unlink()
        lock(file, kind)

    monkeypatch.setattr(fcntl, "flock", sweep_first)
    with replacing(tmp_path / "summary.csv") as file:
        file.write(b"new")
    assert len(swept) == 1
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("summary.csv", b"new")]


def test_a_place_that_cannot_be_taken_is_told_from_a_folder_that_cannot_be_written(tmp_path: Path):
    taken = tmp_path / "a_report.html"
    taken.mkdir()
    with (
        pytest.raises(Unwritable, match=r"a_report\.html cannot be written: Is a directory"),
        replacing(taken),
    ):
        pass
    with (
        pytest.raises(Unwritable, match="cannot be written: File name too long"),
        replacing(tmp_path / ("a" * 256)),
    ):
        pass
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "missing" / "a_report.html"):
        pass
    assert list(tmp_path.iterdir()) == [taken]


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
