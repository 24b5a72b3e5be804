"""Other libraries that are measured, silenced: their log is neither part of the work nor of the table."""

from __future__ import annotations

import importlib
import logging
import warnings
from typing import Any

import structlog


def peer(name: str) -> Any:
    """A module of climate_indices or xclim. From then on nobody logs anything below an error."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # xclim's import tells of plots that nobody asked for
        module = importlib.import_module(name)
    # climate_indices has its own idea of the level, from its import on.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    return module
