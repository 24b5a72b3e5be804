"""Cold wave: CSDI, days a year in cold spells of at least six days under TN10."""

from __future__ import annotations

from streams.models.frame import Annual
from streams.models.inputs import CellInputs
from streams.models.spells import estimate_spell_days, spell_days

estimate = estimate_spell_days


def annual(inputs: CellInputs) -> Annual:
    """CSDI of the window's years, days/year."""
    return spell_days(inputs, "csdi")
