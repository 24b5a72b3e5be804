"""Faults of the messages themselves: bad, doubled, lost, early, and two at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
from aiokafka.partitioner import DefaultPartitioner
from faults.fleet import second, small_job
from faults.groups import forget
from faults.messages import Letters, Poison, letters, poison, publish, trigger
from faults.registry import fault
from faults.run import Run
from faults.strikes import KAFKA, strike

from schemas.topics import ACCEPTOR_GROUP, SINK_GROUP, TRIGGERS, WORK_PARTITIONS, WORKER_GROUP

POISON_SHARES = (0.1, 0.4, 0.7)
"""Parts of the job that are done when the next part of the poison comes; the first comes before the job."""
DUPLICATES = 100
DROPPED = 2
TRIALS = 20
TRIAL_CHUNKS = 5
PAIRS = 100
SINK_SECONDS = 0.1
"""How long each sink holds its transaction open, so that the two meet at the job's row."""
JOINING = "kernels ready"
"""What the worker's log says when it is about to join its group."""


@strike()
async def chunk_dropped(run: Run) -> None:
    async with run.outage():
        await run.struck(run.arm("climate.take", "drop"))


@strike()
async def result_dropped(run: Run) -> None:
    async with run.outage():
        await run.struck(run.arm("climate.send", "drop"))


@fault("poison", "poison of eleven kinds on four topics, among good messages")
async def poisoned(run: Run) -> None:
    """Each must come to lie in its dead-letter topic as it was; what is good is not held up."""
    bad = poison("poison")
    parts = len(POISON_SHARES) + 1
    await publish(run.settings, [each.record for each in bad[::parts]])
    await run.start()
    await run.trigger()
    for number, share in enumerate(POISON_SHARES, 1):
        await run.progress(share)
        await publish(run.settings, [each.record for each in bad[number::parts]])
    await run.ended()
    await _all_in_letters(run, bad)
    await _all_refused(run, bad)


async def _all_in_letters(run: Run, bad: list[Poison]) -> None:
    wanted = Letters((each.topic.name, each.key, each.value) for each in bad if each.to_letters)
    run.dead_letters = sum(count for (topic, _, _), count in wanted.items() if topic != "risk.grid-chunks.v1")

    async def enough() -> Letters | None:
        found = await letters(run.settings)
        return found if found.total() >= wanted.total() else None

    found = await run.until(enough)
    run.lost += (wanted - found).total()
    run.doubled += (found - wanted).total()
    for (topic, key, _), count in ((wanted - found) + (found - wanted)).items():
        run.problems.append(f"{count} letters of {topic} with the key {key!r} are missing, other or too many")


async def _all_refused(run: Run, bad: list[Poison]) -> None:
    """A bad trigger leaves a failed row with the reason, except where its id is the running job's."""
    wanted = sum(each.topic is TRIGGERS for each in bad) - 1
    rows = await run.ledger.fetch(
        "SELECT job_id FROM batch_job_logs WHERE status = 'failed' AND error_message <> ''"
    )
    run.apart.update(row["job_id"] for row in rows)
    if len(rows) != wanted:
        run.problems.append(f"{len(rows)} triggers were refused with a reason, must be {wanted}")


@fault("duplicates", "100 triggers of one id, and two other requests under it")
async def duplicated(run: Run) -> None:
    """Half of them over the topic, half by riskflow.request; the other requests are refused."""
    await run.start()
    half = DUPLICATES // 2
    topic = publish(run.settings, half * [trigger("job")])
    await asyncio.gather(topic, *(run.trigger() for _ in range(half)))
    await run.progress(0.3)
    await publish(run.settings, [trigger("job", uncertainty=True)])
    run.dead_letters = 1
    try:
        await run.trigger(uncertainty=True)
    except asyncpg.UniqueViolationError:
        pass
    else:
        run.problems.append("riskflow.request took another request under the same id")
    await run.ended()
    await run.until_value("SELECT count(*) >= 1 FROM outbox WHERE topic = 'risk.triggers.v1.dlq'")
    row = await _counted(run)
    if (row["sends"], row["accepted"]) != (row["chunks"], 1):
        run.doubled += row["sends"] - row["chunks"] + row["accepted"] - 1
        run.problems.append(f"{row['chunks']} chunks were sent {row['sends']} times")


@fault("dropped", "a chunk message and a result message dropped")
async def dropped(run: Run) -> None:
    """Both must be noticed, counted as a loss, and sent again."""
    await run.start()
    await run.trigger()
    for share, act in ((0.2, chunk_dropped), (0.5, result_dropped)):
        await run.progress(share)
        await act(run)
    await run.ended()
    row = await _counted(run)
    if row["losses"] < DROPPED or row["sends"] - row["chunks"] != row["losses"]:
        run.problems.append(
            f"{row['losses']} losses were counted, {row['chunks']} chunks were sent {row['sends']} times"
        )


