"""Faults of a report in words: which template and line, or what else."""

from __future__ import annotations

import traceback
from pathlib import Path

import asyncpg
import jinja2

from consumers.report.limits import RENDER_BYTES
from schemas.errors import RiskflowError

_FRAMES = ("top-level template code", "template", "block ")
"""Names that jinja2 gives to the frames of a running template."""


def sentence(error: Exception) -> str:
    """What is wrong with a report, and where in a template when one is to blame."""
    place = place_in_template(error)
    if place is not None:
        return f"template {place}: {_text(error)}"
    if isinstance(error, jinja2.TemplateError):
        return f"template {_text(error)}"
    if isinstance(error, asyncpg.PostgresError):
        return f"reading the report's data: {error}"
    return _text(error)


def _text(error: Exception) -> str:
    if isinstance(error, jinja2.TemplateNotFound):
        return f"{error.name} not found"
    if isinstance(error, jinja2.TemplateSyntaxError):
        return error.message or "syntax error"
    if isinstance(error, MemoryError):
        return f"the page takes more than {RENDER_BYTES >> 20} MB of memory"
    own = isinstance(error, (jinja2.TemplateError, RiskflowError))
    return str(error) if own else f"{type(error).__name__}: {error}"


def place_in_template(error: BaseException) -> str | None:
    """File and line of the innermost template of an error, None where no template is to blame.

    jinja2 rewrites the traceback of a running template to the template's own files and lines.
    """
    if isinstance(error, jinja2.TemplateSyntaxError):
        return f"{error.name} line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    places = [
        frame for frame in frames if not frame.filename.endswith(".py") and frame.name.startswith(_FRAMES)
    ]
    return f"{Path(places[-1].filename).name} line {places[-1].lineno}" if places else None
