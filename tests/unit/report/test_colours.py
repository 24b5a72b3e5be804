"""Text stays readable whatever colours a tenant has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.report.colours import INK, contrast, mixed, palette, text_on

COLOUR = st.from_regex(r"\A#[0-9a-f]{6}\Z")


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    # WCAG 2.2, 1.4.3 and its examples: black on white 21, #777777 on white just misses 4.5.
    [("#000000", "#ffffff", 21.0), ("#777777", "#ffffff", 4.478), ("#ff0000", "#ffffff", 3.998)],
)
def test_the_ratio_is_that_of_wcag(one: str, other: str, ratio: float):
    assert contrast(one, other) == pytest.approx(ratio, abs=5e-4)


@given(COLOUR)
def test_black_or_white_always_stands_out(colour: str):
    assert contrast(text_on(colour), colour) >= 4.5


@given(COLOUR, COLOUR)
def test_coloured_text_stands_out_or_becomes_ink(primary: str, accent: str):
    found = palette(primary, accent)
    for name in ("heading", "link"):
        assert contrast(found[name], found["tint"]) >= 4.5
        assert found[name] in {primary, accent, INK}
    assert contrast("#46535f", found["tint"]) >= 4.5


def test_a_pale_primary_gives_black_text_and_ink_headings():
    found = palette("#f3d27a", "#8a5a00")
    assert (found["on-primary"], found["heading"], found["link"]) == ("#000000", INK, "#8a5a00")
    assert mixed("#000000", 0.5) == "#808080"