async def _counted(run: Run) -> asyncpg.Record:
    query = """
        SELECT count(*) AS chunks, sum(sends)::integer AS sends, sum(losses)::integer AS losses,
               (SELECT count(*) FROM outbox WHERE topic = 'risk.job-events.v1' AND key = 'job'
                AND convert_from(value, 'UTF8')::jsonb ->> 'state' = 'accepted')::integer AS accepted
        FROM batch_job_chunks WHERE job_id = 'job'
    """
    return (await run.ledger.fetch(query))[0]


@fault(
    "new-group",
    "messages there, and arriving, while a group is new, 20 trials",
    brokers=KAFKA,
    pace=0,
    limit=1_200,
)
async def new_groups(run: Run) -> None:
    """Of four trials two begin with a new group of workers, two with new groups all over."""
    await run.start("sink", "producers", "worker-1")
    for trial in range(TRIALS):
        everyone, arriving = trial % 4 >= 2, trial % 2 == 1
        await _new_group_trial(run, f"trial-{trial}", everyone=everyone, arriving=arriving)
    await run.trigger()
    await run.ended()


async def _new_group_trial(run: Run, job_id: str, *, everyone: bool, arriving: bool) -> None:
    services = ("worker-1", "sink") if everyone else ("worker-1",)
    await run.services.stop(*services)
    await forget(run.settings, WORKER_GROUP, *((SINK_GROUP, ACCEPTOR_GROUP) if everyone else ()))
    log = run.logs / "worker-1.log"
    begins = _times(log, JOINING)

    async def about_to_join() -> bool:
        return _times(log, JOINING) > begins

    async def ask() -> None:
        await small_job(run, job_id, TRIAL_CHUNKS * run.settings.batch_size)

    if arriving:
        await run.start(*services)
        await run.until(about_to_join)
        await ask()
    else:
        await ask()
        place = "answered_at" if not everyone else "published_at"
        await run.until_value(f"SELECT {place} IS NOT NULL FROM outbox WHERE job_id = $1", job_id)  # noqa: S608
        if not everyone:
            query = "SELECT bool_and(sent_at IS NOT NULL) FROM batch_job_chunks WHERE job_id = $1"
            await run.until_value(query, job_id)
        await run.start(*services)
    await run.ended(job_id)


def _times(log: Path, words: str) -> int:
    return log.read_text(errors="replace").count(words)


@fault(
    "two-sinks",
    "two sinks commit the last two results of a job, 100 jobs",
    pace=0,
    points=f"sink.before_commit=sleep {SINK_SECONDS}",
)
async def two_sinks(run: Run) -> None:
    """Each job has two chunks, and the results of one belong to the one sink, of the other to the other."""
    other = second(run, "sink")
    await run.start("sink", "producers", "worker-1", "worker-2")
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'riskflow sink' AND datname = $1"
    database = await run.ledger.value("SELECT current_database()")
    await run.until(lambda: _is(run, query + " HAVING count(*) = 2", database))
    for job_id in shared_ids(PAIRS):
        await small_job(run, job_id, 2 * run.settings.batch_size)
    for job_id in list(run.jobs):
        await run.ended(job_id)
    await _both_wrote(run, other)
    await run.trigger()
    await run.ended()


async def _is(run: Run, query: str, *arguments: object) -> bool:
    return bool(await run.ledger.fetch(query, *arguments))


def shared_ids(count: int) -> list[str]:
    """Ids of jobs whose first chunk's results lie in the lower half of the partitions, the second's above.

    A group of two shares the partitions of a topic out as two halves.
    """
    found: list[str] = []
    number = 0
    while len(found) < count:
        number += 1
        job_id = f"pair-{number}"
        first, last = (_partition(f"{job_id}:{chunk}") for chunk in (1, 2))
        if first < WORK_PARTITIONS // 2 <= last:
            found.append(job_id)
    return found


def _partition(key: str) -> int:
    partitions = list(range(WORK_PARTITIONS))
    return int(DefaultPartitioner()(key.encode(), partitions, partitions))


async def _both_wrote(run: Run, other: str) -> None:
    """Jobs whose two chunks were stored by two transactions: there must be many, else nothing was shown."""
    met = await run.ledger.value(
        """
        SELECT count(*) FROM (
            SELECT job_id FROM batch_job_outcomes GROUP BY job_id HAVING count(DISTINCT xmin::text) > 1) AS j
        """
    )
    idle = "partitions assigned" not in (run.logs / f"{other}.log").read_text()
    if idle or met < PAIRS // 2:
        run.problems.append(f"only {met} of {PAIRS} jobs were written by two transactions")
