"""Results, repeats, cancels, resumes and replays of a small job in any order: the counters stay exact."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace

import asyncpg
import pytest
from flow_samples import (
    RISKS,
    as_read,
    chunk_rows,
    hazard_columns,
    job_row,
    open_sink,
    plan_job,
    probability_columns,
    result_of,
    sink,
)
from ledger_recount import Message, counted, recount

from consumers.ledger import OPEN
from ops import lifecycle
from ops.letters import letter_of
from ops.replay import Replayed, replay
from schemas.errors import RiskflowError
from schemas.settings import Settings

KINDS = ("probability", "hazard")
ROUNDS = 10
STEPS = 40


@dataclass
class World:
    """A job between a sink, workers and a person; what the topics hold is in `sent`."""

    connection: asyncpg.Connection
    writer: asyncpg.Connection
    settings: Settings
    chance: random.Random
    seen: Counter[str]
    sent: list[tuple[SimpleNamespace, Message | None]] = field(default_factory=list)
    letters: list[SimpleNamespace] = field(default_factory=list)
    stored: dict[tuple[int, str], Message | None] = field(default_factory=dict)

    async def compute(self) -> None:
        """A worker answers some chunk for the present run, in one of the ways it can."""
        chunk = self.chance.choice(await chunk_rows(self.connection, "job"))
        kind = self.chance.choice(KINDS)
        result = result_of(chunk, kind, **self.outcome(len(chunk["latitudes"]), kind))
        record = as_read(result)
        if self.chance.random() < 0.15:
            record.value, result = b"no json", None
        self.sent.append((record, result))

    def outcome(self, cells: int, kind: str) -> dict[str, object]:
        way = self.chance.random()
        if way < 0.6:
            return {}
        if way < 0.75:
            return {"failure": "the worker gave up", "risks": []}
        columns = [
            probability_columns(risk, cells) if kind == "probability" else hazard_columns(risk, cells)
            for risk in RISKS
        ]
        blank = ("probability", "aal") if kind == "probability" else ("hazard_score", "hazard_level")
        ways = [("failure",), ("reason",), ("failure", "reason"), ("reason", "failure")]
        for hit, said in enumerate(self.chance.choice(ways)):
            changed, place = columns[hit].model_dump(), self.chance.randrange(cells)
            for name in (*blank, said):
                changed[name][place] = "no such number" if name == said else None
            columns[hit] = type(columns[hit]).model_validate(changed)
        return {"risks": columns}

    async def read(self) -> None:
        """The sink reads some of what was sent, old and new, repeats among it."""
        if not self.sent:
            return
        batch = self.chance.choices(self.sent, k=self.chance.randint(1, 4))
        before = await self.outcomes()
        chunks = {row["chunk"]: row for row in await chunk_rows(self.connection, "job")}
        await sink(self.writer, self.settings, *(record for record, _ in batch))
        job = await job_row(self.connection, "job")
        older = [result for _, result in batch if result is not None and result.job_seq < job["job_seq"]]
        self.seen["older run"] += bool(older)
        for key in await self.outcomes() - before:
            self.seen["late"] += job["status"] == "cancelled"
            self.stored[key] = self.first(batch, key, chunks[key[0]]["job_seq"])
        await self.collect_letters()

    def first(
        self, batch: list[tuple[SimpleNamespace, Message | None]], key: tuple[int, str], job_seq: int
    ) -> Message | None:
        """Which of the batch's records made an outcome."""
        chunk, kind = key
        topics = {"probability": "risk.probabilities.v1", "hazard": "risk.hazards.v1"}
        own = [
            result
            for record, result in batch
            if record.topic == topics[kind]
            and record.key == f"job:{chunk}".encode()
            and (result is None or result.job_seq == job_seq)
        ]
        return own[0]

    async def outcomes(self) -> set[tuple[int, str]]:
        rows = await self.connection.fetch("SELECT chunk, kind FROM batch_job_outcomes WHERE job_id = 'job'")
        return {(row["chunk"], row["kind"]) for row in rows}

    async def collect_letters(self) -> None:
        rows = await self.connection.fetch(
            "DELETE FROM outbox WHERE topic LIKE '%.dlq' "
            "RETURNING topic, key, value, header_names, header_values"
        )
        for row in rows:
            headers = tuple(zip(row["header_names"], row["header_values"], strict=True))
            place = {"partition": 0, "offset": len(self.letters), "timestamp": 1_700_000_000_000}
            self.letters.append(
                SimpleNamespace(
                    topic=row["topic"], key=row["key"], value=row["value"], headers=headers, **place
                )
            )

    async def cancel(self) -> None:
        status = (await job_row(self.connection, "job"))["status"]
        if status in OPEN:
            await lifecycle.cancel(self.connection, "job", "somebody")
            self.seen["cancelled"] += 1
            return
        with pytest.raises(RiskflowError):
            await lifecycle.cancel(self.connection, "job", "somebody")

    async def resume(self) -> None:
        job = await job_row(self.connection, "job")
        if job["status"] in {*OPEN, "completed"}:
            with pytest.raises(RiskflowError):
                await lifecycle.resume(self.connection, "job", "somebody")
            return
        resumed = await lifecycle.resume(self.connection, "job", "somebody")
        self.seen["resumed" if resumed.status == "running" else "completed at once"] += 1
        gone = set(self.stored) - await self.outcomes()
        assert resumed.reopened == len(gone)
        for key in gone:
            del self.stored[key]
        assert all(result is not None and not fails(result) for result in self.stored.values())
        assert (await job_row(self.connection, "job"))["job_seq"] > job["job_seq"]
        unsent = await self.connection.fetch(
            "SELECT sent_at, starts, losses FROM batch_job_chunks WHERE job_id = 'job' AND kinds_left > 0"
        )
        assert {tuple(row) for row in unsent} <= {(None, 0, 0)}

    async def replay(self) -> None:
        """A person has a letter replayed, twice where it likes; the sink may read it at any time after."""
        if not self.letters:
            return
        letter = letter_of(self.chance.choice(self.letters))
        before = await self.outcomes()
        try:
            said = await replay(self.connection, letter, "somebody", again=self.chance.random() < 0.5)
        except RiskflowError:
            assert await self.outcomes() == before
            self.seen["not replayed"] += 1
            return
        self.seen["replayed"] += 1
        assert isinstance(said, Replayed)
        for key in before - await self.outcomes():
            del self.stored[key]
        back = await self.connection.fetchrow(
            "DELETE FROM outbox WHERE topic NOT LIKE '%.dlq' AND topic <> 'risk.job-events.v1' "
            "RETURNING topic, key, value"
        )
        assert (back["topic"], back["key"], back["value"]) == (letter.topic, letter.key, letter.value)
        found = next(record for record, result in self.sent if result is None and record.key == back["key"])
        self.sent.append((found, None))

    async def check(self) -> None:
        assert await counted(self.connection, "job") == await recount(self.connection, "job", self.stored)
        job = await job_row(self.connection, "job")
        if job["chunks_done"] == job["chunks_total"] and job["status"] != "cancelled":
            failed = job["failed_grids"]
            ends = {0: "completed", job["total_grids"]: "failed"}
            assert job["status"] == ends.get(failed, "completed_with_failures")
            assert job["completed_at"] is not None
        else:
            assert job["status"] in {*OPEN, "cancelled"}


