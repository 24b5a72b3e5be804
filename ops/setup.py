"""Bring a database to this version: migrations, and the risks that this version knows."""

from __future__ import annotations

import asyncpg

from schemas.database import close, connect, migrate
from schemas.errors import RiskflowError
from schemas.settings import Settings
from schemas.start import open_database


async def prepare_database(dsn: str, settings: Settings | None = None) -> list[str]:
    """Apply what is missing and register the risks.

    Returns:
        Names of the migrations applied now.
    """
    applied = await migrate(dsn, settings)
    await register_risks(dsn)
    return applied


async def migrated(settings: Settings) -> list[str]:
    """`prepare_database` on the database of the settings, once it answers.

    Raises:
        Unavailable: It did not answer within START_TIMEOUT, or does not let this role in.
        RiskflowError: A statement was refused; its migration is rolled back.
    """
    await close(await open_database(settings, "migrate"))
    try:
        return await prepare_database(settings.dsn, settings)
    except asyncpg.PostgresError as error:
        raise RiskflowError(
            f"database {settings.database_label} cannot be brought to this version: {error}"
        ) from error


async def created_topics(settings: Settings) -> list[str]:
    """Topics that were missing on the broker of the settings, created once it answers.

    Raises:
        Unavailable: It did not answer within START_TIMEOUT.
        RiskflowError: A topic could not be created, or an existing one would lose messages.
    """
    from producers.publisher import Publisher  # noqa: PLC0415 - brings the Kafka client
    from producers.topics import create_topics  # noqa: PLC0415 - as above

    async with Publisher(settings, "topics"):
        return await create_topics(settings)


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
