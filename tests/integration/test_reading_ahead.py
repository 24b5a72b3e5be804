"""The consumer loop decodes the next batch while one is being stored, and commits only what is stored."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest
from flow_samples import as_read, chunk_rows, committed, open_sink, plan_job, result_of, running
from waiting import until

import consumers.sink
from consumers.reader import BATCH_RECORDS, Reader
from consumers.sink import Decoded, Sink
from producers.publisher import Publisher
from schemas.codec import Record, encode
from schemas.errors import InvalidMessage
from schemas.settings import Settings
from schemas.topics import HAZARDS


class Held(Sink):
    """A sink whose first transaction waits to be let go; tells what was worked out and stored."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.worked_out: list[tuple[str, int]] = []
        self.stored: list[str] = []

    def work_out(self, records: Sequence[Any]) -> None:
        self.worked_out.append((threading.current_thread().name, len(records)))
        super().work_out(records)

    async def store(self, connection: asyncpg.Connection, records: Sequence[Any]) -> None:
        await self.go.wait()
        self.stored += [record.key.decode() for record in records]
        await super().store(connection, records)


async def send_results(publisher: Publisher, chunk: Any, count: int) -> None:
    for _ in range(count):
        await publisher.send(encode(HAZARDS, result_of(chunk, "hazard"), source="test"))


async def test_the_next_batch_is_worked_out_while_one_is_stored_and_not_committed_before_it(
    connection: asyncpg.Connection, settings: Settings
) -> None:
    (chunk, *_) = await plan_job(connection, settings, "job", "hazard")
    handler = Held()
    async with Publisher(settings) as publisher:
        await send_results(publisher, chunk, BATCH_RECORDS + 5)
        async with running(Reader(settings, handler).run):

            async def ahead() -> bool:
                return sum(count for _, count in handler.worked_out) == BATCH_RECORDS + 5

            await until(ahead, "the batch after the first")
            assert handler.stored == []
            assert await committed(settings) == 0
            assert threading.main_thread().name not in {name for name, _ in handler.worked_out}
            handler.go.set()

            async def all_committed() -> bool:
                return await committed(settings) == BATCH_RECORDS + 5

            await until(all_committed, "the offsets of both")
    assert len(handler.stored) == BATCH_RECORDS + 5


async def test_what_was_read_ahead_of_a_stop_is_read_again(
    connection: asyncpg.Connection, settings: Settings
) -> None:
    (chunk, *_) = await plan_job(connection, settings, "job", "hazard")
    first, second = Held(), Held()
    async with Publisher(settings) as publisher:
        await send_results(publisher, chunk, 2 * BATCH_RECORDS)
        async with running(Reader(settings, first).run):

            async def ahead() -> bool:
                return sum(count for _, count in first.worked_out) == 2 * BATCH_RECORDS

            await until(ahead, "both batches")
            # The block ends, and with it the stop is said, before the loop comes to this.
            asyncio.get_running_loop().call_soon(first.go.set)
    assert len(first.stored) == await committed(settings) == BATCH_RECORDS
    second.go.set()
    async with running(Reader(settings, second).run):

        async def rest() -> bool:
            return await committed(settings) == 2 * BATCH_RECORDS

        await until(rest, "the rest")
    assert len(second.stored) == BATCH_RECORDS


async def test_what_is_worked_out_is_used_once_and_poison_waits_for_its_turn(
    connection: asyncpg.Connection, flow_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = await plan_job(connection, flow_settings, "job", "hazard")
    good = [as_read(result_of(chunk, "hazard")) for chunk in chunks[:2]]
    poison = as_read(result_of(chunks[2], "hazard"), value=b"{")
    handler = Sink()
    handler.work_out([*good, poison])
    decoded: list[Any] = []
    of = Decoded.of
    monkeypatch.setattr(consumers.sink.Decoded, "of", lambda record: decoded.append(record) or of(record))
    writer = await open_sink(flow_settings)
    try:
        async with writer.transaction():
            await handler.store(writer, good)
        assert decoded == []
        with pytest.raises(InvalidMessage, match="not JSON"):
            await handler.store(writer, [poison])
        async with writer.transaction():
            await handler.store(writer, good)
        assert decoded == [poison, *good]
    finally:
        await writer.close()
    assert await connection.fetchval("SELECT count(*) FROM hazard_results") == 8


async def test_a_broken_record_read_ahead_becomes_a_dead_letter(
    connection: asyncpg.Connection, settings: Settings
) -> None:
    await plan_job(connection, settings, "job", "hazard")
    chunks = await chunk_rows(connection, "job")
    handler = Held()
    async with Publisher(settings) as publisher:
        await send_results(publisher, chunks[0], BATCH_RECORDS)
        await publisher.send(Record(HAZARDS.name, chunks[0]["chunk_id"].encode(), b"{", []))
        await send_results(publisher, chunks[0], 1)
        async with running(Reader(settings, handler).run):

            async def ahead() -> bool:
                return sum(count for _, count in handler.worked_out) == BATCH_RECORDS + 2

            await until(ahead, "both batches")
            handler.go.set()

            async def read() -> bool:
                return await committed(settings) == BATCH_RECORDS + 2

            await until(read, "the end of the results")
    assert await connection.fetchval("SELECT count(*) FROM outbox WHERE topic = 'risk.hazards.v1.dlq'") == 1
