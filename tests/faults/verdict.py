"""What became of a run: rows lost, rows and counts doubled, counts that are wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

import asyncpg
from acceptance.whole import RESULTS
from faults.reference import read_rows, without_cells, wrong_keys
from faults.run import Job, Run

from ops.jobs import ENDED

KINDS = len(RESULTS)

_JOB = """
    SELECT status, total_grids, processed_grids, failed_grids, success_rate, completed_at,
           chunks_done, chunks_total, risks,
           (SELECT count(*) FROM batch_job_outcomes o WHERE o.job_id = j.job_id) AS outcomes,
           (SELECT coalesce(sum(cells), 0) FROM batch_job_chunks c
            WHERE c.job_id = j.job_id AND c.kinds_left = 0) AS reported_cells,
           (SELECT count(*) FROM batch_job_chunks c WHERE c.job_id = j.job_id AND c.kinds_left <> 0) AS open,
           (SELECT count(*) FROM (SELECT DISTINCT o.chunk, cell FROM batch_job_outcomes o,
            unnest(o.failed_cells) AS cell WHERE o.job_id = j.job_id) AS f) AS failed_cells
    FROM batch_job_logs j WHERE job_id = $1
"""
_RISKS = "SELECT risk_type, reported, without_number, failed FROM batch_job_risks WHERE job_id = $1"
_WITHOUT = """
    SELECT risk_type, count(*) AS rows FROM (
        SELECT risk_type FROM probability_results WHERE job_id = $1 AND reason IS NOT NULL
        UNION ALL SELECT risk_type FROM hazard_results WHERE job_id = $1 AND reason IS NOT NULL) AS r
    GROUP BY risk_type
"""
_ENDS = """
    SELECT count(*) FROM outbox
    WHERE topic = 'risk.job-events.v1' AND key = convert_to($1, 'UTF8')
      AND convert_from(value, 'UTF8')::jsonb ->> 'state' = ANY ($2::text[])
"""
_CHUNK_CELLS = """
    SELECT u.latitude, u.longitude
    FROM batch_job_chunks c, unnest(c.latitudes, c.longitudes) AS u (latitude, longitude)
    WHERE c.job_id = $1 AND c.chunk = ANY ($2::integer[])
"""
# A message that was read twice, because who read it was killed, may have two letters.
LETTERS = "SELECT count(DISTINCT (topic, key, value)) FROM outbox WHERE topic LIKE '%.dlq'"
_RECOVERED = """
    SELECT extract(epoch FROM max(o.recorded_at))::float8
    FROM batch_job_outcomes o
    JOIN unnest($1::text[], $2::integer[]) AS f (job_id, chunk) USING (job_id, chunk)
"""


@dataclass
class Verdict:
    """One row of the table; seconds are None where they say nothing."""

    lost: int = 0
    doubled: int = 0
    problems: list[str] = field(default_factory=list)
    recovered: float | None = None
    took: float = 0.0

    @property
    def good(self) -> bool:
        """Whether nothing is to be said against it."""
        return not (self.lost or self.doubled or self.problems)

    def expect(self, what: str, found: object, wanted: object) -> None:
        """Note a count that is not as it must be."""
        if found != wanted:
            self.problems.append(f"{what} is {found}, must be {wanted}")


async def judge(run: Run) -> Verdict:
    """Compare the run's rows and counts with what they must be."""
    verdict = Verdict(run.lost, run.doubled, list(run.problems))
    if run.jobs:
        await _judge_rows(run, verdict)
    for job in run.jobs.values():
        await _judge_job(run, job, verdict)
    rows = await run.ledger.fetch("SELECT job_id FROM batch_job_logs")
    strangers = {row["job_id"] for row in rows} - run.jobs.keys() - run.apart
    if strangers:
        verdict.doubled += len(strangers)
        verdict.problems.append(f"jobs that nobody asked for: {sorted(strangers)[:5]}")
    verdict.expect("messages with a dead letter", await run.ledger.value(LETTERS), run.dead_letters)
    verdict.recovered = await _recovered(run)
    return verdict


