"""Binary COPY as arrays: the bytes that PostgreSQL sends, and those that it must not send."""

from __future__ import annotations

import struct

import pytest

from streams.copied import decode_rows

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
COLUMNS = {"student": "integer", "theta": "float8", "assessed": "boolean", "status": "smallint"}


def row(student: int, theta: float, assessed: int, status: int) -> bytes:
    return struct.pack(">hiiidi?ih", 4, 4, student, 8, theta, 1, assessed, 2, status)


def test_rows_become_fields_of_an_array() -> None:
    rows = decode_rows(HEADER + row(7, -0.25, 1, 3) + row(-1, 1e300, 0, -2) + TRAILER, COLUMNS)

    assert rows["student"].tolist() == [7, -1]
    assert rows["theta"].tolist() == [-0.25, 1e300]
    assert rows["assessed"].tolist() == [True, False]
    assert rows["status"].tolist() == [3, -2]


def test_no_rows_are_an_empty_array_with_the_fields() -> None:
    rows = decode_rows(HEADER + TRAILER, COLUMNS)

    assert rows["theta"].tolist() == []


@pytest.mark.parametrize(
    "copied",
    [
        b"",
        HEADER + row(1, 0.5, 1, 0),
        b"PGDUMP" + HEADER[6:] + TRAILER,
        # A null has the length -1 and no bytes: alone it breaks the width, two rows may hide it.
        HEADER + struct.pack(">hiiii?ih", 4, 4, 1, -1, 1, 1, 2, 0) + TRAILER,
        HEADER + struct.pack(">hidiii?ih", 4, 8, 0.5, 4, 1, 1, 1, 2, 0) + TRAILER,
        HEADER + b"\0\5" + row(1, 0.5, 1, 0)[2:] + TRAILER,
    ],
)
def test_other_bytes_are_refused(copied: bytes) -> None:
    with pytest.raises(RuntimeError, match="COPY"):
        decode_rows(copied, COLUMNS)
