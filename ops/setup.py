"""Bring a database to this version: migrations, and the risks that this version knows."""

from __future__ import annotations

from schemas.database import connect, migrate
from schemas.settings import Settings


async def prepare_database(dsn: str, settings: Settings | None = None) -> list[str]:
    """Apply what is missing and register the risks.

    Returns:
        Names of the migrations applied now.
    """
    applied = await migrate(dsn, settings)
    await register_risks(dsn)
    return applied


async def register_risks(dsn: str) -> None:
    """Write the one table of risks to riskflow.risk_types, where the acceptor looks names up."""
    from streams.models.risks import RISKS  # noqa: PLC0415 - brings SciPy and numba

    rows = [
        (risk.name, risk.title, risk.intensity, risk.unit, place)
        for place, risk in enumerate(RISKS.values(), 1)
    ]
    connection = await connect(dsn, application="migrate")
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE riskflow.risk_types IN SHARE ROW EXCLUSIVE MODE")
            await connection.execute(
                "DELETE FROM riskflow.risk_types WHERE risk_type <> ALL ($1)", list(RISKS)
            )
            await connection.executemany(
                """
                INSERT INTO riskflow.risk_types (risk_type, title, intensity, unit, position)
                VALUES ($1, $2, $3, $4, $5)
                ON CONFLICT (risk_type) DO UPDATE
                    SET (title, intensity, unit, position)
                        = (excluded.title, excluded.intensity, excluded.unit, excluded.position)
                """,
                rows,
            )
    finally:
        await connection.close()
