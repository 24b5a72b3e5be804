"""Keeps a job's run as it is while its rows are written: writers share the gate, a change of run shuts it.

A writer reads the job's status and job_seq behind the gate, so that no result of an earlier run slips
into a later one. The gate comes before every row lock, and whoever holds row locks waits for no gate
that another may have shut for the same job.
"""

from __future__ import annotations

from collections.abc import Iterable

import asyncpg

_KEY = "hashtextextended('riskflow.run ' || job_id, 0)"
_ENTER = f"""
    SELECT pg_advisory_xact_lock_shared(key) FROM (
        SELECT DISTINCT {_KEY} AS key FROM unnest($1::text[]) AS t (job_id) ORDER BY key OFFSET 0) AS keys
"""  # noqa: S608 - a constant
_SHUT = f"SELECT pg_advisory_xact_lock({_KEY}) FROM (SELECT $1::text AS job_id) AS t"  # noqa: S608 - as above


async def enter(connection: asyncpg.Connection, job_ids: Iterable[str]) -> None:
    """Share the gates of these jobs until the transaction ends; call it before any row is locked."""
    await connection.fetch(_ENTER, sorted(set(job_ids)))


async def shut(connection: asyncpg.Connection, job_id: str) -> None:
    """Wait for all who are within and keep others out until the transaction ends."""
    await connection.execute(_SHUT, job_id)
