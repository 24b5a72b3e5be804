"""Which edges and damage rates this process works with."""

from __future__ import annotations

from schemas.errors import InvalidSettings
from schemas.settings import Settings
from streams.models.tables import InvalidRiskTable, RiskTables, builtin_tables, load_tables


def risk_tables(settings: Settings) -> RiskTables:
    """Edges and damage rates that RISKS_FILE gives, or the built-in ones.

    Raises:
        InvalidSettings: Names the file, the key and what is allowed.
    """
    if settings.risks_file is None:
        return builtin_tables()
    try:
        return load_tables(settings.risks_file)
    except (InvalidRiskTable, OSError) as error:
        raise InvalidSettings(f"RISKS_FILE: {error}") from error
