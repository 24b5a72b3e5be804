"""Which edges and damage rates are in use: those of the table of risks, or a user's risks.toml.

    [wildfire]
    edges = [1, 5, 15, 30]
    damage = [0, 0.0005, 0.001, 0.003, 0.010]

A file may replace either list of any risk, and is taken as a whole or not at all.
"""

from __future__ import annotations

import hashlib
import math
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from streams.models.frame import Risk
from streams.models.risks import RISKS

DIGEST_DIGITS = 12
"""Hexadecimal digits of the file's BLAKE2b digest that name a table."""

KEYS = ("edges", "damage")


class InvalidRiskTable(ValueError):  # noqa: N818 - named as the project's other refusals
    """The file of edges and damage rates cannot be used; nothing of it is taken."""


@dataclass(frozen=True, slots=True)
class Bins:
    """Edges (bins - 1) in the table's unit and base damage rates (bins) of one risk."""

    edges: tuple[float, ...]
    damage: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class RiskTables:
    """Edges and damage rates in use; `name` goes into every result row."""

    name: str
    replaced: Mapping[str, Bins]

    def bins(self, risk: Risk) -> Bins:
        """What this table says of `risk`, else the risk's own row."""
        return self.replaced.get(risk.name, Bins(risk.edges, risk.damage))


def builtin_tables() -> RiskTables:
    """The edges and damage rates that METHODS prints."""
    return RiskTables("built-in", {})


def load_tables(path: Path, risks: Mapping[str, Risk] = RISKS) -> RiskTables:
    """Read and check a risks.toml.

    Raises:
        InvalidRiskTable: names the file, the table, the key and what is allowed.
        OSError: the file cannot be read.
    """
    content = path.read_bytes()
    try:
        document = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidRiskTable(f"{path}: not a TOML file: {error}") from error
    replaced = {name: _checked(path, name, table, risks) for name, table in document.items()}
    digest = hashlib.blake2b(content).hexdigest()[:DIGEST_DIGITS]
    return RiskTables(f"{path.name}@{digest}", replaced)


def _checked(path: Path, name: str, table: object, risks: Mapping[str, Risk]) -> Bins:
    where = f"{path}: [{name}]"
    if name not in risks:
        raise InvalidRiskTable(f"{where}: no such risk; allowed are {', '.join(risks)}")
    if not isinstance(table, dict) or not table:
        raise InvalidRiskTable(f"{where}: must be a table with {' and/or '.join(KEYS)}")
    for key in table:
        if key not in KEYS:
            raise InvalidRiskTable(f"{where}: unknown key {key!r}; allowed are {', '.join(KEYS)}")
    risk = risks[name]
    bins = Bins(
        edges=_numbers(where, "edges", table.get("edges", risk.edges)),
        damage=_numbers(where, "damage", table.get("damage", risk.damage)),
    )
    _check_edges(where, bins.edges, risk)
    _check_damage(where, bins)
    return bins


def _numbers(where: str, key: str, values: object) -> tuple[float, ...]:
    if not isinstance(values, list | tuple) or not values:
        raise InvalidRiskTable(f"{where} {key}: must be a list of numbers, not {values!r}")
    return tuple(_number(where, key, value) for value in values)


def _number(where: str, key: str, value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        with suppress(OverflowError):
            if math.isfinite(value):
                return float(value)
    raise InvalidRiskTable(f"{where} {key}: {value!r} is not a finite number")


def _check_edges(where: str, edges: tuple[float, ...], risk: Risk) -> None:
    for lower, upper in pairwise(edges):
        if lower >= upper:
            raise InvalidRiskTable(f"{where} edges: must ascend strictly, but {upper:g} follows {lower:g}")
    if edges[0] < risk.edge_minimum:
        unit = risk.edge_unit or risk.unit
        raise InvalidRiskTable(
            f"{where} edges: {edges[0]:g} is too low; at least {risk.edge_minimum:g} ({unit}) is allowed"
        )


def _check_damage(where: str, bins: Bins) -> None:
    wanted = len(bins.edges) + 1
    if len(bins.damage) != wanted:
        raise InvalidRiskTable(
            f"{where} damage: {len(bins.damage)} rates for {wanted} bins; "
            f"{len(bins.edges)} edges need exactly {wanted} rates, one per bin"
        )
    for rate in bins.damage:
        if not 0 <= rate <= 1:
            raise InvalidRiskTable(f"{where} damage: {rate:g} is outside 0..1")
