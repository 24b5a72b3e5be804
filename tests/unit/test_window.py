"""The agent's window: what is done out of order is acknowledged in order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from streams.window import Window


@dataclass
class Desk:
    """Events that finish when told, and the order in which they are acknowledged."""

    acknowledged: list[str] = field(default_factory=list)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)

    async def acknowledge(self, event: Any) -> None:
        self.acknowledged.append(event)

    async def work(self, event: str) -> None:
        await self.gates.setdefault(event, asyncio.Event()).wait()

    async def finish(self, event: str) -> None:
        self.gates.setdefault(event, asyncio.Event()).set()
        await turns()


async def turns() -> None:
    """Let every task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def open_window(desk: Desk, tasks: asyncio.TaskGroup, events: str) -> Window:
    window = Window(3, tasks, desk.acknowledge)
    for event in events:
        await window.admit()
        window.start(event, desk.work(event))  # type: ignore[arg-type]
    return window


async def test_events_are_acknowledged_from_the_head(desk: Desk) -> None:
    async with asyncio.TaskGroup() as tasks:
        await open_window(desk, tasks, "abc")
        await desk.finish("c")
        await desk.finish("b")
        assert desk.acknowledged == []
        await desk.finish("a")
        assert desk.acknowledged == ["a", "b", "c"]


async def test_a_full_window_admits_the_next_when_its_head_is_acknowledged(desk: Desk) -> None:
    async with asyncio.TaskGroup() as tasks:
        window = await open_window(desk, tasks, "abc")
        admitted = asyncio.create_task(window.admit())
        await desk.finish("b")
        assert not admitted.done()
        await desk.finish("a")
        assert admitted.done()
        await desk.finish("c")


async def test_a_failure_leaves_itself_and_all_behind_it_unacknowledged(desk: Desk) -> None:
    async def fail() -> None:
        raise ValueError("no number")

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            window = Window(3, tasks, desk.acknowledge)
            for event, work in (("a", desk.work("a")), ("b", fail()), ("c", desk.work("c"))):
                await window.admit()
                window.start(event, work)  # type: ignore[arg-type]
            await desk.finish("c")

    with pytest.raises(ExceptionGroup) as caught:
        await run()
    assert caught.group_contains(ValueError, match="no number")
    assert desk.acknowledged == []


async def test_a_closed_window_finishes_what_it_holds_and_admits_nothing(desk: Desk) -> None:
    async with asyncio.TaskGroup() as tasks:
        window = await open_window(desk, tasks, "ab")
        closing = asyncio.create_task(window.close())
        await turns()
        late = asyncio.create_task(window.admit())
        await desk.finish("a")
        assert not closing.done()
        await desk.finish("b")
        assert closing.done()
        assert desk.acknowledged == ["a", "b"]
        assert not late.done()
        late.cancel()


async def test_a_closing_window_waits_for_what_is_admitted_and_not_yet_started(desk: Desk) -> None:
    async with asyncio.TaskGroup() as tasks:
        window = await open_window(desk, tasks, "a")
        await window.admit()
        closing = asyncio.create_task(window.close())
        await desk.finish("a")
        assert not closing.done()
        window.start("b", desk.work("b"))  # type: ignore[arg-type]
        await desk.finish("b")
        assert closing.done()
        assert desk.acknowledged == ["a", "b"]