async def _judge_rows(run: Run, verdict: Verdict) -> None:
    """Every row of the reference must be there, written by the last job, and no other row."""
    last = list(run.jobs.values())[-1]
    failed = await run.ledger.fetch(_CHUNK_CELLS, last.job_id, list(last.failed_chunks))
    expected = without_cells(run.expected, [tuple(row) for row in failed]) if failed else run.expected
    found, twice = await read_rows(run.ledger)
    verdict.doubled += twice
    for table, rows in expected.items():
        wrong = wrong_keys(rows, found[table])
        if wrong:
            verdict.problems.append(f"{table}: {len(wrong)} rows missing or other, first {wrong[0][:3]}")
        more = len(found[table].keys() - rows.keys()) - run.more_rows
        verdict.lost += len(wrong) + max(0, -more)
        verdict.doubled += max(0, more)
        older = await run.ledger.value(f"SELECT count(*) FROM {table} WHERE job_id <> $1", last.job_id)  # noqa: S608
        verdict.lost += older
        verdict.expect(f"rows of {table} that are not of {last.job_id}", older, 0)


async def _judge_job(run: Run, job: Job, verdict: Verdict) -> None:
    rows = await run.ledger.fetch(_JOB, job.job_id)
    if not rows:
        verdict.lost += 1
        verdict.problems.append(f"{job.job_id} was never accepted")
        return
    row = rows[0]
    cells = run.cells if job.cells is None else job.cells
    failed = int(row["failed_cells"])
    status = "completed_with_failures" if job.failed_chunks else "completed"
    told = {
        "status": status,
        "total_grids": cells,
        "processed_grids": cells,
        "failed_grids": failed,
        "success_rate": 100.0 * (cells - failed) / cells,
        "chunks_done": row["chunks_total"],
        "outcomes": KINDS * row["chunks_total"],
        "reported_cells": cells,
        "open": 0,
    }
    for column, wanted in told.items():
        verdict.expect(f"{job.job_id}: {column}", row[column], wanted)
    doomed = await run.ledger.fetch(_CHUNK_CELLS, job.job_id, list(job.failed_chunks))
    verdict.expect(f"{job.job_id}: failed cells", failed, len(doomed))
    verdict.lost += max(0, cells - (row["processed_grids"] or 0))
    verdict.doubled += max(0, (row["processed_grids"] or 0) - cells)
    ends = await run.ledger.value(_ENDS, job.job_id, list(ENDED))
    verdict.doubled += max(0, ends - 1)
    verdict.expect(f"{job.job_id}: events of its end", ends, 1)
    await _judge_risks(run, job, row, verdict)


async def _judge_risks(run: Run, job: Job, row: asyncpg.Record, verdict: Verdict) -> None:
    """The counters per risk; those without a number are counted again in the rows of the last job."""
    is_last = job is list(run.jobs.values())[-1]
    without = {each["risk_type"]: each["rows"] for each in await run.ledger.fetch(_WITHOUT, job.job_id)}
    counted = {each["risk_type"]: each for each in await run.ledger.fetch(_RISKS, job.job_id)}
    verdict.expect(f"{job.job_id}: risks", sorted(counted), sorted(row["risks"]))
    for risk, counts in counted.items():
        wanted = KINDS * row["total_grids"]
        verdict.doubled += max(0, counts["reported"] - wanted)
        verdict.expect(f"{job.job_id}: {risk} reported", counts["reported"], wanted)
        verdict.expect(f"{job.job_id}: {risk} failed", counts["failed"], KINDS * row["failed_cells"])
        if is_last:
            verdict.expect(
                f"{job.job_id}: {risk} without number", counts["without_number"], without.get(risk, 0)
            )


async def _recovered(run: Run) -> float | None:
    """Seconds from the end of an outage until all that was on its way was reported; the longest."""
    longest = None
    for outage in run.outages:
        if outage.chunks:
            job_ids, chunks = zip(*outage.chunks, strict=True)
            at = await run.ledger.value(_RECOVERED, list(job_ids), list(chunks))
            longest = max(longest or 0.0, (at or outage.over) - outage.over)
    return longest