def fails(result: Message) -> bool:
    return result.failure is not None or any(
        fault is not None for risk in result.risks for fault in risk.failure
    )


async def test_in_any_order_the_counters_are_those_of_a_recount(
    connection: asyncpg.Connection, flow_settings: Settings
) -> None:
    writer = await open_sink(flow_settings)
    seen: Counter[str] = Counter()
    try:
        for seed in range(ROUNDS):
            await connection.execute(
                "TRUNCATE batch_job_logs, outbox, dead_letter_marks, hazard_results CASCADE"
            )
            await plan_job(connection, flow_settings, "job")
            await connection.execute("UPDATE batch_job_chunks SET sent_at = now(), partition = 0")
            world = World(connection, writer, flow_settings, random.Random(seed), seen)  # noqa: S311
            try:
                await play(world)
            except BaseException as error:
                error.add_note(f"seed {seed}")
                raise
    finally:
        await writer.close()
    # What is never reached proves nothing.
    reached = {"cancelled", "resumed", "replayed", "not replayed", "late", "older run"}
    assert {name for name in reached if not seen[name]} == set()


async def play(world: World) -> None:
    ways = {world.compute: 10, world.read: 12, world.cancel: 2, world.resume: 3, world.replay: 3}
    for _ in range(STEPS):
        (way,) = world.chance.choices(list(ways), weights=list(ways.values()))
        await way()
        await world.check()
    await finish(world)


async def finish(world: World) -> None:
    """Whatever came before, a resumption and good results of its chunks end the job well."""
    while (await job_row(world.connection, "job"))["status"] != "completed":
        if (await job_row(world.connection, "job"))["status"] not in OPEN:
            await world.resume()
        for chunk in await chunk_rows(world.connection, "job"):
            for kind in KINDS:
                world.sent = [(as_read(result := result_of(chunk, kind)), result)]
                await world.read()
        await world.check()
    assert await world.connection.fetchval("SELECT count(*) FROM hazard_results") == 5 * len(RISKS)
