"""Results to rows: rows, outcomes, counters and events of a batch in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import structlog

from consumers import gate, ledger, outcomes, upserts
from consumers.letters import dead_letter, put
from consumers.outcomes import Chunk, Outcome, Result
from schemas.codec import decode, json_object
from schemas.messages import HazardResult, Kind, ProbabilityResult
from schemas.topics import HAZARDS, PROBABILITIES, SINK_GROUP, Topic

KIND_OF: dict[str, Kind] = {PROBABILITIES.name: "probability", HAZARDS.name: "hazard"}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Read:
    """A decoded result and the chunk it belongs to."""

    chunk: Chunk
    result: Result


class Sink:
    """Handler of the result topics."""

    name = "sink"
    group = SINK_GROUP
    topics: tuple[Topic, ...] = (PROBABILITIES, HAZARDS)

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
        read = await self._known([_decoded(record) for record in records], connection)
        told = [outcomes.of_result(each.chunk, each.result) for each in read]
        probability: list[upserts.Row] = []
        hazard: list[upserts.Row] = []
        for each in read:
            if isinstance(each.result, ProbabilityResult):
                probability.extend(upserts.probability_rows(each.result))
            else:
                hazard.extend(upserts.hazard_rows(each.result))
        await upserts.write(connection, upserts.PROBABILITY, probability)
        await upserts.write(connection, upserts.HAZARD, hazard)
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

    async def _known(self, results: Sequence[Result], connection: asyncpg.Connection) -> list[Read]:
        """Results of the present run of a job; those of deleted jobs and older runs have no place."""
        await gate.enter(connection, {result.job_id for result in results})
        chunks = await ledger.chunks(connection, {result.chunk_id for result in results})
        read = []
        for result in results:
            chunk = chunks.get(result.chunk_id)
            if chunk is not None and _belongs(result, chunk):
                read.append(Read(chunk, result))
            else:
                log.warning(
                    "result of an unknown job or an older run; left out",
                    job_id=result.job_id,
                    chunk_id=result.chunk_id,
                    job_seq=result.job_seq,
                    kind=result.kind,
                )
        return read


def _decoded(record: Any) -> Result:
    if record.topic == PROBABILITIES.name:
        return decode(ProbabilityResult, record.value)
    return decode(HazardResult, record.value)


def _belongs(result: Result, chunk: Chunk) -> bool:
    return (result.job_id, result.chunk, result.job_seq) == (
        chunk.job_id,
        chunk.chunk,
        chunk.job_seq,
    ) and result.kind in chunk.kinds


async def _record(connection: asyncpg.Connection, told: Sequence[Outcome]) -> None:
    if told:
        await put(connection, await ledger.record(connection, told))
