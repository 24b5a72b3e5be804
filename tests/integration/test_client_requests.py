"""The client for other services on a real PostgreSQL."""

from __future__ import annotations

import json

import asyncpg
import pytest

from producers.client import trigger_aiops_batch

OUTBOX = "SELECT convert_from(value, 'UTF8') FROM outbox WHERE job_id = $1"


async def test_a_pool_asks_at_once_and_a_connection_within_its_transaction(
    connection: asyncpg.Connection, database_url: str
) -> None:
    async with asyncpg.create_pool(database_url, min_size=1, max_size=2) as pool:
        job_id = await trigger_aiops_batch(pool, "hazard", risks=["drought"], requested_by="planning")
        assert json.loads(await connection.fetchval(OUTBOX, job_id)) == {
            "job_type": "hazard",
            "job_id": job_id,
            "risks": ["drought"],
            "requested_by": "planning",
        }
        async with pool.acquire() as session:
            transaction = session.transaction()
            await transaction.start()
            undone = await trigger_aiops_batch(session, "probability", job_id="undone")
            await transaction.rollback()
    assert undone == "undone"
    assert await connection.fetchval("SELECT count(*) FROM outbox") == 1


async def test_a_connection_with_its_own_codec_for_json_is_no_trap(
    connection: asyncpg.Connection,
) -> None:
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)
    await trigger_aiops_batch(connection, "hazard", job_id="coded", scenario="ssp245")
    assert json.loads(await connection.fetchval(OUTBOX, "coded"))["scenario"] == "ssp245"


async def test_the_same_again_is_the_same_job_and_another_request_an_error(
    connection: asyncpg.Connection,
) -> None:
    for _ in range(2):
        assert await trigger_aiops_batch(connection, "hazard", job_id="twice") == "twice"
    with pytest.raises(asyncpg.UniqueViolationError, match="twice was asked for before with other options"):
        await trigger_aiops_batch(connection, "probability", job_id="twice")
    assert await connection.fetchval("SELECT count(*) FROM outbox") == 1
