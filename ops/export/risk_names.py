"""What the database says of each risk, for long names of datasets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import asyncpg


@dataclass(frozen=True, slots=True)
class RiskName:
    """A risk, what its intensity is, and its place in the table of risks."""

    name: str
    intensity: str
    position: int


LAST = 1_000
"""Place of risks that this version does not know: rows of another system."""


async def risk_names(connection: asyncpg.Connection, risks: Iterable[str]) -> dict[str, RiskName]:
    """By name; a risk that this version does not know has its name for an intensity."""
    rows = await connection.fetch("SELECT risk_type, intensity, position FROM riskflow.risk_types")
    known = {row["risk_type"]: RiskName(*row) for row in rows}
    return {name: known.get(name, RiskName(name, name, LAST)) for name in risks}
