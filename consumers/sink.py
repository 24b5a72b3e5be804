"""Results to rows: rows, outcomes, counters and events of a batch in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import asyncpg
import structlog

from consumers import gate, ledger, outcomes, upserts
from consumers.handler import Handler
from consumers.letters import dead_letter, put
from consumers.outcomes import Chunk, Outcome, Result
from schemas.codec import decode, json_object
from schemas.errors import InvalidMessage
from schemas.messages import HazardResult, Kind, ProbabilityResult
from schemas.topics import HAZARDS, PROBABILITIES, SINK_GROUP, Topic

KIND_OF: dict[str, Kind] = {PROBABILITIES.name: "probability", HAZARDS.name: "hazard"}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A result and its rows, in the order of `upserts.TABLES`' columns."""

    result: Result
    rows: list[upserts.Row]

    @classmethod
    def of(cls, record: Any) -> Decoded:
        """What a record says.

        Raises:
            InvalidMessage: It is no result, or its columns do not fit each other.
        """
        if record.topic == PROBABILITIES.name:
            probability = decode(ProbabilityResult, record.value)
            return cls(probability, list(upserts.probability_rows(probability)))
        hazard = decode(HazardResult, record.value)
        return cls(hazard, list(upserts.hazard_rows(hazard)))


Worked = dict[int, tuple[Any, Decoded]]
"""By identity of the record, which is held so that no other can have the same."""


class Sink(Handler):
    """Handler of the result topics."""

    name = "sink"
    group = SINK_GROUP
    topics: tuple[Topic, ...] = (PROBABILITIES, HAZARDS)

    def __init__(self) -> None:
        self._worked_out: tuple[Worked, Worked] = {}, {}
        """Of the batch that is being stored and of the next, until they are used."""

    def work_out(self, records: Sequence[Any]) -> None:
        """Decode; what cannot be decoded says so when it is stored."""
        worked: Worked = {}
        for record in records:
            with suppress(InvalidMessage):
                worked[id(record)] = record, Decoded.of(record)
        self._worked_out = self._worked_out[1], worked

    async def opened(self, connection: asyncpg.Connection) -> None:
        """Make the temporary tables of the session."""
        await upserts.create_temporary(connection)

    async def store(self, connection: asyncpg.Connection, records: Sequence[Any]) -> None:
        """Write the rows of the results, then their outcomes and the jobs' counters.

        Raises:
            InvalidMessage: A record is no result, or does not fit its chunk.
        """
        if len(records) == 1:
            # It may be one of several in this transaction, isolated from a poisoned batch.
            await upserts.clear(connection)
        known = await self._known([self._decoded(record) for record in records], connection)
        told = [outcomes.of_result(chunk, each.result) for chunk, each in known]
        for table, kind in zip(upserts.TABLES, KIND_OF.values(), strict=True):
            rows = [row for _, each in known if each.result.kind == kind for row in each.rows]
            await upserts.write(connection, table, rows)
        await _record(connection, told)

    async def reject(self, connection: asyncpg.Connection, record: Any, error: Exception) -> None:
        """Write a dead letter; where its key tells a chunk of the present run, its outcome is failed."""
        chunk_id = (record.key or b"").decode(errors="replace").replace("\x00", "")
        await gate.enter(connection, [chunk_id.rpartition(":")[0]])
        await put(connection, [dead_letter(record, error)])
        chunk = (await ledger.chunks(connection, [chunk_id])).get(chunk_id)
        kind = KIND_OF[record.topic]
        if chunk is None or kind not in chunk.kinds:
            return
        if json_object(record.value).get("job_seq") in (None, chunk.job_seq):
            await _record(connection, [outcomes.of_failure(chunk, kind, str(error))])

    def _decoded(self, record: Any) -> Decoded:
        for worked in self._worked_out:
            held, decoded = worked.pop(id(record), (None, None))
            if decoded is not None and held is record:
                return decoded
        return Decoded.of(record)

    async def _known(
        self, results: Sequence[Decoded], connection: asyncpg.Connection
    ) -> list[tuple[Chunk, Decoded]]:
        """Results of the present run of a job; those of deleted jobs and older runs have no place."""
        await gate.enter(connection, {each.result.job_id for each in results})
        chunks = await ledger.chunks(connection, {each.result.chunk_id for each in results})
        known = []
        for each in results:
            result = each.result
            chunk = chunks.get(result.chunk_id)
            if chunk is not None and _belongs(result, chunk):
                known.append((chunk, each))
            else:
                log.warning(
                    "result of an unknown job or an older run; left out",
                    job_id=result.job_id,
                    chunk_id=result.chunk_id,
                    job_seq=result.job_seq,
                    kind=result.kind,
                )
        return known


def _belongs(result: Result, chunk: Chunk) -> bool:
    return (result.job_id, result.chunk, result.job_seq) == (
        chunk.job_id,
        chunk.chunk,
        chunk.job_seq,
    ) and result.kind in chunk.kinds


async def _record(connection: asyncpg.Connection, told: Sequence[Outcome]) -> None:
    if told:
        await put(connection, await ledger.record(connection, told))
