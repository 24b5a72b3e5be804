"""Drawn tenants into the database and into CSV files."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np

from ops.generator.students import TenantBlock
from ops.load import binary
from ops.load.columns import Sheet
from ops.load.fields import Coded
from ops.load.learning import LEARNING
from ops.load.records import field
from schemas.errors import RiskflowError

NOTE = "# Drawn by a generator, not observed: no row is about a person.\n"


async def copy_tenant(connection: asyncpg.Connection, org_id: str, blocks: Iterable[TenantBlock]) -> int:
    """Put a drawn tenant into the input tables, in one transaction.

    Returns:
        Rows stored.

    Raises:
        RiskflowError: The tenant has rows already; drawn ones must not mix with observed ones.
    """
    rows = 0
    async with connection.transaction():
        for target, _ in (LEARNING[name] for name in TenantBlock.__slots__):
            if await connection.fetchval(f"SELECT EXISTS (SELECT FROM {target} WHERE org_id = $1)", org_id):  # noqa: S608 - own names
                raise RiskflowError(f"{target} has rows of {org_id} already; drawn rows would mix with them")
        for block in blocks:
            for name, table in block.tables().items():
                target, sheet = LEARNING[name]
                fields = {column: _field(values, sheet, column) for column, values in table.items()}
                await binary.copy(connection, target, fields)
                rows += len(fields["org_id"].octets)
    return rows


def write_tenant(folder: Path, org_id: str, blocks: Iterable[TenantBlock]) -> dict[str, Path]:
    """Write a drawn tenant as files for `riskflow load`; each says that it is drawn.

    Returns:
        `<folder>/<org_id>_<table>.csv` by table.
    """
    paths: dict[str, Path] = {}
    for block in blocks:
        for name, table in block.tables().items():
            new = name not in paths
            path = paths.setdefault(name, folder / f"{org_id}_{name}.csv")
            with path.open("w" if new else "a", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                if new:
                    file.write(NOTE)
                    writer.writerow(table)
                writer.writerows(zip(*(_texts(values) for values in table.values()), strict=True))
    return paths


def _field(values: Any, sheet: Sheet, column: str) -> binary.Field:
    days = not isinstance(values, Coded) and values.dtype == np.dtype("datetime64[D]")
    return field(values.astype(np.float64) if days else values, sheet, column)


def _texts(values: Any) -> list[Any]:
    """A column as it stands in a file; None is an empty field."""
    if isinstance(values, Coded):
        return values.rows()
    if values.dtype == np.dtype("datetime64[D]"):
        return list(np.datetime_as_string(values))
    if values.dtype.kind == "M":
        return list(np.datetime_as_string(values, unit="s", timezone="UTC"))
    return [None if value != value else value for value in values.tolist()]  # noqa: PLR0124 - NaN
