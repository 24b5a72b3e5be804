"""What a job's counters must be, counted anew from its outcomes."""

from __future__ import annotations

from typing import Any

import asyncpg

from schemas.messages import HazardResult, ProbabilityResult

Message = ProbabilityResult | HazardResult


async def recount(
    connection: asyncpg.Connection, job_id: str, stored: dict[tuple[int, str], Message | None]
) -> dict[str, Any]:
    """Counters of a job.

    Args:
        connection: To read chunks and outcomes.
        job_id: Of a climate job.
        stored: The result that each outcome was made from, by chunk and kind; None where its record
            could not be read.
    """
    chunks = await connection.fetch("SELECT * FROM batch_job_chunks WHERE job_id = $1", job_id)
    job = await connection.fetchrow("SELECT * FROM batch_job_logs WHERE job_id = $1", job_id)
    outcomes = {
        (row["chunk"], row["kind"]): row
        for row in await connection.fetch("SELECT * FROM batch_job_outcomes WHERE job_id = $1", job_id)
    }
    assert set(outcomes) == set(stored)
    processed = failed = done = 0
    for chunk in chunks:
        own = [outcomes[chunk["chunk"], kind] for kind in job["kinds"] if (chunk["chunk"], kind) in outcomes]
        assert chunk["kinds_left"] == len(job["kinds"]) - len(own)
        if chunk["kinds_left"] == 0:
            done += 1
            processed += chunk["cells"]
            failed += len({cell for row in own for cell in row["failed_cells"]})
    cells = {chunk["chunk"]: chunk["cells"] for chunk in chunks}
    risks = {risk: [0, 0, 0] for risk in job["risks"]}
    for (chunk, _), result in stored.items():
        for risk, counts in counts_of(result, cells[chunk], job["risks"]).items():
            risks[risk] = [total + each for total, each in zip(risks[risk], counts, strict=True)]
    return {
        "processed_grids": processed,
        "failed_grids": failed,
        "chunks_done": done,
        "risks": {risk: tuple(counts) for risk, counts in risks.items()},
        "has_error": any(row["error"] for row in outcomes.values()),
    }


async def counted(connection: asyncpg.Connection, job_id: str) -> dict[str, Any]:
    """The same as the ledger has them."""
    job = await connection.fetchrow("SELECT * FROM batch_job_logs WHERE job_id = $1", job_id)
    risks = await connection.fetch("SELECT * FROM batch_job_risks WHERE job_id = $1", job_id)
    return {
        **{name: job[name] for name in ("processed_grids", "failed_grids", "chunks_done")},
        "risks": {row["risk_type"]: (row["reported"], row["without_number"], row["failed"]) for row in risks},
        "has_error": job["error_message"] is not None,
    }


def counts_of(result: Message | None, cells: int, risks: list[str]) -> dict[str, tuple[int, int, int]]:
    """Reported, without a number and failed, per risk."""
    if result is None or result.failure is not None:
        return dict.fromkeys(risks, (cells, 0, cells))
    return {
        risk.risk_type: (
            cells,
            sum(reason is not None for reason in risk.reason),
            sum(fault is not None for fault in risk.failure),
        )
        for risk in result.risks
    }
