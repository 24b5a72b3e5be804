"""A tenant's logo as part of the page."""

from __future__ import annotations

import base64
from pathlib import Path

from schemas.errors import RiskflowError

MAX_BYTES = 500_000
"""Largest logo; a page with a larger one would be slow to mail (expert assumption)."""
_BEGINNINGS = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}


class UnusableLogo(RiskflowError):  # noqa: N818 - named by what is wrong, as all errors here
    """The logo cannot be shown; the report goes without it."""


def data_uri(path: Path) -> str:
    """The image as data URI; in an <img> no script of an SVG runs and nothing is fetched.

    Raises:
        UnusableLogo: The file cannot be read, is larger than MAX_BYTES, or is no SVG, PNG or JPEG.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnusableLogo(f"logo {path.name}: {error.strerror or error}") from error
    if len(content) > MAX_BYTES:
        raise UnusableLogo(f"logo {path.name}: larger than {MAX_BYTES // 1000} kB")
    return f"data:{_kind(path.name, content)};base64,{base64.b64encode(content).decode()}"


def _kind(name: str, content: bytes) -> str:
    for beginning, kind in _BEGINNINGS.items():
        if content.startswith(beginning):
            return kind
    if b"<svg" in content[:4096]:
        return "image/svg+xml"
    raise UnusableLogo(f"logo {name}: neither SVG nor PNG nor JPEG")
