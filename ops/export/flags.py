"""Texts as CF flag variables: a number per cell, its meaning in one word, and the text beside."""

from __future__ import annotations

import re
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from schemas.messages import HazardLevel

NO_ROW = -1
"""Where there is no row at all. Flags have no fill value, with which xarray would read them as floats."""

LEVELS = get_args(HazardLevel)
_NOT_IN_A_WORD = re.compile(r"[^A-Za-z0-9_.+@-]+")

Variable = tuple[tuple[str, ...], NDArray[Any], dict[str, Any]]


def hazard_levels(values: NDArray[np.object_], dims: tuple[str, ...]) -> Variable:
    """1 for Very Low to 5 for Very High, 0 without a level."""
    codes: dict[Any, int] = {None: 0} | {name: place for place, name in enumerate(LEVELS, 1)}
    return _coded(values, codes, np.int8, dims, "hazard level")


def texts(name: str, values: NDArray[np.object_], dims: tuple[str, ...], about: str) -> dict[str, Variable]:
    """The flag variable `name` and the variable `<name>_text` with the text of each of its numbers.

    0 stands for no text, NO_ROW for no row (`values` is then NaN).
    """
    known = sorted({value for value in values.ravel().tolist() if isinstance(value, str)})
    codes: dict[Any, int] = {np.nan: NO_ROW, None: 0} | {text: code for code, text in enumerate(known, 1)}
    listed = np.array(["", *known], dtype=object)
    return {
        name: _coded(values, codes, np.int16, dims, about),
        f"{name}_text": (
            (f"{name}_code",),
            listed,
            {"long_name": f"text of each number of {name}, from 0 on"},
        ),
    }


def _coded(
    values: NDArray[np.object_], codes: dict[Any, int], dtype: Any, dims: tuple[str, ...], about: str
) -> Variable:
    # A NaN equals no other, so it is not found; neither is a level of another system.
    least = min(codes.values())
    numbers = [codes.get(value, least) for value in values.ravel().tolist()]
    attributes = {
        "long_name": about,
        "flag_values": np.array(list(codes.values()), dtype=dtype),
        "flag_meanings": " ".join(_words(list(codes))),
    }
    return dims, np.array(numbers, dtype=dtype).reshape(values.shape), attributes


def _words(meanings: list[Any]) -> list[str]:
    """A word for each text, each once."""
    words = [_word(meaning) for meaning in meanings]
    return [word if words.count(word) == 1 else f"{word}.{place}" for place, word in enumerate(words)]


def _word(meaning: Any) -> str:
    if isinstance(meaning, str):
        return _NOT_IN_A_WORD.sub("_", meaning).strip("_")
    return "none" if meaning is None else "no_row"
